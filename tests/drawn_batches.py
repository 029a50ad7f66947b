"""Folders of small drawn photos, and what a batch has made of them."""

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from pyarrow import parquet


def draw_photos(folder: Path, count: int) -> list[str]:
    """Draws photos with 0, 1 or 2 bright dots, every third in a folder below; their locations, in order."""
    (folder / "below").mkdir(parents=True)
    paths = []
    for number in range(count):
        image = np.zeros((64, 96, 3), np.uint8)
        for dot in range(number % 3):
            image[4, 4 + 40 * dot] = 255
        paths.append(folder / ("below" if number % 3 == 2 else "") / f"{number:03}.png")
        Image.fromarray(image).save(paths[-1])
    return sorted(str(path.resolve()) for path in paths)


def rows(out: Path, table: str) -> list[dict[str, object]]:
    """The rows of a table, file by file, as any reader of Parquet finds them."""
    files = sorted((out / table).glob("*.parquet"))
    return [row for file in files for row in parquet.ParquetFile(file).read().to_pylist()]


def images(out: Path, *tables: str) -> Counter[str]:
    """How often each image is in the tables together."""
    return Counter(
        str(row["image"]) for table in tables or ("points", "failures") for row in rows(out, table)
    )
