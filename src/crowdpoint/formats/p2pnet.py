"""P2PNet's text files: a list of images, and one file with `x y` lines per image."""

import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from crowdpoint.formats.format import Format, get_single
from crowdpoint.formats.image_names import plain_name
from crowdpoint.formats.text import (
    check_word,
    locate_errors,
    parse_images,
    parse_number,
    read_rows,
    shorten_floats,
    wrap_read_errors,
)
from crowdpoint.points import Points


def _read_points(path: Path) -> Points:
    xy = []
    for line, words in read_rows(path):
        with locate_errors(path, line):
            if len(words) != 2:
                raise ValueError(f"expected two numbers, x y, found {len(words)} words")
            xy.append((parse_number(words[0], "x"), parse_number(words[1], "y")))
    return Points(np.array(xy, np.float32))


def _read_list(path: Path) -> dict[str, Points]:
    def parse(words: list[str]) -> tuple[str, Points]:
        if len(words) != 2:
            raise ValueError(f"expected an image and its text file, found {len(words)} words")
        return words[0], _read_points(_resolve_below(path.parent, words[1]))

    return parse_images(path, read_rows(path), parse)


def _resolve_below(folder: Path, name: str) -> Path:
    """Resolve a file name below a folder. Untrusted lists must not open other files."""
    path = folder / name
    with wrap_read_errors(path):
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(
                f"expected a text file below the list's folder, found {name}; use names relative to the list"
            )
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(f"expected a text file, found {name}, which is not a regular file")
    return path


def _write_points(path: Path, points: Points) -> None:
    path.write_text("".join(f"{x} {y}\n" for x, y in shorten_floats(points.xy)), encoding="utf-8")


def _write_list(path: Path, points: Mapping[str, Points]) -> None:
    """Write the list, and for each image a text file at its path relative to the list's folder."""
    lines = []
    taken = {path.name.casefold(): "the list itself"}
    for image, found in points.items():
        place = PurePosixPath(check_word(image))
        annotation = place.parent / f"{plain_name(image)}.txt"
        if place.is_absolute() or ".." in place.parts or not place.name:
            raise ValueError(f"the image {image} is not below the list's folder; use relative names")
        if (other := taken.setdefault(str(annotation).casefold(), image)) != image:
            raise ValueError(f"{image} and {other} would both be written to {annotation}; rename one of them")
        lines.append(f"{image} {annotation}\n")
        (path.parent / annotation.parent).mkdir(parents=True, exist_ok=True)
        _write_points(path.parent / annotation, found)
    path.write_text("".join(lines), encoding="utf-8")


def _is_points(path: Path) -> bool:
    return all(len(words) == 2 and _is_number(words[1]) for _, words in read_rows(path))


def _is_list(path: Path) -> bool:
    first = next(read_rows(path), None)
    return first is not None and len(first[1]) == 2 and not _is_number(first[1][1])


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


POINTS = Format(
    name="xy",
    suffixes=(".txt",),
    description="one image with the name of the file: lines `x y`",
    read=lambda path, _: {path.stem: _read_points(path)},
    write=lambda path, points: _write_points(path, get_single(points)[1]),
    accepts=_is_points,
    file_name=lambda image: f"{image}.txt",
)
LIST = Format(
    name="p2pnet",
    suffixes=(".txt", ".list"),
    description="lines `image file.txt`, relative to the list's folder; each file has lines `x y`",
    read=lambda path, _: _read_list(path),
    write=_write_list,
    accepts=_is_list,
    holds=frozenset({"names"}),
)
