"""JSON documents: reading them with the place in every complaint, and telling their formats apart."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from crowdpoint.errors import FormatError
from crowdpoint.formats.text import number, read_text, reading, whole


def load(path: Path) -> Any:
    """The value of a JSON file."""
    return loads(path, read_text(path), 1)


def loads(path: Path, text: str, first_line: int) -> Any:
    """The value of `text`, which begins at `first_line` of `path`.

    Raises:
        FormatError: if it is not JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise FormatError(f"{path}:{first_line + error.lineno - 1}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # an endless number, or brackets without end
        raise FormatError(f"{path}:{first_line}: not JSON: {error}") from error


def save(path: Path, value: object) -> None:
    """Writes `value` as a JSON file."""
    path.write_text(json.dumps(value) + "\n", encoding="utf-8")


def real(value: object, name: str) -> float:
    """A JSON number that fits float32.

    Raises:
        ValueError: if it is anything else; the message starts with `name`.
    """
    if isinstance(value, bool | str):
        raise ValueError(f"{name}: expected a number, found {value!r}")
    return number(value, name)


def size(entry: dict[str, Any], width: str = "width", height: str = "height") -> tuple[int, int] | None:
    """(width, height) of an image under these keys of an object; None where it has neither."""
    sides = [entry.get(width), entry.get(height)]
    return None if sides == [None, None] else (whole(sides[0], width), whole(sides[1], height))


def kind(path: Path) -> str:
    """Which of the JSON formats a file is in; `json` where it is none of the others.

    Raises:
        FormatError: if the file cannot be read.
    """
    with reading(path):
        status = path.stat()
    return _kind(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)  # every JSON format asks the same about the same file
def _kind(path: Path, _modified: int, _size: int) -> str:
    try:
        value = load(path)
    except FormatError:
        return "json"  # perhaps an object a line; if not, that format's reader complains
    match value:
        case {"type": "FeatureCollection"}:
            return "geojson"
        case {"images": _, "annotations": list(annotations)}:
            categories = value.get("categories")
            keyed = [*annotations, *(categories if isinstance(categories, list) else [])]
            boxes = not any(isinstance(entry, dict) and "keypoints" in entry for entry in keyed)
            return "coco-boxes" if boxes else "coco-keypoints"
        case [{"data": dict()}, *_]:
            return "label-studio"
        case _:
            return "json"
