"""Points of one image from MATLAB files, as ShanghaiTech and UCF_CC_50 distribute them."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crowdpoint.errors import FormatError
from crowdpoint.formats.format import Format
from crowdpoint.formats.text import reading
from crowdpoint.points import Points


def read_shanghaitech(path: Path, image_size: tuple[int, int] | None = None) -> Points:
    """Reads `GT_IMG_n.mat` of ShanghaiTech: `image_info[0, 0][0, 0][0]` is N x 2, (x, y).

    The coordinates run from 0 to the image's width and height, from its corner: they are kept as they are.

    Raises:
        FormatError: if the file is missing, is no MATLAB file or holds something else.
    """
    info = _variable(path, "image_info")
    try:
        locations = info[0, 0][0, 0][0]
    except (IndexError, TypeError) as error:
        raise FormatError(
            f"{path}: expected points in image_info[0, 0][0, 0][0], found no such cell"
        ) from error
    return _points(path, locations, image_size)


def read_ucf_cc_50(path: Path, image_size: tuple[int, int] | None = None) -> Points:
    """Reads `n_ann.mat` of UCF_CC_50: `annPoints` is N x 2, (x, y).

    Five points of the dataset lie outside their image; they are kept, as annotated.

    Raises:
        FormatError: if the file is missing, is no MATLAB file or holds something else.
    """
    return _points(path, _variable(path, "annPoints"), image_size)


def _variable(path: Path, name: str) -> npt.NDArray[Any]:
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


def _points(path: Path, locations: object, image_size: tuple[int, int] | None) -> Points:
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and Points refuses it
            return Points(np.asarray(locations, np.float32), image_size=image_size)
    except (ValueError, TypeError) as error:
        raise FormatError(f"{path}: {error}") from error


SHANGHAITECH = Format(
    name="shanghaitech",
    suffixes=(".mat",),
    description="one image of ShanghaiTech: GT_IMG_n.mat",
    read=lambda path: {path.stem.removeprefix("GT_"): read_shanghaitech(path)},
    accepts=lambda path: "image_info" in _load(path, ["image_info"]),
)
UCF_CC_50 = Format(
    name="ucf-cc-50",
    suffixes=(".mat",),
    description="one image of UCF_CC_50: n_ann.mat",
    read=lambda path: {path.stem.removesuffix("_ann"): read_ucf_cc_50(path)},
    accepts=lambda path: "annPoints" in _load(path, ["annPoints"]),
)
