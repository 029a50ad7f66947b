"""Pack the images of a recipe into a small folder, to train on a machine that little can be copied to.

    python scripts/pack_data.py p2pnet-lite --data DIR --mib 40 --out packed
    crowdpoint train packed/recipe.yaml --data packed --set run.precision=bf16 --set run.images=64

Each dataset gets a part of the size by its weight in the recipe, and a tenth of that for its held-out images.
Images are shrunk, compressed as WebP, and taken in random order until the part is full. The folder holds the
datasets as `folder` datasets, and the recipe that trains on them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import yaml

from crowdpoint import formats, images
from crowdpoint.config import load_recipe
from crowdpoint.datasets import Sample
from crowdpoint.errors import DatasetError
from crowdpoint.points import Points
from crowdpoint.recipe import DataConfig, Recipe
from crowdpoint.train.data import split
from crowdpoint.train.transforms import capped

HELD_OUT = 0.1
"""Part of a dataset's bytes for its held-out images."""


def pack(recipe: Recipe, data: Path, out: Path, size: int, max_side: int, quality: int) -> Recipe:
    """Write the datasets of a recipe and return the recipe that trains on them.

    Args:
        recipe: names the datasets, relative to `data`.
        data: folder of the datasets.
        out: folder to write to.
        size: bytes of all images together.
        max_side: longest side of a packed image in pixels.
        quality: WebP quality from 1 to 100.

    Raises:
        DatasetError: if a dataset counts in regions, or its part of the size holds no image.
    """
    total = sum(part.weight for part in recipe.data)
    packed = []
    for number, part in enumerate(recipe.data, start=1):
        name = f"{number}-{Path(part.label).name}"
        share = int(size * part.weight / total)
        for samples, subfolder, budget in zip(
            split(part, data, recipe.run),
            ("train", "val"),
            (int(share * (1 - HELD_OUT)), int(share * HELD_OUT)),
            strict=True,
        ):
            order = np.random.default_rng(recipe.run.seed).permutation(len(samples))
            chosen = [samples[index] for index in order]
            count = _pack_split(chosen, out / name / subfolder, budget, max_side, quality)
            print(f"{name}/{subfolder}: {count} of {len(samples)} images")
        packed.append(DataConfig(name="folder", path=name, weight=part.weight))
    result = recipe.model_copy(update={"data": tuple(packed)})
    text = yaml.safe_dump(result.model_dump(mode="json"), sort_keys=False)
    (out / "recipe.yaml").write_text(text, encoding="utf-8")
    return result


def _pack_split(samples: Sequence[Sample], folder: Path, budget: int, max_side: int, quality: int) -> int:
    """Write as many samples as the budget in bytes holds, and return their number."""
    annotations: dict[str, Points] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for sample in samples:
        if sample.mask is not None:
            raise DatasetError(f"{sample.image}: counts in a region, which a packed dataset cannot store")
        pixels, points = capped(images.read(sample.image), sample.points(), max_side)
        _, encoded = cv2.imencode(".webp", pixels[..., ::-1], (cv2.IMWRITE_WEBP_QUALITY, quality))
        budget -= len(encoded)
        if budget < 0:
            break
        (folder / f"{sample.name}.webp").write_bytes(encoded.tobytes())
        annotations[f"{sample.name}.webp"] = points
    if not annotations:
        raise DatasetError(f"{folder}: its part of the size holds no image; allow more with --mib")
    formats.write(folder / "points.csv", annotations)
    return len(annotations)


def main() -> None:
    """Pack the data of a recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="name or file of the recipe")
    parser.add_argument("--data", type=Path, required=True, help="folder of the datasets")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--mib", type=float, default=30, help="size of all images together in MiB")
    parser.add_argument("--max-side", type=int, default=1024, help="longest side of an image in pixels")
    parser.add_argument("--quality", type=int, default=45, help="WebP quality from 1 to 100")
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe)
    size = int(arguments.mib * 2**20)
    pack(recipe, arguments.data, arguments.out, size, arguments.max_side, arguments.quality)


if __name__ == "__main__":
    main()
