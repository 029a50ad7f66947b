"""Read JSON documents with locations in error messages, and detect their format."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from crowdpoint.errors import FormatError
from crowdpoint.formats.text import parse_integer, parse_number, read_text, wrap_read_errors

_UNKNOWN = (None, 0, "0")
"""Width and height of an image whose size a tool does not know."""


def load(path: Path) -> Any:
    """Read a JSON file."""
    return loads(path, read_text(path), 1)


def loads(path: Path, text: str, first_line: int) -> Any:
    """Parse JSON `text`, which begins at line `first_line` of `path`."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise FormatError(f"{path}:{first_line + error.lineno - 1}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # too long numbers, too deep nesting
        raise FormatError(f"{path}:{first_line}: not JSON: {error}") from error


def save(path: Path, value: object) -> None:
    """Write `value` as a JSON file."""
    path.write_text(json.dumps(value) + "\n", encoding="utf-8")


def parse_real(value: object, name: str) -> float:
    """Convert a JSON number as `parse_number`; a text or a truth value is no number."""
    if isinstance(value, bool | str):
        raise ValueError(f"{name}: expected a number, found {value!r}")
    return parse_number(value, name)


def parse_size(
    entry: Mapping[str, Any], width: str = "width", height: str = "height"
) -> tuple[int, int] | None:
    """Read the (width, height) of an image from these keys of an object; None if both are 0 or missing."""
    if entry.get(width) in _UNKNOWN and entry.get(height) in _UNKNOWN:
        return None
    return parse_integer(entry.get(width), width), parse_integer(entry.get(height), height)


def detect_format(path: Path) -> str:
    """Detect the JSON format of a file; `json` if it is no other."""
    with wrap_read_errors(path):
        status = path.stat()
    return _detect_format(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)  # detection asks every JSON format about the same file
def _detect_format(path: Path, _modified: int, _size: int) -> str:
    try:
        value = load(path)
    except FormatError:
        return "json"  # maybe JSON Lines; otherwise its reader reports the error
    match value:
        case {"type": "FeatureCollection"}:
            return "geojson"
        case {"images": _, "annotations": list(annotations)}:
            categories = value.get("categories")
            keyed = [*annotations, *(categories if isinstance(categories, list) else [])]
            boxes = not any(isinstance(entry, dict) and entry.get("keypoints") for entry in keyed)
            return "coco-boxes" if boxes else "coco-keypoints"
        case [{"data": dict()} | {"annotation_id": _}, *_]:
            return "label-studio"
        case {"imagePath": _, "shapes": _}:
            return "labelme"
        case _:
            return "json"
