"""A drawn dataset in ShanghaiTech's layout, and a recipe that trains on it in seconds."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from crowdpoint.config import load_recipe
from crowdpoint.methods.p2pnet.config import P2PNetRecipe

SIZE = (120, 100)
"""Width and height of the drawn images."""


def write_shanghaitech(root: Path, images: int = 4, split: str = "train", part: str = "A") -> Path:
    """Draws images with bright squares on noise, a head in the middle of each; the last one is empty."""
    folder = root / f"part_{part}" / f"{split}_data"
    for name in ("images", "ground-truth"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(split))
    width, height = SIZE
    for number in range(1, images + 1):
        pixels = rng.integers(0, 60, (height, width, 3), np.uint8)
        count = 0 if number == images else 12
        heads = rng.integers((6, 6), (width - 6, height - 6), (count, 2))
        for x, y in heads:
            pixels[y - 3 : y + 3, x - 3 : x + 3] = (255, 220, 180)
        Image.fromarray(pixels).save(folder / "images" / f"IMG_{number}.png")
        cell = np.empty((1, 1), object)
        cell[0, 0] = {"location": heads.astype(np.float64), "number": count}
        savemat(folder / "ground-truth" / f"GT_IMG_{number}.mat", {"image_info": cell})
    return root


TINY = (
    "data=[{name: shanghaitech-a}]",
    "model.pyramid_channels=8",
    "model.head_channels=8",
    "model.head=dense",
    "model.predict_sizes=false",
    "loss.size_weight=0",
    "loss.point_weight=0.01",
    "optimizer.frozen=[]",
    "optimizer.rate=1e-3",
    "optimizer.backbone_rate=4e-4",
    "optimizer.weight_decay=1e-4",
    "augment.color=0.3",
    "augment.crop=64",
    "augment.scale=[0.9, 1.1]",
    "optimizer.warmup=0",
    "run.precision=fp32",
    "run.images=2",
    "run.steps=2",
    "run.workers=0",
    "run.validate_every=1000",
    "run.checkpoint_every=1000",
)
"""What makes a small run of the lite recipe."""


def tiny_recipe(*overrides: str) -> P2PNetRecipe:
    """The lite recipe, made small."""
    recipe = load_recipe("p2pnet-lite", (*TINY, *overrides))
    assert isinstance(recipe, P2PNetRecipe)
    return recipe


def settings(overrides: Iterable[str]) -> list[str]:
    """`--set` arguments for the command line."""
    return [argument for override in (*TINY, *overrides) for argument in ("--set", override)]
