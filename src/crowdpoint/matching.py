"""One-to-one matching of predictions to heads within a radius, exact and on the sparse graph of near pairs.

Every localization metric stands on it. Sorted strips of the image give the pairs. Alternating paths or, for
one radius and many pairs, a maximum flow give the largest matching among them. Time and memory follow the
number of pairs and not of all combinations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.intp]
DoubleArray = npt.NDArray[np.float64]
RealArray = npt.NDArray[np.float32] | DoubleArray

ROUNDING = 1 + 1e-9
"""What a distance may be above a radius, as a factor, and still match: float64 rounds distances."""

_DECIMALS = 6  # float32 pixels hold no more than so many digits behind the point
_DENSE = 8  # pairs a point
_LARGE = 50_000  # pairs; above, scipy's flow is faster than plain lists
_GROWTH = 1.5  # from one search for pairs to the next, where there are many radii


@dataclass(frozen=True, slots=True)
class Pairs:
    """The sparse bipartite graph of near (prediction, head) pairs, ordered by head.

    Attributes:
        prediction: (E,) index of each pair's prediction.
        head: (E,) index of each pair's head.
        distance: (E,) float64, Euclidean, pixels.
        shape: (P, G), the numbers of predictions and of heads.
    """

    prediction: IntArray
    head: IntArray
    distance: DoubleArray
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.distance)

    def select(self, index: IntArray | npt.NDArray[np.bool_] | slice) -> "Pairs":
        """The pairs at `index`, in its order."""
        return Pairs(self.prediction[index], self.head[index], self.distance[index], self.shape)


def as_written(values: RealArray) -> DoubleArray:
    """Numbers in float64; those in float32 become the decimal fraction that they were rounded from.

    float32 keeps 4.1 as 4.0999999, so that from 0.1 to 4.1 it is less or more than 4 pixels by chance. Of all
    fractions of up to 6 digits that are stored as the same float32, the one with the fewest digits is taken.

    Args:
        values: of any shape.
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


def pairs_within(predictions: RealArray, truth: RealArray, radius: float | RealArray) -> Pairs:
    """All pairs whose distance is at most the radius, computed in float64.

    The predictions are sorted into horizontal strips, and by x within each: a head looks up its window of
    every strip that its radius touches.

    Args:
        predictions: (P, 2) points (x, y) in pixels.
        truth: (G, 2) heads (x, y) in pixels.
        radius: pixels, at least 0; one for all, or (G,) with one per head. Infinity pairs everything.

    Raises:
        ValueError: if a radius is negative or NaN, or if there is not one per head.
    """
    predictions, truth = (np.asarray(xy, np.float64).reshape(-1, 2) for xy in (predictions, truth))
    radii = _per_head(radius, len(truth)) * ROUNDING
    count = len(predictions)
    if not count or not len(truth):
        none = np.empty(0, np.intp)
        return Pairs(none, none, np.empty(0), (count, len(truth)))
    corner = predictions.min(axis=0)
    reach = np.minimum(radii, np.abs(truth - corner).max() + np.ptp(predictions, axis=0).max() + 1)
    height = max(float(reach.mean()), 1e-3)
    by_x = np.argsort(predictions[:, 0], kind="stable")
    strip = ((predictions[by_x, 1] - corner[1]) // height).astype(np.intp)
    key = strip * count + np.arange(count)  # by strip, and by place in x within it
    place = np.argsort(key, kind="stable")
    key, order = key[place], by_x[place]
    x = predictions[by_x, 0]
    left = np.searchsorted(x, truth[:, 0] - reach, "left")
    right = np.searchsorted(x, truth[:, 0] + reach, "right")
    top = np.maximum((truth[:, 1] - reach - corner[1]) // height, 0).astype(np.intp)
    bottom = np.minimum((truth[:, 1] + reach - corner[1]) // height, strip.max()).astype(np.intp)
    head, row = _ranges(top, np.maximum(bottom + 1, top))
    first, last = (np.searchsorted(key, row * count + end[head]) for end in (left, right))
    window, position = _ranges(first, last)
    head, (px, py), (gx, gy) = head[window], predictions[order].T, truth.T
    squared = (px[position] - gx[head]) ** 2 + (py[position] - gy[head]) ** 2
    near = np.flatnonzero(squared <= radii[head] ** 2)
    shape = (count, len(truth))
    return Pairs(order[position[near]], head[near], np.sqrt(squared[near]), shape)


def match(
    predictions: RealArray, truth: RealArray, radius: float | RealArray, *, nearest: bool = False
) -> tuple[IntArray, IntArray]:
    """A largest possible set of one-to-one pairs among those with distance at most the radius.

    Args:
        predictions: (P, 2) points (x, y) in pixels; float32 is taken `as_written`.
        truth: (G, 2) heads (x, y) in pixels, likewise.
        radius: pixels; one for all, or (G,) with one per head.
        nearest: among all largest sets take one of the smallest total distance, which is slower. Without
            it the size is exact, but which of several equally large sets comes back is not specified.

    Returns:
        The matched predictions (M,), ascending, and the head (M,) of each.

    Raises:
        ValueError: as `pairs_within`.
    """
    pairs = pairs_within(as_written(predictions), as_written(truth), radius)
    if nearest:
        head = _assign_nearest(pairs)
    elif len(pairs) > _LARGE:
        head = _assign_most(pairs)
    else:
        matching = _Matching(pairs.shape)
        _grown(matching, pairs, [_per_head(radius, len(truth))])
        head = np.array(matching.head, np.intp)
    matched = np.flatnonzero(head >= 0)
    return matched, head[matched]


def match_counts(predictions: RealArray, truth: RealArray, radii: Sequence[float | RealArray]) -> IntArray:
    """The size of a largest matching at each of several radii, (R,).

    From one radius to a wider one, pairs join and the matching only grows. Pairs are looked for as far as the
    matching needs them: at its largest possible size there is nothing left to find.

    Args:
        predictions: (P, 2) points (x, y) in pixels; float32 is taken `as_written`.
        truth: (G, 2) heads (x, y) in pixels, likewise.
        radii: R radii in any order, each as in `pairs_within`.

    Raises:
        ValueError: as `pairs_within`.
    """
    predictions, truth = as_written(predictions), as_written(truth)
    counts = np.zeros(len(radii), np.intp)
    reaches = [_per_head(radius, len(truth)) for radius in radii]
    for chain in _chains(reaches):
        if len(chain) == 1:
            counts[chain] = len(match(predictions, truth, radii[chain[0]])[0])
            continue
        matching, before = _Matching((len(predictions), len(truth))), np.full(len(truth), -1.0)
        for stretch in _stretches([reaches[step] for step in chain]):
            steps = [chain[number] for number in stretch]
            if not matching.complete:
                widest = reaches[steps[-1]]
                pairs = pairs_within(predictions, truth, widest)
                pairs = pairs.select(pairs.distance > before[pairs.head] * ROUNDING)
                counts[steps] = _grown(matching, pairs, [reaches[step] for step in steps])
                before = widest
            else:
                counts[steps] = matching.size
    return counts


class _Matching:
    """A largest matching, which grows as pairs join.

    Phases of breadth-first search from all free predictions at once make a forest of alternating paths; each
    tree that reaches a free head swaps its path, and the next phase starts. The forest of the last phase,
    which reached none, stays: pairs that join continue it. Plain lists, because most crowds are small.

    Attributes:
        head: the head of each prediction or -1.
        size: how many are matched.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        predictions, heads = shape
        self.head = [-1] * predictions
        self.size = 0
        self._limit = min(shape)
        self._owner = [-1] * heads  # the prediction of each head
        self._near: list[list[int]] = [[] for _ in range(predictions)]  # heads
        self._root = list(range(predictions))  # of the tree that a prediction is in; -1 in none
        self._parent = [-1] * heads  # the prediction that a head was reached from; -1 not reached

    @property
    def complete(self) -> bool:
        """Whether one side is matched as a whole."""
        return self.size == self._limit

    def grow(self, predictions: IntArray, heads: IntArray) -> None:
        """Adds pairs."""
        joined = list(zip(predictions.tolist(), heads.tolist(), strict=True))
        for prediction, head in joined:
            self._near[prediction].append(head)
        root, parent = self._root, self._parent
        leaves = {prediction: None for prediction, head in joined if root[prediction] >= 0 > parent[head]}
        found = self._search(list(leaves))
        while found and not self.complete:
            free = [prediction for prediction, head in enumerate(self.head) if head < 0]
            self._root = [-1] * len(self.head)
            self._parent = [-1] * len(self._owner)
            for prediction in free:
                self._root[prediction] = prediction
            found = self._search(free)

    def _search(self, queue: list[int]) -> bool:
        """Continues the forest from predictions in it; whether a tree reached a free head."""
        near, root, parent, owner = self._near, self._root, self._parent, self._owner
        done = set()
        for prediction in queue:  # which grows
            tree = root[prediction]
            if tree in done:
                continue
            for head in near[prediction]:
                if parent[head] < 0:
                    parent[head] = prediction
                    taken = owner[head]
                    if taken < 0:
                        self._swap(head)
                        done.add(tree)
                        break
                    root[taken] = tree
                    queue.append(taken)
        return bool(done)

    def _swap(self, head: int) -> None:
        """Matches a free head, and everything on its path anew."""
        while head >= 0:
            prediction = self._parent[head]
            given_up = self.head[prediction]
            self.head[prediction], self._owner[head] = head, prediction
            head = given_up
        self.size += 1


def _grown(matching: _Matching, pairs: Pairs, reaches: Sequence[DoubleArray]) -> list[int]:
    """The size after each of nested reaches (G,), the last of which holds all pairs."""
    # Among many pairs the near ones leave little to swap: they join first.
    halvings = 5 if len(pairs) > _DENSE * max(pairs.shape) else 0
    reaches = [*(reaches[0] * 0.5**n for n in range(halvings, 0, -1)), *reaches]
    step = np.zeros(len(pairs), np.int16)
    for reach in reaches[:-1]:
        step += pairs.distance > reach[pairs.head] * ROUNDING
    order = np.argsort(step, kind="stable")
    ends = np.cumsum(np.bincount(step, minlength=len(reaches)))
    sizes = []
    for joining in np.split(order, ends[:-1]):
        if not matching.complete:
            matching.grow(pairs.prediction[joining], pairs.head[joining])
        sizes.append(matching.size)
    return sizes[halvings:]


def _chains(reaches: Sequence[DoubleArray]) -> Iterator[list[int]]:
    """Radii (G,) by number, in chains of which each contains the one before it for every head."""
    rest = sorted(range(len(reaches)), key=lambda number: reaches[number].sum())
    while rest:
        chain = rest[:1]
        for number in rest[1:]:
            if (reaches[number] >= reaches[chain[-1]]).all():
                chain.append(number)
        rest = [number for number in rest if number not in chain]
        yield chain


def _stretches(reaches: Sequence[DoubleArray]) -> Iterator[list[int]]:
    """Nested radii by number, up to `_GROWTH` times the first: one search for pairs serves a stretch."""
    stretch: list[int] = []
    for number, reach in enumerate(reaches):
        if stretch and reach.sum() > _GROWTH * reaches[stretch[0]].sum():
            yield stretch
            stretch = []
        stretch.append(number)
    if stretch:
        yield stretch


def _ranges(starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
    """The whole numbers of many half-open ranges: which range each is of, and the number."""
    sizes = ends - starts
    which = np.repeat(np.arange(len(starts)), sizes)
    return which, np.arange(len(which)) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)


def _per_head(radius: float | RealArray, heads: int) -> DoubleArray:
    """The radius of each head (G,), checked."""
    radii = np.asarray(radius, np.float64)
    if radii.shape not in ((), (heads,)):
        raise ValueError(f"radius: expected one number or one per head ({heads}), found shape {radii.shape}")
    if not (radii >= 0).all():
        raise ValueError("radius: expected values of at least 0, found a negative one or NaN")
    return np.broadcast_to(radii, heads)


def _assign_most(pairs: Pairs) -> IntArray:
    """The head of each prediction (P,) or -1: a largest matching, as a maximum flow.

    Unit flows from a source through predictions and heads to a sink, by Dinic's algorithm in O(E sqrt(V)).
    SciPy's own `maximum_bipartite_matching` is exponential at worst (scipy#26147).
    """
    from scipy.sparse import csr_array  # takes its time to import
    from scipy.sparse.csgraph import maximum_flow

    predictions, heads = pairs.shape
    source, sink = predictions + heads, predictions + heads + 1
    tail = (pairs.prediction, np.full(predictions, source), np.arange(predictions, source))
    tip = (pairs.head + predictions, np.arange(predictions), np.full(heads, sink))
    # SciPy's graph routines take 32-bit indices only.
    edges = (np.concatenate(tail, dtype=np.int32), np.concatenate(tip, dtype=np.int32))
    network = csr_array((np.ones(len(edges[0]), np.int32), edges), shape=(sink + 1, sink + 1))
    flow = maximum_flow(network, source, sink).flow.tocoo()
    used = (flow.data > 0) & (flow.row < predictions)
    head = np.full(predictions, -1, np.intp)
    head[flow.row[used]] = flow.col[used] - predictions
    return head


def _assign_nearest(pairs: Pairs) -> IntArray:
    """The head of each prediction (P,) or -1: a largest matching of the smallest total distance.

    Each head also gets a stand-in of its own, dearer than all real pairs together. A full assignment of
    the heads then always exists, and the cheapest one uses as few stand-ins as possible.
    """
    from scipy.sparse import csr_array  # takes its time to import
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    predictions, heads = pairs.shape
    cost = pairs.distance + 1  # an equal addition to every pair: a sparse matrix takes zero for no edge
    dear = 1 + min(predictions, heads) * cost.max(initial=1)
    everyone = np.arange(heads)
    edges = (
        np.concatenate((pairs.head, everyone), dtype=np.int32),
        np.concatenate((pairs.prediction, everyone + predictions), dtype=np.int32),
    )
    costs = np.concatenate((cost, np.full(heads, dear)))
    weights = csr_array((costs, edges), shape=(heads, predictions + heads))
    rows, columns = min_weight_full_bipartite_matching(weights) if heads else (everyone, everyone)
    real = columns < predictions
    head = np.full(predictions, -1, np.intp)
    head[columns[real]] = rows[real]
    return head
