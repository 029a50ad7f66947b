"""Points of one image from MATLAB files, as ShanghaiTech, UCF_CC_50 and UCF-QNRF distribute them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crowdpoint.errors import FormatError
from crowdpoint.formats.format import Format, only
from crowdpoint.formats.text import reading
from crowdpoint.points import Points


def read_shanghaitech(path: Path, image_size: tuple[int, int] | None = None) -> Points:
    """Reads `GT_IMG_n.mat` of ShanghaiTech: `image_info[0, 0][0, 0][0]` is N x 2, (x, y).

    The coordinates run from 0 to the image's width and height, from its corner: they are kept as they are.

    Raises:
        FormatError: if the file is missing, is no MATLAB file or holds something else.
    """
    return points(path, _image_info(path)[0], image_size)


def shanghaitech_count(path: Path) -> int | None:
    """The number of heads that `GT_IMG_n.mat` states beside its points, None where it states none.

    Raises:
        FormatError: as `read_shanghaitech`.
    """
    try:
        return int(np.asarray(_image_info(path)[1]).item())
    except (IndexError, ValueError, TypeError):
        return None


def read_ucf_cc_50(path: Path, image_size: tuple[int, int] | None = None) -> Points:
    """Reads `n_ann.mat` of UCF_CC_50 and `img_n_ann.mat` of UCF-QNRF: `annPoints` is N x 2, (x, y).

    Five points of UCF_CC_50 lie outside their image; they are kept, as annotated.

    Raises:
        FormatError: if the file is missing, is no MATLAB file or holds something else.
    """
    return points(path, variable(path, "annPoints"), image_size)


def _image_info(path: Path) -> Any:
    """The record of ShanghaiTech's points and their number."""
    try:
        record = variable(path, "image_info")[0, 0][0, 0]
        record[0]
    except (IndexError, TypeError) as error:
        raise FormatError(
            f"{path}: expected points in image_info[0, 0][0, 0][0], found no such cell"
        ) from error
    return record


def variable(path: Path, name: str) -> npt.NDArray[Any]:
    """One variable of a MATLAB file.

    Raises:
        FormatError: if the file is missing, is no MATLAB file or lacks the variable.
    """
    variables = _load(path, [name])
    if name not in variables:
        raise FormatError(f"{path}: expected a variable {name}, found none")
    value: npt.NDArray[Any] = variables[name]
    return value


def _load(path: Path, names: list[str]) -> dict[str, Any]:
    from scipy.io import loadmat  # slow to import, and only needed here

    with reading(path):
        try:
            return dict(loadmat(str(path), appendmat=False, variable_names=names))
        except OSError:
            raise
        except Exception as error:  # on damaged files, loadmat raises anything
            raise FormatError(f"{path}: cannot be read as a MATLAB file ({error})") from error


def points(path: Path, locations: object, image_size: tuple[int, int] | None) -> Points:
    """N x 2 `locations` of a file as Points.

    Raises:
        FormatError: if they have another shape or are not finite, with the first such head.
    """
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            xy = np.asarray(locations, np.float32)
        if xy.ndim == 2 and not (finite := np.isfinite(xy).all(axis=1)).all():
            raise ValueError(
                f"head {finite.argmin() + 1}: expected finite coordinates, found NaN or infinity"
            )
        return Points(xy, image_size=image_size)
    except (ValueError, TypeError) as error:
        raise FormatError(f"{path}: {error}") from error


def _write_shanghaitech(path: Path, points: Mapping[str, Points]) -> None:
    _, found = only(points)
    cell = np.empty((1, 1), object)
    cell[0, 0] = {"location": found.xy.astype(np.float64), "number": float(len(found))}
    _save(path, "image_info", cell)


def _save(path: Path, name: str, value: npt.NDArray[Any]) -> None:
    from scipy.io import savemat  # slow to import, and only needed here

    savemat(str(path), {name: value}, appendmat=False)


SHANGHAITECH = Format(
    name="shanghaitech",
    suffixes=(".mat",),
    description="one image of ShanghaiTech: GT_IMG_n.mat",
    read=lambda path: {path.stem.removeprefix("GT_"): read_shanghaitech(path)},
    write=_write_shanghaitech,
    file_name=lambda image: f"GT_{image}.mat",
    accepts=lambda path: "image_info" in _load(path, ["image_info"]),
)
UCF_CC_50 = Format(
    name="ucf-cc-50",
    suffixes=(".mat",),
    description="one image of UCF_CC_50: n_ann.mat",
    read=lambda path: {path.stem.removesuffix("_ann"): read_ucf_cc_50(path)},
    write=lambda path, points: _save(path, "annPoints", only(points)[1].xy.astype(np.float64)),
    file_name=lambda image: f"{image}_ann.mat",
    accepts=lambda path: "annPoints" in _load(path, ["annPoints"]),
)
