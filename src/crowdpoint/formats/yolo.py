"""YOLO boxes, one text file per image, as fractions of the image size; points are their centres."""

from collections.abc import Mapping
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import numpy as np

from crowdpoint.errors import FormatError
from crowdpoint.folders import IMAGE_SUFFIXES, list_files, swap_folder
from crowdpoint.formats.classes import Classes
from crowdpoint.formats.format import Format, get_single
from crowdpoint.formats.image_names import match
from crowdpoint.formats.text import (
    build_points,
    locate_errors,
    parse_integer,
    parse_number,
    read_rows,
    shorten_floats,
)
from crowdpoint.points import Points

CLASS_LIST = "classes.txt"
"""File that labelling tools write beside the labels, with the names of the classes."""

_NAMES = ("x", "y", "width", "height")


def _read(path: Path, classes: Classes) -> dict[str, Points]:
    table = []
    for line, words in read_rows(path):
        with locate_errors(path, line):
            row = _parse_row(words)
            if classes.keep(words[0]):
                table.append(row)
    image = _find_image(path)
    if image is None:
        if table:
            raise FormatError(
                f"{path}: no image found beside it, or under images/ instead of labels/; "
                "YOLO boxes are fractions of the image size"
            )
        return {path.stem: Points.empty()}
    from crowdpoint import rasters  # slow to import

    width, height = size = rasters.read_size(image)
    rows = [[x * width, y * height, score, w * width, h * height] for x, y, w, h, score in table]
    return {path.stem: build_points(rows, size)}


def _parse_row(words: list[str]) -> list[float]:
    """Parse x, y, width, height (fractions) and the score; for polygons, of the bounding box."""
    polygon = len(words) >= 7 and len(words) % 2 == 1
    if len(words) not in (5, 6) and not polygon:
        raise ValueError(
            "expected class x y width height [score], or a polygon class x y x y x y..., "
            f"found {len(words)} numbers"
        )
    parse_integer(words[0], "class")
    if polygon:
        corners = [parse_number(word, name) for word, name in zip(words[1:], cycle("xy"), strict=False)]
        if not -0.5 <= min(corners) <= max(corners) <= 1.5:
            raise ValueError(
                f"expected a polygon of fractions of the image size, found {max(corners, key=abs):g}; "
                "lines with key points or a track's number cannot be read, keep the first five words of each"
            )
        (left, right), (top, bottom) = ((min(side), max(side)) for side in (corners[::2], corners[1::2]))
        row = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top, 1.0]
    else:
        row = [parse_number(word, name) for word, name in zip(words[1:], (*_NAMES, "score"), strict=False)]
    for value, name in zip(row, _NAMES, strict=False):
        least = -1 if name in "xy" else 0  # boxes may extend beyond the image
        if not least <= value <= 2:
            raise ValueError(f"{name}: expected a fraction of the image size, found {value}")
    if len(words) == 6 and not 0 <= row[4] <= 1:
        raise ValueError(f"score: expected a value in [0, 1], found {row[4]}")
    return row if len(row) == 5 else [*row, 1.0]


def _find_image(path: Path) -> Path | None:
    """Find the image of a label file: beside it, or with the last labels/ in its path replaced by images/."""
    candidates = (path.parent, swap_folder(path.parent, "labels", "images"))
    folders = [folder for folder in candidates if folder is not None and folder.is_dir()]
    # Try equal names first, because listing and matching take long in large folders.
    for find in (_find_equal, _list_images):
        for folder in folders:
            with locate_errors(path, " its image"):
                known = match(find(folder, path.stem), [path.stem])
            if known:
                return folder / next(iter(known))
    return None


def _list_images(folder: Path, _stem: str) -> list[str]:
    return [photo.name for photo in list_files(folder, IMAGE_SUFFIXES)]


def _find_equal(folder: Path, stem: str) -> list[str]:
    """Find the images in a folder with this stem, and an extension in lower or upper case."""
    found: dict[tuple[int, int], str] = {}  # by file, because the file system may ignore case
    for suffix in sorted(IMAGE_SUFFIXES):
        for name in (f"{stem}{suffix}", f"{stem}{suffix.upper()}"):
            with suppress(OSError):
                status = (folder / name).stat()
                found.setdefault((status.st_dev, status.st_ino), name)
    return list(found.values())


def _write(path: Path, points: Mapping[str, Points]) -> None:
    _, found = get_single(points)
    width, height = found.image_size or (1, 1)  # None only without points
    sizes = np.zeros_like(found.xy) if found.sizes is None else found.sizes
    boxes = np.hstack([found.xy, sizes]).astype(np.float64) / (width, height, width, height)
    scored = bool((found.scores != 1).any())
    lines = []
    for box, (score,) in zip(boxes, shorten_floats(found.scores[:, None]), strict=True):
        words = ["0", *(f"{value:.9g}" for value in box), *([str(score)] if scored else [])]
        lines.append(" ".join(words) + "\n")
    path.write_text("".join(lines), encoding="utf-8")


def _looks_like(path: Path) -> bool:
    """Check whether the first line begins like a box; `_read` reports what is wrong with the rest."""
    _, words = next(read_rows(path), (0, []))
    with suppress(ValueError):
        return bool(_parse_row(words[:5]))
    return False


YOLO = Format(
    name="yolo",
    suffixes=(".txt",),
    description="YOLO boxes of one image: lines `class x y width height [score]`, fractions of the size",
    read=_read,
    write=_write,
    accepts=_looks_like,
    holds=frozenset({"scores", "sizes"}),
    needs=frozenset({"sizes", "image_size"}),
    file_name=lambda image: f"{image}.txt",
)
