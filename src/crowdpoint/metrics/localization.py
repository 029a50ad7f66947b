"""Precision, recall and F1 of a one-to-one matching within sigma, pooled over all images.

Sigma is a fixed distance, a range of distances to average, or a distance per head.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from pydantic import BaseModel

from crowdpoint.matching import match_counts, restore_decimals
from crowdpoint.points import DoubleArray, IntArray, Points, RealArray

Sigma = float | range
"""Distance in pixels, or a range of integer distances whose scores are averaged."""

LEVEL_BOUNDS = (1e1, 1e2, 1e3, 1e4, 1e5)
"""Largest head areas in square pixels of the levels A0 to A4; A5 is above."""


class LocalizationScore(BaseModel, frozen=True):
    """Precision, recall and F1 as fractions."""

    precision: float
    recall: float
    f1: float


def localization_score(matched: int, predicted: int, true: int) -> LocalizationScore:
    """Compute precision TP/(TP+FP), recall TP/(TP+FN) and F1 2TP/(2TP+FP+FN) (Wang et al., NWPU-Crowd).

    Over all images, `matched` is TP, the size of the maximum matching, `predicted` TP + FP and `true` TP +
    FN. Fractions with a denominator of 0, such as the precision without predictions, are 0.

    >>> localization_score(matched=6, predicted=8, true=12)
    LocalizationScore(precision=0.75, recall=0.5, f1=0.6)
    """
    return LocalizationScore(
        precision=matched / max(predicted, 1),
        recall=matched / max(true, 1),
        f1=2 * matched / max(predicted + true, 1),
    )


def average_scores(scores: Iterable[LocalizationScore]) -> LocalizationScore:
    """Average the scores of predictions over thresholds, at least one, as for UCF-QNRF (FIDTM, Table II)."""
    rows = [(score.precision, score.recall, score.f1) for score in scores]
    if not rows:
        raise ValueError("scores: expected at least one, found none")
    precision, recall, f1 = np.mean(rows, axis=0).tolist()
    return LocalizationScore(precision=precision, recall=recall, f1=f1)


class Localization:
    """Accumulator of a `LocalizationScore` per sigma.

    Args:
        sigmas: distances in pixels, at least 0; `range(1, 101)` gives UCF-QNRF's average over 1 ... 100 px.
        counted: further distances for which `update` counts matches, without scores in `compute`.

    >>> metric = Localization(sigmas=(4.0,))
    >>> metric.update(Points([[10, 10], [50, 50]]), Points([[11, 10]]))
    {'4': 1}
    >>> metric.compute()["4"].precision
    0.5
    """

    def __init__(self, sigmas: Sequence[Sigma] = (4.0, 8.0), counted: Sequence[float] = ()) -> None:
        self._sigmas = sorted(sigmas, key=lambda sigma: isinstance(sigma, range))
        every = [*(r for s in sigmas for r in (s if isinstance(s, range) else (s,))), *counted]
        self._radii: dict[str, float | RealArray] = {f"{radius:g}": radius for radius in every}
        self._matched = Counter(dict.fromkeys(self._radii, 0))
        self._predicted = self._true = 0
        self._head_keys: tuple[str, ...] | None = None

    def update(
        self, predictions: Points, truth: Points, head_sigmas: Mapping[str, RealArray] | None = None
    ) -> dict[str, int]:
        """Add one image.

        `head_sigmas` has per-head thresholds by name, each (G,) in pixels, such as FIDTM's sigma_s and
        sigma_l (`compute_head_sigmas`); the names must be the same for every image.

        Returns:
            Number of matched heads by distance and by name.

        Raises:
            ValueError: if a sigma is negative, an array has the wrong length, or the names change.
        """
        head_sigmas = dict(head_sigmas or {})
        keys = tuple(head_sigmas)
        self._check_head_keys(keys)
        radii = self._radii | head_sigmas
        counts = match_counts(predictions.xy, truth.xy, list(radii.values()))
        self._head_keys = keys
        matched = dict(zip(radii, counts.tolist(), strict=True))
        self._matched.update(matched)
        self._predicted += len(predictions)
        self._true += len(truth)
        return matched

    def merge(self, other: "Localization") -> None:
        """Add the images of another accumulator of the same sigmas, also per head."""
        if other._head_keys is not None:
            self._check_head_keys(other._head_keys)
            self._head_keys = other._head_keys
            self._matched.update(other._matched)
            self._predicted += other._predicted
            self._true += other._true

    def compute(self) -> dict[str, LocalizationScore]:
        """Compute scores by key: "4" for a distance, "1:100" for a range, or a name of per-head sigmas."""
        every = {key: localization_score(n, self._predicted, self._true) for key, n in self._matched.items()}
        scores = {}
        for sigma in self._sigmas:
            if isinstance(sigma, range):
                scores[f"{sigma[0]}:{sigma[-1]}"] = average_scores(every[f"{radius:g}"] for radius in sigma)
            else:
                scores[f"{sigma:g}"] = every[f"{sigma:g}"]
        return scores | {key: every[key] for key in self._head_keys or ()}

    def _check_head_keys(self, keys: tuple[str, ...]) -> None:
        if self._head_keys not in (None, keys):
            raise ValueError(f"head_sigmas: expected {self._head_keys} as before, found {keys}")


def compute_head_sigmas(sizes: RealArray) -> dict[str, DoubleArray]:
    """Compute per-head thresholds "s" min(w, h)/2 and "l" sqrt(w^2 + h^2)/2 (FIDTM, Eq. 9 and 10).

    From the width and height (G, 2) of the heads' boxes in pixels to arrays (G,). float32 passes through
    `restore_decimals`, so that rounding does not decide matches.

    >>> {name: sigma.tolist() for name, sigma in compute_head_sigmas(np.array([[6, 8]])).items()}
    {'s': [3.0], 'l': [5.0]}
    """
    width, height = restore_decimals(sizes).reshape(-1, 2).T
    return {"s": np.minimum(width, height) / 2, "l": np.hypot(width, height) / 2}


def compute_head_levels(sizes: RealArray) -> IntArray:
    """Compute the level 0 ... 5 of each head (G,) by the area of its box.

    NWPU-Crowd's levels are A0 up to 10 px^2, A1 (10, 100], ... A5 above 100,000. `sizes` as in
    `compute_head_sigmas`.
    """
    levels: IntArray = np.searchsorted(LEVEL_BOUNDS, restore_decimals(sizes).prod(axis=1), side="left")
    return levels


class LevelRecall:
    """Accumulator of recall by head size level, A0 ... A5 (Wang et al., NWPU-Crowd).

    Match with `nearest=True`, because the heads of other maximum matchings depend on the order of the points.
    """

    def __init__(self) -> None:
        self._found = np.zeros(len(LEVEL_BOUNDS) + 1, np.int64)
        self._heads = np.zeros_like(self._found)

    def update(self, matched: IntArray, levels: IntArray) -> None:
        """Add one image: the indices of its matched heads, and the level of each head (G,)."""
        self._found += np.bincount(levels[matched], minlength=len(self._found))
        self._heads += np.bincount(levels, minlength=len(self._heads))

    def merge(self, other: "LevelRecall") -> None:
        """Add the images of another accumulator."""
        self._found += other._found
        self._heads += other._heads

    def compute(self) -> dict[str, float]:
        """Compute recall by level "A0" ... "A5", omitting levels without heads."""
        present = np.flatnonzero(self._heads)
        return {f"A{level}": float(self._found[level] / self._heads[level]) for level in present}
