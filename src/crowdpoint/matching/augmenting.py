"""Maximum matchings that grow with their pairs, one for small crowds and one for large ones.

Both augment along alternating paths, which begin at a free point and end at one of the other kind.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from crowdpoint.points import IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Matching:
    """Maximum matching that is updated as pairs are added.

    Added pairs of two free points are matched at once. Each phase is a breadth-first search from all free
    predictions, which gives a forest of alternating paths; each tree that reaches a free head augments along
    its path. Added pairs extend the forest of the last phase. Uses lists, which are faster for small crowds.

    Attributes:
        head: head of each prediction, or -1.
        size: number of matched pairs.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        predictions, heads = shape
        self.head = [-1] * predictions
        self.size = 0
        self._limit = min(shape)
        self._owner = [-1] * heads  # prediction of each head
        self._near: list[list[int]] = [[] for _ in range(predictions)]  # heads near each prediction
        self._waiting: list[int] = []  # free predictions that have pairs
        self._root: dict[int, int] = {}  # root of the tree of each prediction that is in one
        self._parent = [-1] * heads  # prediction from which each head was reached; -1 for none

    @property
    def complete(self) -> bool:
        """Whether all predictions or all heads are matched."""
        return self.size == self._limit

    def grow(self, predictions: IntArray, heads: IntArray) -> None:
        """Add pairs and augment the matching."""
        near, own, owner = self._near, self.head, self._owner
        before = self.size
        ends = predictions.tolist(), heads.tolist()
        waiting = dict.fromkeys(self._waiting)
        for prediction, head in zip(*ends, strict=True):
            near[prediction].append(head)
            if own[prediction] < 0:
                if owner[head] < 0:
                    own[prediction], owner[head] = head, prediction
                    self.size += 1
                else:
                    waiting[prediction] = None
        self._waiting = list(waiting)
        if self.size == before:
            root, parent = self._root, self._parent
            root.update((prediction, prediction) for prediction in waiting if prediction not in root)
            leaves = {
                prediction: None
                for prediction, head in zip(*ends, strict=True)
                if prediction in root and parent[head] < 0
            }
            if not self._search(list(leaves)):
                return
        while not self.complete:
            self._waiting = free = [prediction for prediction in self._waiting if own[prediction] < 0]
            self._root = dict(zip(free, free, strict=True))
            self._parent = [-1] * len(owner)
            if not self._search(free):
                return

    def _search(self, queue: list[int]) -> bool:
        """Extend the forest from `queue`, and return whether a tree reached a free head."""
        near, root, parent, owner = self._near, self._root, self._parent, self._owner
        done = set()
        for prediction in queue:  # grows during iteration
            tree = root[prediction]
            if tree in done:
                continue
            for head in near[prediction]:
                if parent[head] < 0:
                    parent[head] = prediction
                    taken = owner[head]
                    if taken < 0:
                        self._augment(head)
                        done.add(tree)
                        break
                    root[taken] = tree
                    queue.append(taken)
        return bool(done)

    def _augment(self, head: int) -> None:
        """Augment the matching along the alternating path that ends at a free head."""
        while head >= 0:
            prediction = self._parent[head]
            previous = self.head[prediction]
            self.head[prediction], self._owner[head] = head, prediction
            head = previous
        self.size += 1


class LargeMatching:
    """Maximum matching that is updated for more pairs at a time, on arrays.

    Each phase is a compiled breadth-first search from all free heads, which gives a forest of alternating
    paths; each tree that reaches a free prediction augments along its shortest path.

    Args:
        shape: (P, G), number of predictions and heads.
        head: (P,) head of each prediction to begin with, or -1.

    Attributes:
        head: (P,) head of each prediction, or -1.
        size: number of matched pairs.
    """

    def __init__(self, shape: tuple[int, int], head: Sequence[int] | IntArray) -> None:
        self._shape = shape
        self.head = np.array(head, np.intp)
        matched = np.flatnonzero(self.head >= 0)
        self.size = len(matched)
        self._prediction = np.full(shape[1], -1, np.intp)  # prediction of each head
        self._prediction[self.head[matched]] = matched

    @property
    def complete(self) -> bool:
        """Whether all predictions or all heads are matched."""
        return self.size == min(self._shape)

    def grow(self, predictions: IntArray, heads: IntArray) -> None:
        """Augment the matching until it is the largest among these pairs (E,), which heads sort.

        The pairs must include the matched ones.
        """
        from scipy.sparse import csr_array  # slow to import

        # Nodes: heads, the source, and predictions. Edges: the pairs, from each prediction to its head, and
        # from the source to the free heads. The last two change with the matching; an edge back to its own
        # node takes the place of a missing one.
        count, source = self._shape
        pairs = len(predictions)
        edges = np.empty(pairs + source + count, np.int32)  # SciPy accepts only 32-bit indices
        edges[:pairs] = predictions
        edges[:pairs] += source + 1
        sizes = np.concatenate((np.bincount(heads, minlength=source), [source], np.ones(count, np.intp)))
        ends = np.concatenate(([0], np.cumsum(sizes)), dtype=np.int32)
        graph = csr_array((np.ones(len(edges)), edges, ends), shape=(len(sizes), len(sizes)))
        while not self.complete:
            free = np.where(self._prediction < 0, np.arange(source), source)
            own = np.where(self.head < 0, np.arange(source + 1, source + 1 + count), self.head)
            graph.indices[pairs:] = np.concatenate((free, own))
            if not self._augment(graph):
                return

    def _augment(self, graph: "csr_array") -> bool:
        """Search `graph` for alternating paths, augment along them, and return whether there are any."""
        from scipy.sparse.csgraph import breadth_first_order  # slow to import

        source = self._shape[1]
        order, previous = breadth_first_order(graph, source)
        reached = order[order > source]
        reached = reached[self.head[reached - source - 1] < 0]
        if not len(reached):
            return False
        reached = reached[np.unique(_find_roots(previous, reached, source), return_index=True)[1]]
        self.size += len(reached)
        while len(reached):  # one step back on all paths
            heads = previous[reached]
            self._prediction[heads], self.head[reached - source - 1] = reached - source - 1, heads
            reached = previous[heads]
            reached = reached[reached != source]
        return True


def _find_roots(
    previous: npt.NDArray[np.int32], nodes: npt.NDArray[np.int32], source: int
) -> npt.NDArray[np.int32]:
    """Find the free head from which a search reached each prediction."""
    heads = previous[nodes]
    while (inner := (above := previous[heads]) != source).any():
        heads = np.where(inner, previous[above], heads)
    return heads
