"""A drawn dataset in ShanghaiTech's layout, and a recipe that trains on it in seconds."""

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy.io import savemat

from crowdpoint import formats
from crowdpoint.config import load_recipe
from crowdpoint.methods.p2pnet.config import P2PNetRecipe
from crowdpoint.points import Points
from crowdpoint.train.journal import Journal

SIZE = (120, 100)
"""Width and height of the drawn images."""


def write_shanghaitech(root: Path, images: int = 4, split: str = "train", part: str = "A") -> Path:
    """Draws images with bright squares on noise, a head in the middle of each; the last one is empty."""
    folder = root / f"part_{part}" / f"{split}_data"
    for name in ("images", "ground-truth"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(split))
    for number in range(1, images + 1):
        pixels, heads = _draw(SIZE, 0 if number == images else 12, rng)
        Image.fromarray(pixels).save(folder / "images" / f"IMG_{number}.png")
        cell = np.empty((1, 1), object)
        cell[0, 0] = {"location": heads.astype(np.float64), "number": len(heads)}
        savemat(folder / "ground-truth" / f"GT_IMG_{number}.mat", {"image_info": cell})
    return root


def write_folder(root: Path, images: int = 4, size: tuple[int, int] = SIZE, *, boxes: bool = False) -> Path:
    """As `write_shanghaitech`, in the layout `folder`: the heads in one file, with their boxes if wanted."""
    root.mkdir(parents=True, exist_ok=True)
    rng, annotated = np.random.default_rng(images), {}
    for number in range(1, images + 1):
        pixels, heads = _draw(size, 0 if number == images else 12, rng)
        Image.fromarray(pixels).save(root / f"photo-{number}.png")
        sizes = np.full((len(heads), 2), 6, np.float32) if boxes else None
        annotated[f"photo-{number}.png"] = Points(heads.astype(np.float32), sizes=sizes, image_size=size)
    formats.write(root / "heads.json", annotated)
    return root


def _draw(
    size: tuple[int, int], count: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Noise with bright squares, (H, W, 3), and the middles of the squares, (count, 2)."""
    width, height = size
    pixels = rng.integers(0, 60, (height, width, 3), np.uint8)
    heads = rng.integers((6, 6), (width - 6, height - 6), (count, 2))
    for x, y in heads:
        pixels[y - 3 : y + 3, x - 3 : x + 3] = (255, 220, 180)
    return pixels, heads


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


def press_after(patch: pytest.MonkeyPatch, count: int, number: int = signal.SIGINT) -> list[int]:
    """Presses Ctrl-C, or sends another signal, after so many steps of trainings; notes the steps of each."""
    step, steps = Journal.step, list[int]()

    def pressed(self: Journal, done: int, *rest: Any) -> None:
        step(self, done, *rest)
        steps.append(done)
        if len(steps) == count:
            os.kill(os.getpid(), number)

    patch.setattr(Journal, "step", pressed)
    return steps
