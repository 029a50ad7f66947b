"""Read annotations of NWPU-Crowd as distributed, one file per image in `jsons/` or `mats/`.

The point files of its benchmark are another format: `formats.nwpu`.
"""

from pathlib import Path
from typing import Any

from crowdpoint.errors import FormatError
from crowdpoint.formats import documents, mat
from crowdpoint.points import Points


def read(path: Path, image_size: tuple[int, int] | None = None) -> Points:
    """Read points (x, y) and boxes (x1, y1, x2, y2) from `0001.json` or `0001.mat`.

    The boxes become the sizes of the points.

    Raises:
        FormatError: if the file is missing or has other contents.
    """
    if path.suffix.lower() == ".mat":
        locations, boxes = mat.read_variable(path, "annPoints"), mat.read_variable(path, "annBoxes")
    else:
        content = _load(path)
        locations, boxes = content["points"], content["boxes"]
    return mat.add_boxes(path, mat.to_points(path, locations, image_size), boxes)


def read_stated_count(path: Path) -> int | None:
    """Read the number of heads stated in a `.json` file; None if missing."""
    count = None if path.suffix.lower() == ".mat" else _load(path).get("human_num")
    return count if isinstance(count, int) else None


def _load(path: Path) -> dict[str, Any]:
    content = documents.load(path)
    if not isinstance(content, dict) or not {"points", "boxes"} <= content.keys():
        raise FormatError(f"{path}: expected an object with points and boxes")
    return content
