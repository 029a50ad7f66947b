"""Convert `Points` to and from a DataFrame with the columns of the CSV format.

`pandas.read_csv("points.csv", dtype={"image": str})` gives such a frame, too. Needs the extra `integrations`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from crowdpoint.errors import FormatError, requires
from crowdpoint.points import FloatArray, Points

if TYPE_CHECKING:
    from pandas import DataFrame

_REQUIRED = ("image", "x", "y")
_BOX = ["box_width", "box_height"]


def to_frame(points: Mapping[str, Points]) -> "DataFrame":
    """Convert points to a DataFrame with one row per point.

    Images without points have one row without coordinates, so that `frame.groupby("image")["x"].count()`
    includes them.

    Args:
        points: image id -> Points.

    Returns:
        Columns `image`, `x`, `y` and `score` (float32), `width` and `height` of the image in pixels, and, if
        any point has a size, `box_width` and `box_height` (float32). Unknown values are NaN.

    Raises:
        MissingExtraError: if pandas is not installed.
    """
    with requires("a DataFrame", "integrations"):
        import pandas as pd

    names = ["image", "x", "y", "score", "width", "height"]
    if any(found.sizes is not None for found in points.values()):
        names += _BOX
    rows = [max(1, len(found)) for found in points.values()]
    sizes = np.array([found.image_size or (np.nan, np.nan) for found in points.values()]).reshape(-1, 2)
    values = np.concatenate([np.empty((0, 5), np.float32), *map(_build_values, points.values())])
    columns: dict[str, npt.NDArray[Any]] = dict(zip(("x", "y", "score", *_BOX), values.T, strict=True))
    columns |= {name: np.repeat(side, rows) for name, side in zip(("width", "height"), sizes.T, strict=True)}
    columns["image"] = np.repeat(np.array(list(points), object), rows)
    return pd.DataFrame({name: columns[name] for name in names})


def from_frame(frame: "DataFrame") -> dict[str, Points]:
    """Convert a DataFrame to a mapping from image id to Points, in the order of the frame.

    Args:
        frame: frame with the columns `image`, `x` and `y`. A row without `x` and `y` is an image without
            points. The columns `score` (default 1), `width`, `height`, `box_width` and `box_height` are
            optional; others are ignored.

    Raises:
        FormatError: if a column is missing, or the rows of an image are invalid or contradictory.
    """
    missing = [name for name in _REQUIRED if name not in frame.columns]
    if missing:
        found = ", ".join(map(str, frame.columns)) or "none"
        raise FormatError(f"frame: lacks the columns {', '.join(missing)}; found {found}")
    if frame["image"].isna().any():
        raise FormatError(
            f"frame: row {int(frame['image'].isna().argmax())}: image: expected a name, found none"
        )
    points = {}
    names = np.array([str(image) for image in frame["image"]], object)  # 1 and "1" are one image
    for image, rows in frame.groupby(names, sort=False):
        try:
            points[image] = _read_points(rows)
        except (TypeError, ValueError) as error:
            raise FormatError(f"frame: image {image}: {error}") from error
    return points


def _build_values(points: Points) -> FloatArray:
    """Build (N, 5): x, y, score and box, NaN if unknown; a row of NaN without points."""
    values = np.full((max(1, len(points)), 5), np.nan, np.float32)
    if len(points):
        values[:, :2], values[:, 2] = points.xy, points.scores
        if points.sizes is not None:
            values[:, 3:] = points.sizes
    return values


def _read_points(rows: "DataFrame") -> Points:
    heads = rows[rows["x"].notna() | rows["y"].notna()]
    boxes = heads.reindex(columns=_BOX)  # adds missing columns with NaN
    return Points(
        heads[["x", "y"]].to_numpy(np.float32),
        heads["score"].to_numpy(np.float32) if "score" in heads else np.ones(len(heads), np.float32),
        boxes.to_numpy(np.float32) if boxes.notna().any(axis=None) else None,
        _read_image_size(rows),
    )


def _read_image_size(rows: "DataFrame") -> tuple[int, int] | None:
    sizes = rows.reindex(columns=["width", "height"]).drop_duplicates().to_numpy(np.float64).tolist()
    if len(sizes) > 1:
        raise ValueError(f"expected one width and height, found {sizes[0]} and {sizes[1]}")
    width, height = sizes[0]
    if np.isnan(width) and np.isnan(height):
        return None
    if width % 1 or height % 1:  # true for NaN, too
        raise ValueError(f"expected a width and height in whole pixels, found {width} and {height}")
    return int(width), int(height)
