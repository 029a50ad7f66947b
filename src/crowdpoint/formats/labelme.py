"""LabelMe JSON, one file per image, also of AnyLabeling: points, rectangles and circles, in pixels."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crowdpoint.errors import FormatError
from crowdpoint.formats import documents
from crowdpoint.formats.classes import Classes, report_shapes
from crowdpoint.formats.documents import parse_real
from crowdpoint.formats.format import LABEL, Format, get_single
from crowdpoint.formats.text import build_points, locate_errors, shorten_floats
from crowdpoint.points import Points

_FEWEST = {"point": 1, "rectangle": 2, "circle": 2}
"""Shape of a head -> fewest points."""


def _read(path: Path, classes: Classes) -> dict[str, Points]:
    content = documents.load(path)
    match content:
        case {"imagePath": str(image), "shapes": list(shapes)}:
            pass
        case _:
            raise FormatError(f"{path}: expected an object with imagePath (a text) and shapes (a list)")
    rows, others = [], Counter[str]()
    for index, entry in enumerate(shapes, start=1):
        with locate_errors(path, f" shape {index}"):
            if not isinstance(entry, dict):
                raise ValueError(f"expected an object, found {entry!r}")
            kind = str(entry.get("shape_type", "polygon"))
            if kind not in _FEWEST:
                others[kind] += 1
            elif classes.keep(str(entry.get("label") or "")):
                rows.append(_read_head(kind, entry))
    report_shapes(path, others)
    with locate_errors(path):
        return {image: build_points(rows, documents.parse_size(content, "imageWidth", "imageHeight"))}


def _read_head(kind: str, entry: dict[str, Any]) -> list[float]:
    """Read x, y and score of a point; of a rectangle or a circle also its width and height."""
    corners = entry.get("points")
    if not isinstance(corners, list) or len(corners) < _FEWEST[kind]:
        raise ValueError(f"points: expected a list of at least {_FEWEST[kind]}, found {corners!r}")
    if not all(isinstance(corner, list) and len(corner) == 2 for corner in corners):
        raise ValueError(f"points: expected pairs of x and y, found {corners!r}")
    xs, ys = ([parse_real(value, "points") for value in axis] for axis in zip(*corners, strict=True))
    score = 1.0 if entry.get("score") is None else parse_real(entry["score"], "score")
    if kind == "point":
        return [xs[0], ys[0], score]
    if kind == "circle":  # its centre, and a point on it
        side = 2 * math.dist(corners[0], corners[1])
        return [xs[0], ys[0], score, side, side]
    left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
    return [(left + right) / 2, (top + bottom) / 2, score, right - left, bottom - top]


def _write(path: Path, points: Mapping[str, Points]) -> None:
    image, found = get_single(points)
    width, height = found.image_size or (None, None)
    scored = bool((found.scores != 1).any())
    shapes = []
    for index, (x, y) in enumerate(shorten_floats(found.xy)):
        corners = [[x, y]]
        if found.sizes is not None:
            across, down = (float(side) / 2 for side in found.sizes[index])
            corners = [[x - across, y - down], [x + across, y + down]]
        shape: dict[str, object] = {
            "label": LABEL,
            "points": corners,
            "group_id": None,
            "shape_type": "point" if found.sizes is None else "rectangle",
            "flags": {},
        }
        shapes.append(shape | {"score": float(str(found.scores[index]))} if scored else shape)
    content = {"version": "5.0.1", "flags": {}, "shapes": shapes, "imagePath": image}
    documents.save(path, content | {"imageData": None, "imageHeight": height, "imageWidth": width})


LABELME = Format(
    name="labelme",
    suffixes=(".json",),
    description="LabelMe and AnyLabeling, one image: points, rectangles and circles",
    read=_read,
    write=_write,
    accepts=lambda path: documents.detect_format(path) == "labelme",
    holds=frozenset({"scores", "sizes", "image_size", "names"}),
    file_name=lambda image: f"{image}.json",
)
