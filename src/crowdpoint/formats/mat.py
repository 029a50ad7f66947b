"""Read and write the MATLAB annotations of ShanghaiTech, UCF_CC_50 and UCF-QNRF, one file per image."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crowdpoint.errors import FormatError
from crowdpoint.formats import matlab
from crowdpoint.formats.format import Format, get_single
from crowdpoint.points import Points


def read_shanghaitech(path: Path, image_size: tuple[int, int] | None = None) -> Points:
    """Read `GT_IMG_n.mat` of ShanghaiTech: `image_info{1, 1}.location` is N x 2, (x, y).

    The coordinates range from 0 to the image's width and height, as in crowdpoint, and stay unchanged.
    """
    return to_points(path, _read_image_info(path)["location"], image_size)


def read_shanghaitech_count(path: Path) -> int | None:
    """Read the number of heads stated in `GT_IMG_n.mat`; None if missing."""
    try:
        return int(np.asarray(_read_image_info(path)["number"]).item())
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def read_ucf_cc_50(path: Path, image_size: tuple[int, int] | None = None) -> Points:
    """Read `n_ann.mat` of UCF_CC_50 and `img_n_ann.mat` of UCF-QNRF: `annPoints` is N x 2, (x, y).

    Keeps the five points of UCF_CC_50 that lie outside their image.
    """
    return to_points(path, read_variable(path, "annPoints"), image_size)


def _read_image_info(path: Path) -> dict[str, Any]:
    value = read_variable(path, "image_info")
    while isinstance(value, np.ndarray) and value.dtype == object and value.size:
        value = value.flat[0]
    if not isinstance(value, dict) or "location" not in value:
        found = f"the fields {', '.join(value)}" if isinstance(value, dict) else "no struct"
        raise FormatError(f"{path}: expected image_info{{1, 1}}.location, found {found}")
    return value


def read_variable(path: Path, name: str) -> Any:
    """Read one variable with `matlab.read`; a missing one is a FormatError, too."""
    variables = matlab.read(path, [name])
    if name not in variables:
        raise FormatError(f"{path}: expected a variable {name}, found none")
    return variables[name]


def to_points(path: Path, locations: object, image_size: tuple[int, int] | None) -> Points:
    """Convert `locations` (N, 2) of a file to Points; a FormatError names the first that is not finite."""
    try:
        with np.errstate(over="ignore"):  # too large values become infinite, which is rejected below
            xy = np.asarray(locations, np.float32)
        if xy.ndim == 2 and not (finite := np.isfinite(xy).all(axis=1)).all():
            raise ValueError(
                f"head {finite.argmin() + 1}: expected finite coordinates, found NaN or infinity"
            )
        return Points(xy, image_size=image_size)
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(f"{path}: {error}") from error


def add_boxes(path: Path, points: Points, boxes: object) -> Points:
    """Add the sizes of `boxes` (N, 4) of a file, x1, y1, x2 and y2, to its points."""
    try:
        corners = np.asarray(boxes, np.float32)
        if corners.size == 0:
            corners = corners.reshape(0, 4)
        if corners.shape != (len(points), 4):
            raise ValueError(f"boxes: expected shape ({len(points)}, 4), found {corners.shape}")
        return replace(points, sizes=corners[:, 2:] - corners[:, :2])
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(f"{path}: {error}") from error


def _read_ann(path: Path) -> Points:
    points = read_ucf_cc_50(path)
    boxes = matlab.read(path, ["annBoxes"]).get("annBoxes")
    return points if boxes is None else add_boxes(path, points, boxes)


def _write_shanghaitech(path: Path, points: Mapping[str, Points]) -> None:
    _, found = get_single(points)
    cell = np.empty((1, 1), object)
    cell[0, 0] = {"location": found.xy.astype(np.float64), "number": float(len(found))}
    _save(path, "image_info", cell)


def _save(path: Path, name: str, value: npt.NDArray[Any]) -> None:
    from scipy.io import savemat  # slow to import

    savemat(str(path), {name: value}, appendmat=False)


SHANGHAITECH = Format(
    name="shanghaitech",
    suffixes=(".mat",),
    description="one image of ShanghaiTech: GT_IMG_n.mat",
    read=lambda path, _: {path.stem.removeprefix("GT_"): read_shanghaitech(path)},
    write=_write_shanghaitech,
    file_name=lambda image: f"GT_{image}.mat",
    accepts=lambda path: "image_info" in matlab.read(path, ["image_info"]),
)
UCF_CC_50 = Format(
    name="ucf-cc-50",
    suffixes=(".mat",),
    description="one image of UCF_CC_50: n_ann.mat; of NWPU-Crowd with its boxes",
    read=lambda path, _: {path.stem.removesuffix("_ann"): _read_ann(path)},
    write=lambda path, points: _save(path, "annPoints", get_single(points)[1].xy.astype(np.float64)),
    file_name=lambda image: f"{image}_ann.mat",
    accepts=lambda path: "annPoints" in matlab.read(path, ["annPoints"]),
)
