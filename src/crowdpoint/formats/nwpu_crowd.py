"""Annotations of one image of NWPU-Crowd, as its authors distribute them: `jsons/` or `mats/`.

The files of points of the benchmark built on it are another format: `formats.nwpu`.
"""

from pathlib import Path
from typing import Any

import numpy as np

from crowdpoint.errors import FormatError
from crowdpoint.formats import documents, mat
from crowdpoint.points import Points


def read(path: Path, image_size: tuple[int, int] | None = None) -> Points:
    """Reads the points, (x, y), and boxes, (x1, y1, x2, y2), of `0001.json` or `0001.mat`.

    The boxes give the points' sizes.

    Raises:
        FormatError: if the file is missing or holds something else.
    """
    if path.suffix.lower() == ".mat":
        locations, boxes = mat.variable(path, "annPoints"), mat.variable(path, "annBoxes")
    else:
        content = _content(path)
        locations, boxes = content["points"], content["boxes"]
    points = mat.points(path, locations, image_size)
    try:
        corners = np.asarray(boxes, np.float32)
        if corners.size == 0:
            corners = corners.reshape(0, 4)
        if corners.shape != (len(points), 4):
            raise ValueError(f"boxes: expected shape ({len(points)}, 4), found {corners.shape}")
        return Points(points.xy, sizes=corners[:, 2:] - corners[:, :2], image_size=image_size)
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(f"{path}: {error}") from error


def stated_count(path: Path) -> int | None:
    """The number of heads that a `.json` file states beside its points; None where it states none.

    Raises:
        FormatError: if the file is missing or holds something else.
    """
    count = None if path.suffix.lower() == ".mat" else _content(path).get("human_num")
    return count if isinstance(count, int) else None


def _content(path: Path) -> dict[str, Any]:
    content = documents.load(path)
    if not isinstance(content, dict) or not {"points", "boxes"} <= content.keys():
        raise FormatError(f"{path}: expected an object with points and boxes")
    return content
