"""JSON point files: one object per image, one per line or in an array."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crowdpoint.estimate import Estimate, Found
from crowdpoint.formats import documents
from crowdpoint.formats.format import Format
from crowdpoint.formats.text import build_points, parse_images, read_text, shorten_floats
from crowdpoint.points import Points


def to_record(image: str, points: Found) -> dict[str, object]:
    """Convert the points of an image to an object for `json.dumps`, with the digits of float32.

    `width` and `height` are null if unknown. Points with sizes have `box_width` and `box_height`. An
    estimate has a count, and null as its points.

    >>> to_record("a.jpg", Points([[1.5, 2]]))["points"]
    [{'x': 1.5, 'y': 2.0, 'score': 1.0}]
    """
    width, height = points.image_size or (None, None)
    shared: dict[str, object] = {"image": image, "width": width, "height": height, "count": len(points)}
    if isinstance(points, Estimate):
        return shared | {"points": None}
    names = ["x", "y", "score"]
    columns = [points.xy, points.scores[:, None]]
    if points.sizes is not None:
        names += ["box_width", "box_height"]
        columns.append(points.sizes)
    table = shorten_floats(np.hstack(columns))
    return shared | {"points": [dict(zip(names, row, strict=True)) for row in table]}


def to_prediction(
    image: str,
    points: Found,
    interval: tuple[int, int] | None,
    warning: str | None,
    scale: float,
    model: str,
) -> dict[str, object]:
    """Extend an image's record by the interval of its count (nulls if unknown), warning, scale and model."""
    low, high = interval or (None, None)
    certainty = {"count_low": low, "count_high": high, "warning": warning}
    return to_record(image, points) | certainty | {"scale": round(scale, 4), "model": model}


def _read_entries(path: Path) -> Iterator[tuple[str, object]]:
    text = read_text(path)
    start = text.lstrip()
    if start.startswith("[") or start.partition("\n")[0].strip() == "{":  # an array, or an indented object
        whole = documents.loads(path, text, 1)
        for index, entry in enumerate(whole if isinstance(whole, list) else [whole], start=1):
            yield f" object {index}", entry
        return
    for line, part in enumerate(text.split("\n"), start=1):
        if part.strip():
            yield str(line), documents.loads(path, part, line)


def parse_record(entry: Any) -> tuple[str, Points]:
    """Parse the object of an image; `count`, `width` and `height` are optional.

    Raises:
        ValueError: if the object is invalid.
    """
    match entry:
        case {"image": str(image), "points": list(heads)}:
            pass
        case _:
            found = f"the keys {', '.join(map(str, entry))}" if isinstance(entry, dict) else repr(entry)[:40]
            raise ValueError(f"expected an object with image (a text) and points (a list), found {found}")
    for head in heads:
        if not isinstance(head, dict):
            raise ValueError(f"expected a point to be an object with x and y, found {head!r}")
    boxed = any("box_width" in head for head in heads)
    names = ("x", "y", "score", *(("box_width", "box_height") if boxed else ()))
    defaults = {"score": 1.0}
    rows = [[documents.parse_real(head.get(n, defaults.get(n)), n) for n in names] for head in heads]
    count = entry.get("count")
    if count is not None and count != len(heads):
        raise ValueError(f"count is {count}, but there are {len(heads)} points")
    return image, build_points(rows, documents.parse_size(entry))


def _write(path: Path, points: Mapping[str, Points]) -> None:
    lines = [json.dumps(to_record(image, found)) for image, found in points.items()]
    text = "[\n" + ",\n".join(lines) + "\n]\n" if path.suffix == ".json" else "".join(f"{x}\n" for x in lines)
    path.write_text(text, encoding="utf-8")


JSON = Format(
    name="json",
    suffixes=(".json", ".jsonl"),
    description="objects of `predict --json`, one per image, as lines (.jsonl) or an array (.json)",
    read=lambda path, _: parse_images(path, _read_entries(path), parse_record),
    write=_write,
    accepts=lambda path: documents.detect_format(path) == "json",
    holds=frozenset({"scores", "sizes", "image_size", "names"}),
)
