"""Counting errors MAE, RMSE and NAE, over all images and by group.

The papers call the root mean square error "MSE"; here it is `rmse`.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from crowdpoint.points import DoubleArray

Counts = Sequence[float] | npt.NDArray[np.integer | np.floating]

SCENE_BOUNDS = (0, 100, 500, 5000)
"""Largest true counts of the scene levels S0 to S3; S4 is above."""


def mae(predicted: Counts, true: Counts) -> float:
    """Compute the mean absolute error, 1/M sum |predicted - true| (FIDTM, Eq. 11).

    Args:
        predicted: (M,) predicted count of each image; may be fractional.
        true: (M,) true count of each image.

    Raises:
        ValueError: if there are no images, or the lengths differ.

    >>> mae([9, 14], [10, 10])
    2.5
    """
    return float(np.abs(_subtract(predicted, true)).mean())


def rmse(predicted: Counts, true: Counts) -> float:
    """Compute the root mean square error, sqrt(1/M sum (predicted - true)^2); "MSE" in FIDTM, Eq. 12.

    Arguments and errors are those of `mae`.

    >>> rmse([13, 14], [10, 10])
    3.5355339059327378
    """
    return float(np.sqrt((_subtract(predicted, true) ** 2).mean()))


def nae(predicted: Counts, true: Counts) -> float | None:
    """Compute the mean normalised absolute error, 1/M sum |predicted - true| / true (NWPU-Crowd).

    Ignores images without heads, as the official evaluation does; None without others. Arguments as `mae`.

    >>> nae([9, 5], [10, 0])
    0.1
    """
    errors, heads = np.abs(_subtract(predicted, true)), np.asarray(true, np.float64)
    present = heads > 0
    return float((errors[present] / heads[present]).mean()) if present.any() else None


def scene_level(true: float) -> str:
    """Return NWPU-Crowd's level of a true count: S0 0, S1 (0, 100], S2 (100, 500], S3 (500, 5000], S4 above.

    >>> scene_level(100), scene_level(101)
    ('S1', 'S2')
    """
    return f"S{np.searchsorted(SCENE_BOUNDS, true, side='left')}"


class GroupErrors(BaseModel, frozen=True):
    """Counting errors of a number of images, in heads: mean absolute and root mean square error."""

    images: int
    mae: float
    rmse: float


def group_errors(predicted: Counts, true: Counts, groups: Sequence[str | None]) -> dict[str, GroupErrors]:
    """Compute MAE and RMSE by group of images, sorted by name, and their unweighted mean as "average".

    Grouping NWPU-Crowd by `scene_level` gives S0 ... S4 and "Avg." of FIDTM (Tables VI and XIII) and MAE[S]
    of P2PNet; grouping by luminance gives MAE[L] of P2PNet (Table 3). Empty without groups.
    """
    if not len(predicted) == len(true) == len(groups):
        raise ValueError(f"groups: expected {len(true)}, one per image, found {len(groups)}")
    found = {}
    for name in sorted({group for group in groups if group is not None}):
        inside = [index for index, group in enumerate(groups) if group == name]
        counts = [predicted[i] for i in inside], [true[i] for i in inside]
        found[name] = GroupErrors(images=len(inside), mae=mae(*counts), rmse=rmse(*counts))
    if found:
        images, maes, rmses = zip(*((one.images, one.mae, one.rmse) for one in found.values()), strict=True)
        found["average"] = GroupErrors(images=sum(images), mae=fmean(maes), rmse=fmean(rmses))
    return found


class CountingErrors(NamedTuple):
    """MAE and RMSE in heads, and NAE as a fraction (None if all images are empty)."""

    mae: float
    rmse: float
    nae: float | None


class Counting:
    """Accumulator of `mae`, `rmse`, `nae` and `group_errors` over images."""

    def __init__(self) -> None:
        self._predicted: list[float] = []
        self._true: list[float] = []

    def update(self, predicted: float, true: float) -> None:
        """Add the counts of one image."""
        self._predicted.append(predicted)
        self._true.append(true)

    def merge(self, other: "Counting") -> None:
        """Add the images of another accumulator."""
        self._predicted += other._predicted
        self._true += other._true

    def compute(self) -> CountingErrors:
        """Compute the errors over all images; errors as `mae`."""
        counts = self._predicted, self._true
        return CountingErrors(mae(*counts), rmse(*counts), nae(*counts))

    def compute_groups(self, groups: Sequence[str | None]) -> dict[str, GroupErrors]:
        """Compute `group_errors`, given the group of each image in the order of the updates."""
        return group_errors(self._predicted, self._true, groups)


def _subtract(predicted: Counts, true: Counts) -> DoubleArray:
    left, right = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if left.shape != right.shape or left.ndim != 1:
        raise ValueError(
            f"counts: expected lists of equal length, found shapes {left.shape} and {right.shape}"
        )
    if not left.size:
        raise ValueError("counts: expected at least one image, found none")
    return left - right
