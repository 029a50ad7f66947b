"""Read annotations of NWPU-Crowd as distributed, one file per image in `jsons/` or `mats/`.

The point files of its benchmark are another format: `formats.nwpu`.
"""

from pathlib import Path
from typing import Any

import numpy as np

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
    points = mat.to_points(path, locations, image_size)
    try:
        corners = np.asarray(boxes, np.float32)
        if corners.size == 0:
            corners = corners.reshape(0, 4)
        if corners.shape != (len(points), 4):
            raise ValueError(f"boxes: expected shape ({len(points)}, 4), found {corners.shape}")
        return Points(points.xy, sizes=corners[:, 2:] - corners[:, :2], image_size=image_size)
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(f"{path}: {error}") from error


def read_stated_count(path: Path) -> int | None:
    """Read the number of heads stated in a `.json` file; None if missing."""
    count = None if path.suffix.lower() == ".mat" else _load(path).get("human_num")
    return count if isinstance(count, int) else None


def _load(path: Path) -> dict[str, Any]:
    content = documents.load(path)
    if not isinstance(content, dict) or not {"points", "boxes"} <= content.keys():
        raise FormatError(f"{path}: expected an object with points and boxes")
    return content
