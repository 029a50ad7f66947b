"""Counting errors: MAE, RMSE and NAE over images, and errors by group such as NWPU's scene levels.

Papers print the root mean square error under the name "MSE"; here it is `rmse`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

Counts = Sequence[float] | npt.NDArray[np.integer | np.floating]

SCENE_BOUNDS = (0, 100, 500, 5000)
"""The largest true count of the scene levels S0 to S3; S4 is above."""


def mae(predicted: Counts, true: Counts) -> float:
    """Mean absolute error, 1/M sum |predicted - true| (FIDTM, Eq. 11).

    Args:
        predicted: (M,) count of each image; fractions are allowed.
        true: (M,) true count of each image.

    Raises:
        ValueError: without images, or if the lengths differ.
    """
    return float(np.abs(_errors(predicted, true)).mean())


def rmse(predicted: Counts, true: Counts) -> float:
    """Root mean square error, sqrt(1/M sum (predicted - true)^2), the papers' "MSE" (FIDTM, Eq. 12).

    Arguments and errors as `mae`.
    """
    return float(np.sqrt((_errors(predicted, true) ** 2).mean()))


def nae(predicted: Counts, true: Counts) -> float | None:
    """Mean normalised absolute error, 1/M sum |predicted - true| / true (Wang et al., NWPU-Crowd).

    Only images with at least one head enter, as in the official evaluation; None without such an image.
    Arguments and errors as `mae`.
    """
    errors, heads = np.abs(_errors(predicted, true)), np.asarray(true, np.float64)
    present = heads > 0
    return float((errors[present] / heads[present]).mean()) if present.any() else None


def scene_level(true: float) -> str:
    """NWPU-Crowd's level of a true count: S0 0, S1 (0, 100], S2 (100, 500], S3 (500, 5000], S4 above."""
    return f"S{np.searchsorted(SCENE_BOUNDS, true, side='left')}"


class GroupErrors(BaseModel):
    """Counting errors of one group of images."""

    model_config = ConfigDict(frozen=True)

    images: int
    """Number of images in it."""
    mae: float
    """Mean absolute error, in heads."""
    rmse: float
    """Root mean square error, in heads."""


def grouped_errors(predicted: Counts, true: Counts, groups: Sequence[str | None]) -> dict[str, GroupErrors]:
    """MAE and RMSE within groups of images, and their unweighted mean under "average".

    With `scene_level` of the true counts as groups these are NWPU-Crowd's S0 ... S4 and "Avg." (FIDTM,
    Tables VI and XIII), P2PNet's MAE[S]; with its luminance labels P2PNet's MAE[L] (P2PNet, Table 3).

    Args:
        predicted: (M,) count of each image.
        true: (M,) true count of each image.
        groups: (M,) name of each image's group, or None for an image in no group.

    Returns:
        Errors by group in the order of their names, then "average". A group without images is left out,
        and there is no average without a group.

    Raises:
        ValueError: if the lengths differ.
    """
    if not len(predicted) == len(true) == len(groups):
        raise ValueError(f"groups: expected {len(true)}, one per image, found {len(groups)}")
    found = {}
    for name in sorted({group for group in groups if group is not None}):
        inside = [index for index, group in enumerate(groups) if group == name]
        counts = [predicted[i] for i in inside], [true[i] for i in inside]
        found[name] = GroupErrors(images=len(inside), mae=mae(*counts), rmse=rmse(*counts))
    if not found:
        return {}
    average = GroupErrors(
        images=sum(errors.images for errors in found.values()),
        mae=fmean(errors.mae for errors in found.values()),
        rmse=fmean(errors.rmse for errors in found.values()),
    )
    return found | {"average": average}


@dataclass(frozen=True)
class CountingErrors:
    """MAE, RMSE and NAE in heads (NAE as a fraction, None where every image is empty)."""

    mae: float
    rmse: float
    nae: float | None


class Counting:
    """Accumulates counts image by image into `mae`, `rmse`, `nae` and `grouped_errors`."""

    def __init__(self) -> None:
        self._predicted: list[float] = []
        self._true: list[float] = []

    def update(self, predicted: float, true: float) -> None:
        """Adds the counts of one image."""
        self._predicted.append(predicted)
        self._true.append(true)

    def compute(self) -> CountingErrors:
        """The errors over the images so far.

        Raises:
            ValueError: if there was none.
        """
        counts = self._predicted, self._true
        return CountingErrors(mae(*counts), rmse(*counts), nae(*counts))

    def by_group(self, groups: Sequence[str | None]) -> dict[str, GroupErrors]:
        """`grouped_errors` over the given group of each image, in the order of the updates."""
        return grouped_errors(self._predicted, self._true, groups)


def _errors(predicted: Counts, true: Counts) -> npt.NDArray[np.float64]:
    left, right = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if left.shape != right.shape or left.ndim != 1:
        raise ValueError(f"counts: expected lists of one length, found shapes {left.shape} and {right.shape}")
    if not left.size:
        raise ValueError("counts: expected at least one image, found none")
    return left - right
