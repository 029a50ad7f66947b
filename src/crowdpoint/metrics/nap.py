"""nAP, the average precision of scored points with a density-dependent threshold (P2PNet, Sec. 3.2).

It needs no score threshold, and its distance threshold is relative to the spacing of the heads.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from crowdpoint.matching import find_pairs, restore_decimals
from crowdpoint.neighbors import neighbor_distances
from crowdpoint.points import BoolArray, DoubleArray, FloatArray, IndexArray, IntArray, Points

Interpolation = Literal["every-point", "11-point", "101-point", "raw"]

DELTAS = tuple(step / 20 for step in range(1, 11))
"""Thresholds delta = 0.05:0.05:0.50, over which the paper averages."""


def find_true_positives(
    predictions: Points, truth: Points, deltas: Sequence[float] = DELTAS, k: int = 3
) -> BoolArray:
    """Find the true positives among the predictions of one image at each delta (P2PNet, Eq. 1).

    In order of decreasing score, each prediction claims the nearest unclaimed head i with d / d_kNN(i) <
    delta. Ties keep the order of the points. `deltas` (D,) are fractions of d_kNN, over `k` neighbours.

    Returns:
        (D, P), True for true positives.

    >>> heads = Points([[0, 0], [10, 0]])
    >>> find_true_positives(Points([[1, 0], [14, 0]], scores=[0.9, 0.8]), heads, deltas=[0.2, 0.5]).tolist()
    [[True, False], [True, True]]
    """
    heads = restore_decimals(truth.xy)
    reach = neighbor_distances(heads, k)
    pairs = find_pairs(restore_decimals(predictions.xy), heads, reach * max(deltas) * (1 + 1e-9))
    order = np.argsort(-predictions.scores, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    pairs = pairs.select(np.lexsort((pairs.head, pairs.distance, rank[pairs.prediction])))
    with np.errstate(invalid="ignore"):  # 0 / 0 at coincident heads does not match
        ratio = pairs.distance / reach[pairs.head]
    delta, pair = np.nonzero(ratio < np.asarray(deltas, np.float64)[:, None] * (1 - 1e-9))  # rounding
    # Match all deltas at once, with separate proposers and heads for each delta.
    proposer = delta * len(predictions) + rank[pairs.prediction[pair]]
    head = delta * len(truth) + pairs.head[pair]
    hits = np.zeros(len(deltas) * len(predictions), np.bool_)
    hits[_match_stably(proposer, head, len(deltas) * len(truth))] = True
    return hits.reshape(len(deltas), len(predictions))[:, rank]


def _match_stably(proposer: IntArray, head: IntArray, heads: int) -> IntArray:
    """Return the proposers that get a head if lower-numbered proposers choose first.

    Proposers (E,) ascend, and their heads (E,) are in order of preference. Uses deferred acceptance (Gale and
    Shapley): each proposes to its next head, which keeps the lowest-numbered proposer, until none is
    rejected. All heads rank proposers alike, so that the result equals sequential choice.
    """
    active, first, count = np.unique(proposer, return_index=True, return_counts=True)
    turn, end = first.copy(), first + count
    holder = np.empty(heads, np.intp)
    while len(active):
        proposed = head[turn]
        holder[proposed[::-1]] = active[::-1]  # the last write wins: the lowest number
        rejected = holder[proposed] != active
        if not rejected.any():
            break
        turn[rejected] += 1
        remaining = turn < end
        active, turn, end = active[remaining], turn[remaining], end[remaining]
    return active


def precision_recall(
    scores: FloatArray, hits: IndexArray, heads: int, counts: IntArray | None = None
) -> tuple[DoubleArray, DoubleArray]:
    """Compute precision and recall at each distinct score, in decreasing order: two arrays of equal length.

    Args:
        scores: (N,) scores of the predictions of all images.
        hits: (N,) whether each is a true positive, or the number of true positives of an entry.
        heads: number of heads, at least 1.
        counts: (N,) number of predictions of an entry; by default, 1.

    >>> scores, hits = np.array([0.9, 0.8, 0.7], np.float32), np.array([True, False, True])
    >>> precision, recall = precision_recall(scores, hits, heads=4)
    >>> print(*precision.round(2), "and", *recall)
    1.0 0.5 0.67 and 0.25 0.25 0.5
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.float32(np.nan)))  # last of equal scores
    true = np.cumsum(hits[order], dtype=np.intp)[ends]
    predicted = ends + 1 if counts is None else np.cumsum(counts[order], dtype=np.intp)[ends]
    return true / predicted, true / heads


def average_precision(
    scores: FloatArray,
    hits: IndexArray,
    heads: int,
    interpolation: Interpolation = "every-point",
    counts: IntArray | None = None,
) -> float:
    """Compute the area under the precision-recall curve.

    The curve has one point per distinct score, so the result does not depend on the order of the images.

    Args:
        scores: (N,) scores of the predictions of all images.
        hits: (N,) as in `precision_recall`.
        heads: number of heads, at least 1.
        interpolation: "every-point" integrates the monotone envelope, the best precision at the same or a
            higher recall (Pascal VOC since 2010); "11-point" (VOC 2007) and "101-point" (COCO) average the
            envelope at equidistant recalls from 0 to 1; "raw" integrates the curve without an envelope.
        counts: (N,) as in `precision_recall`.

    Raises:
        ValueError: if the interpolation is unknown, or there are no heads.

    >>> average_precision(np.array([0.9, 0.8, 0.7], np.float32), np.array([True, False, True]), heads=2)
    0.8333333333333333
    """
    if interpolation not in get_args(Interpolation):
        raise ValueError(f"interpolation: expected one of {get_args(Interpolation)}, found {interpolation!r}")
    if heads < 1:
        raise ValueError(f"heads: expected at least 1, found {heads}")
    precision, recall = precision_recall(scores, hits, heads, counts)
    if interpolation != "raw":
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    if interpolation in ("every-point", "raw"):
        return float((np.diff(recall, prepend=0) * precision).sum())
    levels = np.linspace(0, 1, 11 if interpolation == "11-point" else 101)
    reached = np.searchsorted(recall, levels - 1e-12)  # allow for rounding, as in 3/10 < 0.3
    return float(np.append(precision, 0)[reached].mean())


class NormalizedAveragePrecision:
    """Accumulator of nAP, pooled over all images.

    Arguments are those of `find_true_positives` and `average_precision`.
    """

    def __init__(
        self, deltas: Sequence[float] = DELTAS, k: int = 3, interpolation: Interpolation = "every-point"
    ) -> None:
        self._deltas, self._k, self._interpolation = tuple(deltas), k, interpolation
        self._scores: list[FloatArray] = []
        self._counts: list[npt.NDArray[np.uint32]] = []
        self._hits: list[list[FloatArray]] = [[] for _ in self._deltas]
        self._heads = 0

    def update(self, predictions: Points, truth: Points) -> None:
        """Add the scored predictions and the heads of one image."""
        # Store distinct scores with counts, because flat maps give many candidates of equal score.
        scores, counts = np.unique(predictions.scores, return_counts=True)
        self._scores.append(scores)
        self._counts.append(counts.astype(np.uint32))
        hits = find_true_positives(predictions, truth, self._deltas, self._k)
        for kept, row in zip(self._hits, hits, strict=True):
            kept.append(predictions.scores[row])
        self._heads += len(truth)

    def merge(self, other: "NormalizedAveragePrecision") -> None:
        """Add the images of another accumulator of the same deltas and k."""
        self._scores += other._scores
        self._counts += other._counts
        for kept, rows in zip(self._hits, other._hits, strict=True):
            kept += rows
        self._heads += other._heads

    def compute(self) -> dict[float, float] | None:
        """Compute nAP by delta; None without heads, or if all scores are equal."""
        ends = {float(end) for scores in self._scores if len(scores) for end in (scores[0], scores[-1])}
        if not self._heads or len(ends) == 1:
            return None
        hits = [_concatenate(kept) for kept in self._hits]
        # Only scores of true positives change the recall, and have the highest precision at it.
        levels = np.unique(_concatenate(hits))[::-1]
        counts = np.diff(self._count_at_least(levels), prepend=0)
        return {
            delta: average_precision(
                levels, _count_equal(levels, row), self._heads, self._interpolation, counts
            )
            for delta, row in zip(self._deltas, hits, strict=True)
        }

    def compute_curve(self, delta: float) -> tuple[DoubleArray, DoubleArray]:
        """Compute precision and recall at the scores of true positives, descending; empty without heads."""
        hits = _concatenate(self._hits[self._deltas.index(delta)])
        levels = np.unique(hits)[::-1]
        counts = np.diff(self._count_at_least(levels), prepend=0)
        return precision_recall(levels, _count_equal(levels, hits), max(self._heads, 1), counts)

    def _count_at_least(self, levels: FloatArray) -> IntArray:
        """Count the predictions that score at least each level, image by image to save memory."""
        total = np.zeros(len(levels), np.intp)
        for scores, counts in zip(self._scores, self._counts, strict=True):
            above = np.append(np.cumsum(counts[::-1], dtype=np.intp)[::-1], 0)
            total += above[np.searchsorted(scores, levels, "left")]
        return total


def _concatenate(parts: Sequence[FloatArray]) -> FloatArray:
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _count_equal(levels: FloatArray, scores: FloatArray) -> IntArray:
    """Count the scores equal to each level; levels descend."""
    entry = len(levels) - 1 - np.searchsorted(levels[::-1], scores)
    return np.bincount(entry, minlength=len(levels))
