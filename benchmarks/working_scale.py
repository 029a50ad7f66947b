"""Measure how the counting error depends on an image's number of pixels.

    python benchmarks/working_scale.py --data DIR --images 20 --folder varied/photos-native

Each image is resized, as if a camera of more or fewer pixels had taken it, and counted at the scale 1 and at
the scale that follows the heads. The images are those that the recipe holds out of training, and all images
of `--folder`. Enlarged images have no new detail; shrunk ones lose it. `--closeup 2.5` crops each image to a
square around its largest head, of 2.5 times its side. The last lines compare the error of counts that have a
warning with that of the others.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crowdpoint import datasets, images
from crowdpoint.config import load_recipe
from crowdpoint.datasets import Sample
from crowdpoint.points import Picture, Points
from crowdpoint.predict import Predictor
from crowdpoint.train.data import split

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Of the images' width and height."""

LARGE_HEAD = 50
"""Least side in pixels of the head of a close-up."""


class Measured(NamedTuple):
    """Counts of images at one working scale.

    Attributes:
        mae: mean absolute error.
        seconds: per image.
        shares: error of each image divided by its heads and 1.
        warned: whether each count has a warning.
    """

    mae: float
    seconds: float
    shares: list[float]
    warned: list[bool]


def measure(predictor: Predictor, samples: Sequence[Sample], factor: float, closeup: float) -> Measured:
    """Count the heads on images that are cropped and resized by a factor."""
    errors, shares, warned, seconds = [], [], [], 0.0
    for sample in samples:
        pixels, true = images.read(sample.image), len(sample.points())
        if closeup:
            pixels, true = crop(pixels, sample.points(), closeup)
        height, width, _ = pixels.shape
        pixels = images.resize(pixels, images.scaled_size((width, height), factor))
        start = time.perf_counter()
        found, scales = predictor.search(pixels)
        seconds += time.perf_counter() - start
        errors.append(abs(len(found) - true))
        shares.append(errors[-1] / (true + 1))
        warned.append(predictor.warning(found, scales) is not None)
    return Measured(float(np.mean(errors)), seconds / len(samples), shares, warned)


def has_large_head(sample: Sample) -> bool:
    """Check whether a head is large enough to be cropped."""
    sizes = sample.points().sizes
    return sizes is not None and len(sizes) > 0 and float(sizes.max()) >= LARGE_HEAD


def crop(pixels: Picture, heads: Points, sides: float) -> tuple[Picture, int]:
    """Crop an image to `sides` times the side of its largest head, and count the heads there."""
    assert heads.sizes is not None
    largest = int(heads.sizes.max(axis=1).argmax())
    reach = sides * heads.sizes[largest].max() / 2
    left, top = np.maximum(heads.xy[largest] - reach, 0).astype(int)
    right, bottom = (heads.xy[largest] + reach).astype(int)
    cropped = np.ascontiguousarray(pixels[top:bottom, left:right])
    inside = (heads.xy >= (left, top)) & (heads.xy < (right, bottom))
    return cropped, int(inside.all(axis=1).sum())


def main() -> None:
    """Print a row for each dataset and factor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the recipe's datasets")
    parser.add_argument("--model", default="fidtm-lite")
    parser.add_argument("--recipe", default="p2pnet-lite")
    parser.add_argument("--sets", nargs="*", help="labels of the recipe's datasets; all by default")
    parser.add_argument("--folder", action="append", default=[], help="a folder of images to judge, too")
    parser.add_argument("--images", type=int, default=20, help="the most images of a dataset")
    parser.add_argument("--factors", type=float, nargs="*", default=FACTORS)
    parser.add_argument(
        "--closeup", type=float, default=0.0, help="crop to so many sides of the largest head"
    )
    options = parser.parse_args()
    recipe = load_recipe(options.recipe)
    held_out = {
        part.label: split(part, options.data, recipe.run)[1]
        for part in recipe.data
        if options.sets is None or part.label in options.sets
    }
    held_out |= {Path(f).name: datasets.load("folder", options.data / f, "test") for f in options.folder}
    fixed, auto = (Predictor.load(options.model, scale=scale) for scale in (1.0, "auto"))
    print(f"{'images':>16}{'resized by':>12}{'scale 1':>10}{'s/image':>10}{'auto':>10}{'s/image':>10}")
    by_warning: dict[bool, list[float]] = {True: [], False: []}
    for label, samples in held_out.items():
        if options.closeup:
            samples = [sample for sample in samples if has_large_head(sample)]
        chosen = samples[:: max(1, -(-len(samples) // options.images))]
        for factor in options.factors if chosen else ():
            whole, followed = (
                measure(predictor, chosen, factor, options.closeup) for predictor in (fixed, auto)
            )
            for share, warned in zip(followed.shares, followed.warned, strict=True):
                by_warning[warned].append(share)
            row = (whole.mae, whole.seconds, followed.mae, followed.seconds)
            figures = "".join(f"{value:>10.2f}" for value in row)
            print(f"{label:>16}{factor:>12g}{figures}", flush=True)
    for warned, shares in by_warning.items():
        if shares:
            print(
                f"auto, {'with' if warned else 'without'} a warning: {len(shares)} images, "
                f"error {np.mean(shares):.2f} per head"
            )


if __name__ == "__main__":
    main()
