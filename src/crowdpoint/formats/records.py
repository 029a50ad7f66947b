"""Points as JSON: one object for each image, on a line of its own or in one array."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crowdpoint.estimate import Estimate, Found
from crowdpoint.formats import documents
from crowdpoint.formats.format import Format
from crowdpoint.formats.text import at, read_text, shortest
from crowdpoint.points import Points


def record(image: str, points: Found) -> dict[str, object]:
    """The object of one image, ready for `json.dumps`; the numbers are those of float32, no longer.

    An estimate, which only counts, has null as its points.

    `width` and `height` are null when `points` do not know them; each point has `box_width` and
    `box_height` when it has a size.
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
    table = shortest(np.hstack(columns))
    return shared | {"points": [dict(zip(names, row, strict=True)) for row in table]}


def prediction(image: str, points: Found, interval: tuple[int, int] | None, model: str) -> dict[str, object]:
    """The object of one predicted image: its record, the interval of its count or nulls, and the model."""
    low, high = interval or (None, None)
    return record(image, points) | {"count_low": low, "count_high": high, "model": model}


def _read(path: Path) -> dict[str, Points]:
    points: dict[str, Points] = {}
    for place, entry in _entries(path):
        with at(path, place):
            image, found = parse(entry)
            if image in points:
                raise ValueError(f"image {image} comes a second time")
        points[image] = found
    return points


def _entries(path: Path) -> Iterator[tuple[str, object]]:
    """Each object of the file with its place: its line, or its number in the array."""
    text = read_text(path)
    if text.lstrip().startswith("["):
        for index, entry in enumerate(documents.loads(path, text, 1), start=1):
            yield f" object {index}", entry
        return
    for line, part in enumerate(text.split("\n"), start=1):
        if part.strip():
            yield str(line), documents.loads(path, part, line)


def parse(entry: Any) -> tuple[str, Points]:
    """The image and the points of such an object; `count`, `width` and `height` may be absent.

    Raises:
        ValueError: if it is anything else.
    """
    match entry:
        case {"image": str(image), "points": list(heads)}:
            pass
        case _:
            raise ValueError("expected an object with image (a text) and points (a list)")
    xy = [[_member(head, "x"), _member(head, "y")] for head in heads]
    scores = [_member(head, "score", 1.0) for head in heads]
    boxed = any("box_width" in head for head in heads)
    sizes = [[_member(head, "box_width"), _member(head, "box_height")] for head in heads] if boxed else None
    count = entry.get("count")
    if count is not None and count != len(heads):
        raise ValueError(f"count is {count}, but there are {len(heads)} points")
    points = Points(
        np.array(xy, np.float32),
        np.array(scores, np.float32),
        None if sizes is None else np.array(sizes, np.float32),
        documents.size(entry),
    )
    return image, points


def _member(head: object, name: str, default: float | None = None) -> float:
    if not isinstance(head, dict):
        raise ValueError(f"expected a point to be an object with x and y, found {head!r}")
    value = head.get(name, default)
    return documents.real(value, name)


def _write(path: Path, points: Mapping[str, Points]) -> None:
    lines = [json.dumps(record(image, found)) for image, found in points.items()]
    text = "[\n" + ",\n".join(lines) + "\n]\n" if path.suffix == ".json" else "".join(f"{x}\n" for x in lines)
    path.write_text(text, encoding="utf-8")


JSON = Format(
    name="json",
    suffixes=(".json", ".jsonl"),
    description="the objects of `predict --json`, one for each image: lines (.jsonl) or an array (.json)",
    read=_read,
    write=_write,
    accepts=lambda path: documents.kind(path) == "json",
    holds=frozenset({"scores", "sizes", "image_size", "names"}),
)
