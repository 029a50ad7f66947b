"""Two systems on drawn images, for tests of reports."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from crowdpoint.metrics import Evaluator
from crowdpoint.points import Points
from crowdpoint.report import System

SIZE = (120, 80)
COUNTS = (0, 3, 12, 5, 30, 8, 2)


def draw_truth() -> dict[str, Points]:
    """Crowds of several sizes, the first of them of nobody."""
    rng = np.random.default_rng(0)
    return {
        f"IMG_{number}": Points(rng.uniform(0, SIZE, (count, 2)).astype(np.float32), image_size=SIZE)
        for number, count in enumerate(COUNTS)
    }


def draw_images(folder: Path, truth: Mapping[str, Points]) -> dict[str, Path]:
    """A grey picture for each image."""
    folder.mkdir()
    for name in truth:
        Image.new("RGB", SIZE, (120, 130, 140)).save(folder / f"{name}.png")
    return {name: folder / f"{name}.png" for name in truth}


def draw_system(name: str, truth: Mapping[str, Points], *, ranked: bool = True, spread: float = 2) -> System:
    """Most heads, a few pixels off, and a point elsewhere; with scores if `ranked`."""
    rng = np.random.default_rng(1)
    predictions = {}
    evaluator = Evaluator(curves=True)
    for image, heads in truth.items():
        found = heads.xy[rng.random(len(heads)) < 0.8]
        xy = np.concatenate((found + rng.normal(0, spread, found.shape), rng.uniform(0, SIZE, (1, 2))))
        scores = rng.uniform(0.5, 1, len(xy)).astype(np.float32) if ranked else np.ones(len(xy), np.float32)
        predictions[image] = Points(xy.astype(np.float32), scores, image_size=SIZE)
        evaluator.update(predictions[image], heads, name=image)
    return System(name, "p2pnet" if ranked else "", evaluator.compute(), predictions)
