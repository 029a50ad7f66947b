"""One-to-one matching of predictions to heads within a radius, exact and on the sparse graph of near pairs.

Every localization metric stands on it: a k-d tree finds the pairs, a maximum flow finds the largest
matching among them, so time and memory follow the number of pairs and not of all combinations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow, min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

IntArray = npt.NDArray[np.intp]
DoubleArray = npt.NDArray[np.float64]
RealArray = npt.NDArray[np.float32] | DoubleArray

_ROUNDING = 1 + 1e-9  # the tree searches a hair wider than the radius; the exact comparison follows


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


def pairs_within(predictions: RealArray, truth: RealArray, radius: float | RealArray) -> Pairs:
    """All pairs whose distance is at most the radius, computed in float64.

    Args:
        predictions: (P, 2) points (x, y) in pixels.
        truth: (G, 2) heads (x, y) in pixels.
        radius: pixels, at least 0; one for all, or (G,) with one per head. Infinity pairs everything.

    Raises:
        ValueError: if a radius is negative or NaN, or if there is not one per head.
    """
    predictions, truth = (np.asarray(xy, np.float64).reshape(-1, 2) for xy in (predictions, truth))
    radii = _per_head(radius, len(truth))
    # An unbalanced tree is built in half the time and searched as fast; there can be 100,000 proposals.
    tree = cKDTree(predictions, balanced_tree=False, compact_nodes=False)
    near = tree.query_ball_point(truth, radii * _ROUNDING)
    sizes = np.fromiter(map(len, near), np.intp, len(truth))
    prediction = np.fromiter(chain.from_iterable(near), np.intp, int(sizes.sum()))
    head = np.repeat(np.arange(len(truth)), sizes)
    distance = np.sqrt(((predictions[prediction] - truth[head]) ** 2).sum(axis=1))
    pairs = Pairs(prediction, head, distance, (len(predictions), len(truth)))
    return pairs.select(distance <= radii[head])


def match(
    predictions: RealArray, truth: RealArray, radius: float | RealArray, *, nearest: bool = False
) -> tuple[IntArray, IntArray]:
    """A largest possible set of one-to-one pairs among those with distance at most the radius.

    Args:
        predictions: (P, 2) points (x, y) in pixels.
        truth: (G, 2) heads (x, y) in pixels.
        radius: pixels; one for all, or (G,) with one per head.
        nearest: among all largest sets take one of the smallest total distance, which is slower. Without
            it the size is exact, but which of several equally large sets comes back is not specified.

    Returns:
        The matched predictions (M,), ascending, and the head (M,) of each.

    Raises:
        ValueError: as `pairs_within`.
    """
    pairs = pairs_within(predictions, truth, radius)
    unmatched = np.full(pairs.shape[0], -1, np.intp)
    head = _assign_nearest(pairs) if nearest else _augment(pairs, unmatched)
    matched = np.flatnonzero(head >= 0)
    return matched, head[matched]


def match_counts(predictions: RealArray, truth: RealArray, radii: Sequence[float | RealArray]) -> IntArray:
    """The size of a largest matching at each of several radii, (R,).

    Distances are computed once, within the largest radii; from one radius to a wider one the matching is
    only augmented along the pairs that come in.

    Args:
        predictions: (P, 2) points (x, y) in pixels.
        truth: (G, 2) heads (x, y) in pixels.
        radii: R radii in any order, each as in `pairs_within`.

    Raises:
        ValueError: as `pairs_within`.
    """
    reaches = [_per_head(radius, len(truth)) for radius in radii]
    pairs = pairs_within(predictions, truth, np.maximum.reduce(reaches) if reaches else 0.0)
    limit = min(len(np.unique(pairs.prediction)), len(np.unique(pairs.head)))
    counts = np.zeros(len(reaches), np.intp)
    unmatched = np.full(pairs.shape[0], -1, np.intp)
    head, size, seen, last = unmatched, 0, 0, np.zeros(len(truth))
    for step in sorted(range(len(reaches)), key=lambda step: reaches[step].sum()):
        reach = reaches[step]
        if (reach < last).any():  # neither radius contains the other: nothing to build on
            head, size, seen = unmatched, 0, 0
        near = pairs.select(pairs.distance <= reach[pairs.head])
        if len(near) > seen and size < limit:
            head = _augment(near, head)
            size = int(np.count_nonzero(head >= 0))
        counts[step], seen, last = size, len(near), reach
    return counts


def _per_head(radius: float | RealArray, heads: int) -> DoubleArray:
    """The radius of each head (G,), checked."""
    radii = np.asarray(radius, np.float64)
    if radii.shape not in ((), (heads,)):
        raise ValueError(f"radius: expected one number or one per head ({heads}), found shape {radii.shape}")
    if not (radii >= 0).all():
        raise ValueError("radius: expected values of at least 0, found a negative one or NaN")
    return np.broadcast_to(radii, heads)


def _augment(pairs: Pairs, head: IntArray) -> IntArray:
    """Grows a matching, given as the head of each prediction (P,) or -1, to a largest one.

    The residual network of a unit flow source -> free prediction -> head -> free head -> sink, with the
    matched pairs reversed, so that a maximum flow is a largest set of disjoint augmenting paths. Dinic's
    algorithm needs O(E sqrt(V)) here; SciPy's own `maximum_bipartite_matching` is exponential at worst
    (scipy#26147) and takes minutes on a dense crowd.
    """
    predictions, heads = pairs.shape
    source, sink = predictions + heads, predictions + heads + 1
    taken = np.zeros(heads, np.bool_)
    taken[head[head >= 0]] = True
    reverse = head[pairs.prediction] == pairs.head
    first, second = pairs.prediction, pairs.head + predictions
    free_predictions = np.flatnonzero(head < 0)
    free_heads = np.flatnonzero(~taken) + predictions
    tail = (np.where(reverse, second, first), np.full(len(free_predictions), source), free_heads)
    tip = (np.where(reverse, first, second), free_predictions, np.full(len(free_heads), sink))
    # SciPy's graph routines take 32-bit indices only.
    edges = (np.concatenate(tail, dtype=np.int32), np.concatenate(tip, dtype=np.int32))
    network = csr_array((np.ones(len(edges[0]), np.int32), edges), shape=(sink + 1, sink + 1))
    flow = maximum_flow(network, source, sink).flow.tocoo()
    used = (flow.data > 0) & (flow.row < predictions)
    grown = head.copy()
    grown[flow.row[used]] = flow.col[used] - predictions
    return grown


def _assign_nearest(pairs: Pairs) -> IntArray:
    """The head of each prediction (P,) or -1: a largest matching of the smallest total distance.

    Each head also gets a stand-in of its own, dearer than all real pairs together. A full assignment of
    the heads then always exists, and the cheapest one uses as few stand-ins as possible.
    """
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
