"""nAP: average precision of scored points, with a reach that follows the crowd's density (P2PNet, Sec. 3.2).

Unlike F1 it needs no score threshold, and unlike a fixed sigma it asks for less where heads are far apart.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from crowdpoint.matching import DoubleArray, pairs_within
from crowdpoint.neighbors import neighbor_distances
from crowdpoint.points import Points

Interpolation = Literal["every-point", "11-point", "101-point", "raw"]

Hits = npt.NDArray[np.bool_] | npt.NDArray[np.intp]

DELTAS = tuple(step / 20 for step in range(1, 11))
"""delta = 0.05:0.05:0.50, over which the paper averages."""


def claims(
    predictions: Points, truth: Points, deltas: Sequence[float] = DELTAS, k: int = 3
) -> npt.NDArray[np.bool_]:
    """Which predictions of one image are true positives at each delta (P2PNet, Eq. 1).

    From the highest score down, each prediction claims the nearest head i that no higher one has claimed
    and that satisfies d / d_kNN(i) < delta. Equal scores go in the order of the points.

    Args:
        predictions: P scored points.
        truth: G heads.
        deltas: (D,) reaches as fractions of d_kNN.
        k: neighbours that d_kNN averages.

    Returns:
        (D, P), True for a true positive.
    """
    reach = neighbor_distances(truth.xy, k)
    pairs = pairs_within(predictions.xy, truth.xy, reach * max(deltas) * (1 + 1e-9))
    order = np.argsort(-predictions.scores, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    pairs = pairs.select(np.lexsort((pairs.head, pairs.distance, rank[pairs.prediction])))
    with np.errstate(invalid="ignore"):  # 0 / 0 at coincident heads is no match
        ratio = pairs.distance / reach[pairs.head]
    delta, pair = np.nonzero(ratio < np.asarray(deltas, np.float64)[:, None])
    # One proposer for every delta and prediction: the wishes of all lie one after the other, nearest first.
    proposer = delta * len(predictions) + rank[pairs.prediction[pair]]
    wish = delta * len(truth) + pairs.head[pair]
    won = np.zeros(len(deltas) * len(predictions), np.bool_)
    won[_winners(proposer, wish, len(deltas) * len(truth))] = True
    return won.reshape(len(deltas), len(predictions))[:, rank]


def _winners(proposer: npt.NDArray[np.intp], wish: npt.NDArray[np.intp], wishes: int) -> npt.NDArray[np.intp]:
    """The proposers that end up with something they wish, if lower numbers choose first.

    Deferred acceptance (Gale and Shapley): each proposes to its next wish, which keeps the lowest
    number, until nobody is refused. All wishes rank proposers alike, so that the stable outcome is
    unique and equals choosing one after the other, in a few vectorised rounds.

    Args:
        proposer: (E,) ascending; each proposer's wishes are consecutive and in order of preference.
        wish: (E,) what it wishes, below `wishes`.
        wishes: how many there are.
    """
    active, first, count = np.unique(proposer, return_index=True, return_counts=True)
    turn, end = first.copy(), first + count
    holder = np.empty(wishes, np.intp)
    while len(active):
        asked = wish[turn]
        holder[asked[::-1]] = active[::-1]  # the last write stays: the lowest number
        refused = holder[asked] != active
        if not refused.any():
            break
        turn[refused] += 1
        stays = turn < end
        active, turn, end = active[stays], turn[stays], end[stays]
    return active


def precision_recall(
    scores: npt.NDArray[np.float32], hits: Hits, heads: int, counts: npt.NDArray[np.intp] | None = None
) -> tuple[DoubleArray, DoubleArray]:
    """Precision and recall of the predictions above each distinct score, from the highest down.

    Args:
        scores: (N,) of all images' predictions.
        hits: (N,) whether each is a true positive, or how many are of those that an entry stands for.
        heads: the number of heads, at least 1.
        counts: (N,) how many predictions an entry stands for; one by default.

    Returns:
        Two arrays of one length, fractions.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.float32(np.nan)))  # last of equal scores
    true = np.cumsum(hits[order], dtype=np.intp)[ends]
    found = ends + 1 if counts is None else np.cumsum(counts[order], dtype=np.intp)[ends]
    return true / found, true / heads


def average_precision(
    scores: npt.NDArray[np.float32],
    hits: Hits,
    heads: int,
    interpolation: Interpolation = "every-point",
    counts: npt.NDArray[np.intp] | None = None,
) -> float:
    """Area under the precision-recall curve of scored predictions.

    The curve has one point per distinct score, since a threshold takes equal scores together; so the
    figure does not depend on the order of the images.

    Args:
        scores: (N,) of all images' predictions.
        hits: (N,) as `precision_recall`.
        heads: the number of heads, at least 1.
        interpolation: "every-point" is the area under the monotone envelope, which at a recall takes the
            best precision at that recall or a higher one (Pascal VOC since 2010); "11-point" (VOC 2007)
            and "101-point" (COCO) average the envelope at equidistant recalls from 0 to 1; "raw" sums
            recall steps times precision without an envelope.
        counts: (N,) as `precision_recall`.

    Returns:
        A fraction.

    Raises:
        ValueError: for an unknown interpolation, or without heads.
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
    reached = np.searchsorted(recall, levels - 1e-12)  # 0.3 in floats must not miss 3 heads of 10
    return float(np.append(precision, 0)[reached].mean())


class NormalizedAveragePrecision:
    """Accumulates scored predictions of all images into nAP, pooled and sorted by score.

    Args:
        deltas: reaches as fractions of d_kNN.
        k: neighbours that d_kNN averages.
        interpolation: as `average_precision`.
    """

    def __init__(
        self, deltas: Sequence[float] = DELTAS, k: int = 3, interpolation: Interpolation = "every-point"
    ) -> None:
        self._deltas, self._k, self._interpolation = tuple(deltas), k, interpolation
        self._scores: list[npt.NDArray[np.float32]] = []
        self._counts: list[npt.NDArray[np.uint32]] = []
        self._hits: list[list[npt.NDArray[np.float32]]] = [[] for _ in self._deltas]
        self._heads = 0

    def update(self, predictions: Points, truth: Points) -> None:
        """Adds the scored predictions and the heads of one image.

        Every distinct score takes 8 bytes and is kept once: where a map is flat, every one of its cells is a
        candidate. True positives, no more than heads, are kept apart.
        """
        scores, counts = np.unique(predictions.scores, return_counts=True)
        self._scores.append(scores)
        self._counts.append(counts.astype(np.uint32))
        for kept, row in zip(self._hits, claims(predictions, truth, self._deltas, self._k), strict=True):
            kept.append(predictions.scores[row])
        self._heads += len(truth)

    def compute(self) -> dict[float, float] | None:
        """The nAP by delta; None without heads, or where all scores are equal and so rank nothing."""
        ends = {float(end) for scores in self._scores if len(scores) for end in (scores[0], scores[-1])}
        if not self._heads or len(ends) == 1:
            return None
        hits = [_joined(kept) for kept in self._hits]
        # The curve changes its recall, and has the best precision of each recall, at scores of hits alone.
        levels = np.unique(_joined(hits))[::-1]
        found = self._at_least(levels)
        return {
            delta: average_precision(
                levels,
                _counts_of(levels, row),
                self._heads,
                self._interpolation,
                np.diff(found, prepend=0),
            )
            for delta, row in zip(self._deltas, hits, strict=True)
        }

    def curve(self, delta: float) -> tuple[DoubleArray, DoubleArray]:
        """The precision-recall curve that the nAP at one of the deltas is the area under.

        Returns:
            Precision and recall of the predictions above each score of a true positive, from the highest
            down; empty without heads.
        """
        hits = _joined(self._hits[self._deltas.index(delta)])
        levels = np.unique(hits)[::-1]
        counts = np.diff(self._at_least(levels), prepend=0)
        return precision_recall(levels, _counts_of(levels, hits), max(self._heads, 1), counts)

    def _at_least(self, levels: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        """How many predictions of all images score at least each level, image by image to save memory."""
        found = np.zeros(len(levels), np.intp)
        for scores, counts in zip(self._scores, self._counts, strict=True):
            above = np.append(np.cumsum(counts[::-1], dtype=np.intp)[::-1], 0)
            found += above[np.searchsorted(scores, levels, "left")]
        return found


def _joined(parts: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Arrays one after another; none of them is an empty one."""
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _counts_of(levels: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """How many of the scores equal each level, which fall."""
    entry = len(levels) - 1 - np.searchsorted(levels[::-1], scores)
    return np.bincount(entry, minlength=len(levels))
