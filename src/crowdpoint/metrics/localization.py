"""Localization: precision, recall and F1 of a one-to-one matching within sigma, pooled over all images.

Sigma is a fixed distance, a range of distances that is averaged, or a distance of each head's own.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from crowdpoint.matching import IntArray, RealArray, match_counts
from crowdpoint.points import Points

Sigma = float | range
"""A distance in pixels, or a range of whole pixels whose scores are averaged."""

LEVEL_BOUNDS = (1e1, 1e2, 1e3, 1e4, 1e5)
"""The largest head area in square pixels of the levels A0 to A4; A5 is above."""


class LocalizationScore(BaseModel):
    """Precision, recall and F1 as fractions."""

    model_config = ConfigDict(frozen=True)

    precision: float
    recall: float
    f1: float


def localization_score(matched: int, predicted: int, true: int) -> LocalizationScore:
    """Precision TP/(TP+FP), recall TP/(TP+FN), F1 2TP/(2TP+FP+FN) of pooled counts (Wang et al., NWPU-Crowd).

    A fraction without a denominator, such as the precision of no predictions, is 0.

    Args:
        matched: TP, the size of the largest matching, summed over images.
        predicted: TP + FP, all predictions.
        true: TP + FN, all heads.
    """
    return LocalizationScore(
        precision=matched / max(predicted, 1),
        recall=matched / max(true, 1),
        f1=2 * matched / max(predicted + true, 1),
    )


def average_score(scores: Iterable[LocalizationScore]) -> LocalizationScore:
    """UCF-QNRF's average precision and average recall over thresholds, and the F1 of these two.

    The harmonic mean of the averages and not the average F1, as the published rows compute it (FIDTM,
    Table II: 84.49 and 80.10 give 82.23).

    Raises:
        ValueError: without scores.
    """
    pairs = np.array([(score.precision, score.recall) for score in scores], np.float64).reshape(-1, 2)
    if not len(pairs):
        raise ValueError("scores: expected at least one, found none")
    precision, recall = pairs.mean(axis=0).tolist()
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return LocalizationScore(precision=precision, recall=recall, f1=f1)


class Localization:
    """Accumulates matches image by image into a `LocalizationScore` per sigma.

    Args:
        sigmas: distances in pixels, at least 0; `range(1, 101)` stands for UCF-QNRF's average over
            1 ... 100 px. Its distances are computed once.
        counted: further distances, within which `update` counts matches and `compute` has no score.
    """

    def __init__(self, sigmas: Sequence[Sigma] = (4.0, 8.0), counted: Sequence[float] = ()) -> None:
        self._ranges = {f"{s[0]}:{s[-1]}": [f"{r:g}" for r in s] for s in sigmas if isinstance(s, range)}
        self._fixed = [f"{s:g}" for s in sigmas if not isinstance(s, range)]
        every = [*(r for s in sigmas for r in (s if isinstance(s, range) else (s,))), *counted]
        self._radii: dict[str, float | RealArray] = {f"{radius:g}": radius for radius in every}
        self._matched: dict[str, int] = dict.fromkeys(self._radii, 0)
        self._predicted = self._true = 0
        self._head_keys: tuple[str, ...] | None = None

    def update(
        self, predictions: Points, truth: Points, head_sigmas: Mapping[str, RealArray] | None = None
    ) -> dict[str, int]:
        """Adds one image.

        Args:
            predictions: the points taken for heads.
            truth: the G heads.
            head_sigmas: further thresholds by name, each (G,) pixels, one per head, such as FIDTM's
                sigma_s and sigma_l (`head_sigmas`). The names must be the same for every image.

        Returns:
            The number of matched heads by single distance and by name.

        Raises:
            ValueError: if a sigma is negative or lacks a head, or the names change between images.
        """
        head_sigmas = dict(head_sigmas or {})
        if self._head_keys not in (None, tuple(head_sigmas)):
            raise ValueError(f"head_sigmas: expected {self._head_keys} as before, found {tuple(head_sigmas)}")
        self._head_keys = tuple(head_sigmas)
        radii = self._radii | head_sigmas
        counts = match_counts(predictions.xy, truth.xy, list(radii.values()))
        matched = dict(zip(radii, counts.tolist(), strict=True))
        self._matched = {key: self._matched.get(key, 0) + count for key, count in matched.items()}
        self._predicted += len(predictions)
        self._true += len(truth)
        return matched

    def compute(self) -> dict[str, LocalizationScore]:
        """The scores by key: "4" for a distance, "1:100" for a range, then the names of the heads' own."""
        every = {key: localization_score(n, self._predicted, self._true) for key, n in self._matched.items()}
        scores = {key: every[key] for key in self._fixed}
        for key, radii in self._ranges.items():
            scores[key] = average_score(every[radius] for radius in radii)
        return scores | {key: every[key] for key in self._head_keys or ()}


def head_sigmas(sizes: RealArray) -> dict[str, npt.NDArray[np.float64]]:
    """Per-head thresholds from boxes: "s" min(w, h)/2 and "l" sqrt(w^2 + h^2)/2 (FIDTM, Eq. 9 and 10).

    Args:
        sizes: (G, 2) box (width, height) of each head in pixels.

    Returns:
        Two (G,) arrays in pixels.
    """
    width, height = np.asarray(sizes, np.float64).reshape(-1, 2).T
    return {"s": np.minimum(width, height) / 2, "l": np.hypot(width, height) / 2}


def head_levels(areas: RealArray) -> IntArray:
    """NWPU-Crowd's head-size level of each box area: A0 up to 10 px^2, A1 (10, 100], ... A5 above 100,000.

    Args:
        areas: (G,) width times height in square pixels.

    Returns:
        (G,) levels 0 ... 5.
    """
    return np.searchsorted(LEVEL_BOUNDS, areas, side="left")


class LevelRecall:
    """Accumulates recall by head-size level, A0 ... A5 (Wang et al., NWPU-Crowd).

    The size of a largest matching is unique, the heads in it are not: match with `nearest=True` for
    figures that do not depend on the order of the points.
    """

    def __init__(self) -> None:
        self._found = np.zeros(len(LEVEL_BOUNDS) + 1, np.int64)
        self._heads = np.zeros_like(self._found)

    def update(self, matched: IntArray, levels: IntArray) -> None:
        """Adds one image.

        Args:
            matched: indices of the matched heads, the second array of `matching.match`.
            levels: (G,) level 0 ... 5 of each head, as `head_levels`.
        """
        self._found += np.bincount(levels[matched], minlength=len(self._found))
        self._heads += np.bincount(levels, minlength=len(self._heads))

    def compute(self) -> dict[str, float]:
        """Recall by level "A0" ... "A5"; a level without heads is left out."""
        present = np.flatnonzero(self._heads)
        return {f"A{level}": float(self._found[level] / self._heads[level]) for level in present}
