"""CSV point files: a header and one row per point; images without points have a row without x and y."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from crowdpoint.errors import FormatError
from crowdpoint.formats.format import Format
from crowdpoint.formats.text import build_points, parse_integer, parse_number, read_text
from crowdpoint.names import escape_cell, unescape_cell
from crowdpoint.points import Points

_COLUMNS = ("image", "x", "y", "score", "width", "height", "box_width", "box_height")
_REQUIRED = _COLUMNS[:3]

HEADERS = (_COLUMNS[:-2], _COLUMNS)
"""Columns of the files that are written: without boxes, and with them."""


_Image = tuple[tuple[int, int] | None, list[list[float]]]
"""Image size, and rows of x, y, score[, box width, box height]."""


def _read(path: Path) -> dict[str, Points]:
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    images: dict[str, _Image] = {}
    try:
        header = reader.fieldnames or []
        if not set(_REQUIRED) <= set(header):
            raise ValueError(
                f"expected a header with {','.join(_REQUIRED)}, found {','.join(header) or 'nothing'}"
            )
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(f"expected {len(header)} columns, as in the header")
            _add(images, row)
    except (ValueError, csv.Error) as error:
        raise FormatError(f"{path}:{max(1, reader.reader.line_num)}: {error}") from error
    return {name: build_points(rows, size) for name, (size, rows) in images.items()}


def _add(images: dict[str, _Image], row: dict[str, str]) -> None:
    name = unescape_cell(row["image"])
    if not name:
        raise ValueError("image: expected a name, found an empty cell")
    width, height = row.get("width", ""), row.get("height", "")
    size = (parse_integer(width, "width"), parse_integer(height, "height")) if width or height else None
    if size and not all(size):
        raise ValueError(f"expected an image size above 0, found {width} x {height}")
    known_size, rows = images.setdefault(name, (size, []))
    if known_size != size:
        raise ValueError(f"image {name} has a different size in an earlier row: {width} x {height}")
    if row["x"] or row["y"]:
        numbers = _read_numbers(row)
        if rows and len(rows[-1]) != len(numbers):
            raise ValueError(f"expected box_width and box_height on all points of {name} or on none")
        rows.append(numbers)


def _read_numbers(row: dict[str, str]) -> list[float]:
    numbers = [parse_number(row[name], name) for name in ("x", "y")]
    numbers.append(parse_number(row.get("score", 1), "score"))
    if not 0 <= numbers[2] <= 1:
        raise ValueError(f"score: expected a value in [0, 1], found {row['score']}")
    if row.get("box_width") or row.get("box_height"):
        box = [parse_number(row.get(name, ""), name) for name in ("box_width", "box_height")]
        if min(box) < 0:
            raise ValueError(f"expected a box size of at least 0, found {box[0]} x {box[1]}")
        numbers += box
    return numbers


def _write(path: Path, points: Mapping[str, Points]) -> None:
    boxed = any(found.sizes is not None for found in points.values())
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADERS[boxed])
    for image, found in points.items():
        size = found.image_size or ("", "")
        boxes = [("", "")] * len(found) if found.sizes is None else found.sizes
        name = escape_cell(image)
        for (x, y), score, box in zip(found.xy, found.scores, boxes, strict=True):
            writer.writerow((name, x, y, score, *size, *(box if boxed else ())))
        if not len(found):
            writer.writerow((name, "", "", "", *size, *(("", "") if boxed else ())))
    path.write_text(text.getvalue(), encoding="utf-8", newline="")


CSV = Format(
    name="csv",
    suffixes=(".csv",),
    description="header image,x,y[,score][,width,height][,box_width,box_height], then one row per point",
    read=lambda path, _: _read(path),
    write=_write,
    holds=frozenset({"scores", "sizes", "image_size", "names"}),
)
