"""Counting errors: MAE, RMSE and NAE over images, and MAE by group such as NWPU's scene levels.

Papers print the root mean square error under the name "MSE"; here it is `rmse`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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


def grouped_mae(predicted: Counts, true: Counts, groups: Sequence[str]) -> dict[str, float]:
    """MAE within each group of images, and their unweighted mean under "average" (Wang et al., NWPU-Crowd).

    With `scene_level` of the true counts as groups these are the benchmark's S0 ... S4 and "Avg.", with
    its illumination labels the averages over luminance. A group without images is left out.

    Args:
        predicted: (M,) count of each image.
        true: (M,) true count of each image.
        groups: (M,) name of each image's group.

    Raises:
        ValueError: without images, or if the lengths differ.
    """
    errors, names = np.abs(_errors(predicted, true)), np.asarray(groups, np.str_)
    if names.shape != errors.shape:
        raise ValueError(f"groups: expected {len(errors)}, one per image, found {len(names)}")
    means = {str(name): float(errors[names == name].mean()) for name in np.unique(names)}
    return means | {"average": float(np.mean(list(means.values())))}


@dataclass(frozen=True)
class CountingErrors:
    """MAE, RMSE and NAE in heads (NAE as a fraction, None where every image is empty)."""

    mae: float
    rmse: float
    nae: float | None


class Counting:
    """Accumulates counts image by image into `mae`, `rmse`, `nae` and `grouped_mae`."""

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

    def by_scene_level(self) -> dict[str, float]:
        """`grouped_mae` over the scene levels of the true counts."""
        return self.by_group(map(scene_level, self._true))

    def by_group(self, groups: Iterable[str]) -> dict[str, float]:
        """`grouped_mae` over the given group of each image, in the order of the updates."""
        return grouped_mae(self._predicted, self._true, list(groups))


def _errors(predicted: Counts, true: Counts) -> npt.NDArray[np.float64]:
    left, right = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if left.shape != right.shape or left.ndim != 1:
        raise ValueError(f"counts: expected lists of one length, found shapes {left.shape} and {right.shape}")
    if not left.size:
        raise ValueError("counts: expected at least one image, found none")
    return left - right
