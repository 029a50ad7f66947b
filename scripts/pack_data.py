"""Pack the images of a recipe into a small folder, to train on a machine that little can be copied to.

    python scripts/pack_data.py p2pnet-lite --data DIR --mib 90 --out packed
    crowdpoint train packed/recipe.yaml --data packed --set run.precision=bf16 --set run.images=64

Images are shrunk and compressed as AVIF. If they are larger than the size, each dataset gets a part of it by
its weight in the recipe, and random images are left out. The folder holds `folder` datasets and the recipe
that trains on them.
"""

import argparse
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from PIL import Image

from crowdpoint import formats, images
from crowdpoint.config import load_recipe
from crowdpoint.datasets import Sample
from crowdpoint.errors import DatasetError
from crowdpoint.points import Points
from crowdpoint.recipe import DataConfig, Recipe
from crowdpoint.train.data import split
from crowdpoint.train.transforms import shrink


class Packed(NamedTuple):
    """An encoded image with its points."""

    name: str
    image: bytes
    points: Points


def pack(
    recipe: Recipe, data: Path, out: Path, size: int, max_side: int, quality: int, held_out: int
) -> Recipe:
    """Write the datasets of a recipe and return the recipe that trains on them.

    Args:
        recipe: names the datasets, relative to `data`.
        data: folder of the datasets.
        out: folder to write to.
        size: bytes of all training images together.
        max_side: longest side of a packed image in pixels.
        quality: AVIF quality from 1 to 100.
        held_out: most held-out images of each dataset.

    Raises:
        DatasetError: if a dataset counts in regions, or its part of the size holds no image.
    """
    encode = partial(_encode, max_side=max_side, quality=quality)
    kept: list[list[Packed]] = []
    aside: list[list[Packed]] = []
    with ThreadPoolExecutor() as pool:
        for part in recipe.data:
            order = np.random.default_rng(recipe.run.seed)
            for samples, packed, most in zip(
                split(part, data, recipe.run), (kept, aside), (None, held_out), strict=True
            ):
                chosen = [samples[index] for index in order.permutation(len(samples))[:most]]
                packed.append(list(pool.map(encode, chosen)))
    wanted = [sum(len(own.image) for own in part) for part in kept]
    parts = []
    for number, (part, budget) in enumerate(
        zip(recipe.data, shares(wanted, [part.weight for part in recipe.data], size), strict=True)
    ):
        name = f"{number + 1}-{Path(part.label).name}"
        count = _write(kept[number], out / name / "train", budget)
        _write(aside[number], out / name / "val")
        print(f"{name}: {count} of {len(kept[number])} training images")
        limit = part.max_side
        parts.append(DataConfig(name="folder", path=name, weight=part.weight, max_side=limit))
    result = recipe.model_copy(update={"data": tuple(parts)})
    text = yaml.safe_dump(result.model_dump(mode="json"), sort_keys=False)
    (out / "recipe.yaml").write_text(text, encoding="utf-8")
    return result


def shares(wanted: Sequence[int], weights: Sequence[float], size: float) -> list[int]:
    """Split a size by weights. What a part does not want goes to the others, by their weights.

    Args:
        wanted: the most for each part.
        weights: of the parts, above 0.
        size: what to split.
    """
    result = list(wanted)
    remaining = set(range(len(wanted)))
    while remaining:
        unit = size / sum(weights[part] for part in remaining)
        content = {part for part in remaining if wanted[part] <= unit * weights[part]}
        if not content:
            for part in remaining:
                result[part] = int(unit * weights[part])
            break
        size -= sum(wanted[part] for part in content)
        remaining -= content
    return result


def _encode(sample: Sample, max_side: int, quality: int) -> Packed:
    if sample.mask is not None:
        raise DatasetError(f"{sample.image}: counts in a region, which a packed dataset cannot store")
    pixels, points = shrink(images.read(sample.image), sample.points(), max_side)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "AVIF", quality=quality, speed=6)
    return Packed(f"{sample.name}.avif", encoded.getvalue(), points)


def _write(packed: Sequence[Packed], folder: Path, budget: float = float("inf")) -> int:
    """Write as many images as the budget in bytes holds, and return their number."""
    ends = np.cumsum([len(own.image) for own in packed])
    fitting = packed[: int(np.searchsorted(ends, budget, side="right"))]
    if not fitting:
        raise DatasetError(f"{folder}: its part of the size holds no image; allow more with --mib")
    for own in fitting:
        (folder / own.name).parent.mkdir(parents=True, exist_ok=True)
        (folder / own.name).write_bytes(own.image)
    formats.write(folder / "points.csv", {own.name: own.points for own in fitting})
    return len(fitting)


def main() -> None:
    """Pack the data of a recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="name or file of the recipe")
    parser.add_argument("--data", type=Path, required=True, help="folder of the datasets")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--mib", type=float, default=30, help="size of all training images in MiB")
    parser.add_argument("--max-side", type=int, default=1024, help="longest side of an image in pixels")
    parser.add_argument("--quality", type=int, default=50, help="AVIF quality from 1 to 100")
    parser.add_argument("--held-out", type=int, default=10, help="most held-out images of each dataset")
    given = parser.parse_args()
    recipe = load_recipe(given.recipe)
    size = int(given.mib * 2**20)
    pack(recipe, given.data, given.out, size, given.max_side, given.quality, given.held_out)


if __name__ == "__main__":
    main()
