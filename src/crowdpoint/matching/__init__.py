"""Maximum one-to-one matching of predictions to heads within a radius, the basis of localization metrics.

Finds near pairs in a grid, then augments along alternating paths. Time and memory depend on their number.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crowdpoint.matching.augmenting import LargeMatching, Matching
from crowdpoint.points import DoubleArray, IntArray, RealArray

ROUNDING = 1 + 1e-9
"""Factor by which a distance may exceed a radius and still match, to allow for float64 rounding."""

_DECIMALS = 6  # decimal places that float32 pixels can represent
_DENSE = 8  # pairs per point
_LARGE = 50_000  # pairs above which arrays are faster than lists
_GROWTH = 3  # ratio of radii that share a search for pairs


@dataclass(frozen=True, slots=True)
class Pairs:
    """Sparse bipartite graph of near (prediction, head) pairs, ordered by head.

    Attributes:
        prediction: (E,) index of each pair's prediction.
        head: (E,) index of each pair's head.
        distance: (E,) float64, Euclidean distance in pixels.
        shape: (P, G), number of predictions and heads.
    """

    prediction: IntArray
    head: IntArray
    distance: DoubleArray
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.distance)

    def select(self, index: IntArray | npt.NDArray[np.bool_] | slice) -> "Pairs":
        """Return the pairs at `index`, in its order."""
        return Pairs(self.prediction[index], self.head[index], self.distance[index], self.shape)


def restore_decimals(values: RealArray) -> DoubleArray:
    """Convert to float64, replacing float32 values by the decimal fractions they were rounded from.

    float32 stores 4.1 as 4.0999999, so that rounding would decide whether 0.1 and 4.1 are within 4 pixels.
    Chooses the shortest fraction of up to 6 digits that rounds to the same float32.

    >>> restore_decimals(np.array([4.1], np.float32)).tolist()
    [4.1]
    """
    exact = np.array(values, np.float64)
    if values.dtype != np.float32:
        return exact
    rest = np.arange(exact.size)
    flat, stored = exact.reshape(-1), values.reshape(-1)
    for digits in range(_DECIMALS + 1):
        tried = np.round(stored[rest].astype(np.float64), digits)
        fits = tried.astype(np.float32) == stored[rest]
        flat[rest[fits]] = tried[fits]
        rest = rest[~fits]
        if not rest.size:
            break
    return exact


def find_pairs(predictions: RealArray, truth: RealArray, radius: float | RealArray) -> Pairs:
    """Find all pairs whose distance is at most the radius, computed in float64.

    Sorts predictions into a grid of equally full columns and rows; a head searches cells within its radius.

    Args:
        predictions: (P, 2) points (x, y) in pixels.
        truth: (G, 2) heads (x, y) in pixels.
        radius: radius in pixels, at least 0: a number, or (G,) with one per head. Infinity pairs everything.

    Raises:
        ValueError: if a radius is negative or NaN, or the number of radii is wrong.

    >>> pairs = find_pairs(np.array([[0, 0], [9, 9]]), np.array([[3, 4]]), radius=5)
    >>> pairs.prediction.tolist(), pairs.head.tolist(), pairs.distance.tolist()
    ([0], [0], [5.0])
    """
    predictions, truth = (np.asarray(xy, np.float64).reshape(-1, 2) for xy in (predictions, truth))
    radii = _expand_radius(radius, len(truth)) * ROUNDING
    count = len(predictions)
    if not count or not len(truth):
        none = np.empty(0, np.intp)
        return Pairs(none, none, np.empty(0), (count, len(truth)))
    step = math.isqrt(count)
    edges = np.sort(predictions, axis=0)[step::step].T  # of about as many cells as there are predictions
    (column,), (row,) = (_locate(*pair, 0.0) for pair in zip(edges, predictions.T, strict=True))
    (left, right), (top, bottom) = (
        _locate(*pair, -radii, radii) for pair in zip(edges, truth.T, strict=True)
    )
    columns = len(edges[0]) + 1
    cell = row * columns + column
    small = cell.astype(np.min_scalar_type(columns**2))  # 16 bits are sorted in linear time
    order = np.argsort(small, kind="stable")
    ends = np.cumsum(np.bincount(cell + 1, minlength=columns**2 + 1))
    head, row = _expand_ranges(top, bottom + 1)
    window, position = _expand_ranges(ends[row * columns + left[head]], ends[row * columns + right[head] + 1])
    head, (px, py), (gx, gy) = head[window], predictions[order].T, truth.T
    squared = (px[position] - gx[head]) ** 2 + (py[position] - gy[head]) ** 2
    near = np.flatnonzero(squared <= radii[head] ** 2)
    shape = (count, len(truth))
    return Pairs(order[position[near]], head[near], np.sqrt(squared[near]), shape)


def match(
    predictions: RealArray, truth: RealArray, radius: float | RealArray, *, nearest: bool = False
) -> tuple[IntArray, IntArray]:
    """Find a maximum one-to-one matching among the pairs whose distance is at most the radius.

    Args:
        predictions: (P, 2) points (x, y) in pixels; float32 passes through `restore_decimals`.
        truth: (G, 2) heads (x, y) in pixels, likewise.
        radius: radius in pixels: a number, or (G,) with one per head.
        nearest: choose the smallest total distance among the maximum matchings, which is slower.

    Returns:
        Indices of the matched predictions (M,), ascending, and of their heads (M,).

    Raises:
        ValueError: as in `find_pairs`.

    >>> predictions, heads = np.array([[0, 0], [5, 0], [50, 50]]), np.array([[4, 0], [1, 0]])
    >>> matched, found = match(predictions, heads, radius=8, nearest=True)
    >>> print(*matched, "to", *found)
    0 1 to 1 0
    """
    pairs = find_pairs(restore_decimals(predictions), restore_decimals(truth), radius)
    if nearest:
        head = _assign_nearest(pairs)
    else:
        matching = _choose_matching(Matching(pairs.shape), pairs)
        _grow_in_steps(matching, pairs, [_expand_radius(radius, len(truth))])
        head = np.array(matching.head, np.intp)
    matched = np.flatnonzero(head >= 0)
    return matched, head[matched]


def match_counts(predictions: RealArray, truth: RealArray, radii: Sequence[float | RealArray]) -> IntArray:
    """Count the pairs of a maximum matching at each of several radii, (R,).

    Grows one matching from each radius to the next, and stops searching for pairs when it is complete. The R
    radii may have any order; points, each radius and errors are as in `match`.

    >>> match_counts(np.array([[0, 0], [9, 0]]), np.array([[3, 0], [6, 0]]), radii=[2, 3]).tolist()
    [0, 2]
    """
    predictions, truth = restore_decimals(predictions), restore_decimals(truth)
    counts = np.zeros(len(radii), np.intp)
    reaches = [_expand_radius(radius, len(truth)) for radius in radii]
    for chain in _group_nested(reaches):
        matching: Matching | LargeMatching = Matching((len(predictions), len(truth)))
        before: DoubleArray | None = None
        for group in _group_similar([reaches[step] for step in chain]):
            steps = [chain[number] for number in group]
            if not matching.complete:
                widest = reaches[steps[-1]]
                pairs = find_pairs(predictions, truth, widest)
                matching = _choose_matching(matching, pairs)
                if isinstance(matching, Matching) and before is not None:
                    pairs = pairs.select(np.flatnonzero(pairs.distance > before[pairs.head] * ROUNDING))
                counts[steps] = _grow_in_steps(matching, pairs, [reaches[step] for step in steps])
                before = widest
            else:
                counts[steps] = matching.size
    return counts


def _choose_matching(matching: Matching | LargeMatching, pairs: Pairs) -> Matching | LargeMatching:
    large = isinstance(matching, Matching) and len(pairs) > _LARGE
    return LargeMatching(pairs.shape, matching.head) if large else matching


def _grow_in_steps(
    matching: Matching | LargeMatching, pairs: Pairs, reaches: Sequence[DoubleArray]
) -> list[int]:
    """Grow by nested radii (G,), the last of which includes all pairs, and return the size after each.

    The pairs are those that a `Matching` lacks, or all of a `LargeMatching`.
    """
    # Among many pairs, add the nearest first, which leaves few augmentations.
    halvings = 5 if not matching.size and len(pairs) > _DENSE * max(pairs.shape) else 0
    reaches = [*(reaches[0] * 0.5**n for n in range(halvings, 0, -1)), *reaches]
    step = _find_steps(pairs, reaches[:-1]).astype(np.min_scalar_type(len(reaches)))
    sizes = []
    for number in range(len(reaches)):
        if not matching.complete:
            joins = step == number if isinstance(matching, Matching) else step <= number
            joining = np.flatnonzero(joins)  # indices are several times as fast as a mask
            matching.grow(pairs.prediction[joining], pairs.head[joining])
        sizes.append(matching.size)
    return sizes[halvings:]


def _find_steps(pairs: Pairs, reaches: Sequence[DoubleArray]) -> IntArray:
    """Count the nested radii (G,) that are too short for each pair, (E,)."""
    limits = np.reshape(reaches, (len(reaches), pairs.shape[1])) * ROUNDING
    if limits.size and (limits == limits[:, :1]).all():
        return np.searchsorted(limits[:, 0], pairs.distance)
    steps = np.zeros(len(pairs), np.intp)
    for limit in limits:
        steps += pairs.distance > limit[pairs.head]
    return steps


def _group_nested(reaches: Sequence[DoubleArray]) -> Iterator[list[int]]:
    """Group radii (G,), by index, into chains that grow for every head."""
    rest = sorted(range(len(reaches)), key=lambda number: reaches[number].sum())
    while rest:
        chain = rest[:1]
        for number in rest[1:]:
            if (reaches[number] >= reaches[chain[-1]]).all():
                chain.append(number)
        rest = [number for number in rest if number not in chain]
        yield chain


def _group_similar(reaches: Sequence[DoubleArray]) -> Iterator[list[int]]:
    """Group nested radii, by index, up to `_GROWTH` times the first of each group, for one search each."""
    group: list[int] = []
    for number, reach in enumerate(reaches):
        if group and reach.sum() > _GROWTH * reaches[group[0]].sum():
            yield group
            group = []
        group.append(number)
    if group:
        yield group


def _locate(edges: DoubleArray, values: DoubleArray, *shifts: float | DoubleArray) -> list[IntArray]:
    """Count the edges up to each shifted value, for each of the shifts."""
    order = np.argsort(values)  # binary searches are several times faster in ascending order
    cells = []
    for shift in shifts:
        found = np.empty(len(values), np.intp)
        found[order] = edges.searchsorted((values + shift)[order], "right")
        cells.append(found)
    return cells


def _expand_ranges(starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
    """Expand half-open integer ranges to the range index and the value of each element."""
    sizes = ends - starts
    which = np.repeat(np.arange(len(starts)), sizes)
    return which, np.arange(len(which)) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)


def _expand_radius(radius: float | RealArray, heads: int) -> DoubleArray:
    """Validate a radius and broadcast it to one per head (G,)."""
    radii = np.asarray(radius, np.float64)
    if radii.shape not in ((), (heads,)):
        raise ValueError(f"radius: expected one number or one per head ({heads}), found shape {radii.shape}")
    if not (radii >= 0).all():
        raise ValueError("radius: expected values of at least 0, found a negative one or NaN")
    return radii if radii.ndim else np.full(heads, radii)


def _assign_nearest(pairs: Pairs) -> IntArray:
    """Compute a maximum matching of minimum total distance: the head of each prediction (P,) or -1.

    Each head has a dummy prediction that costs more than all real pairs, so that a full assignment exists.
    """
    from scipy.sparse import csr_array  # slow to import
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    predictions, heads = pairs.shape
    cost = pairs.distance + 1  # sparse matrices treat 0 as a missing edge
    dummy_cost = 1 + min(predictions, heads) * cost.max(initial=1)
    dummies = np.arange(heads)
    edges = (
        np.concatenate((pairs.head, dummies), dtype=np.int32),
        np.concatenate((pairs.prediction, dummies + predictions), dtype=np.int32),
    )
    costs = np.concatenate((cost, np.full(heads, dummy_cost)))
    weights = csr_array((costs, edges), shape=(heads, predictions + heads))
    rows, columns = min_weight_full_bipartite_matching(weights) if heads else (dummies, dummies)
    real = columns < predictions
    head = np.full(predictions, -1, np.intp)
    head[columns[real]] = rows[real]
    return head
