"""Maximum matchings that grow with their pairs, one for small crowds and one for large ones.

Both augment along alternating paths, which begin at a free point and end at one of the other kind.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from crowdpoint.points import IntArray


class Matching:
    """Maximum matching that is updated as pairs are added.

    Added pairs of two free points are matched at once. Each phase then runs a breadth-first search from all
    free predictions, which gives a forest of alternating paths. Each tree that reaches a free head augments
    along its path, and the next phase starts. The forest of the last phase, which reached no free head, is
    kept and extended by added pairs. Uses lists, because most crowds are small.

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
        self._near: dict[int, list[int]] = {}  # heads near each prediction
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
        added = list(zip(predictions.tolist(), heads.tolist(), strict=True))
        for prediction, head in added:
            near.setdefault(prediction, []).append(head)
            if own[prediction] < 0 > owner[head]:
                own[prediction], owner[head] = head, prediction
                self.size += 1
        if self.size == before:
            root, parent = self._root, self._parent
            root.update((prediction, prediction) for prediction, _ in added if own[prediction] < 0)
            leaves = {
                prediction: None for prediction, head in added if prediction in root and parent[head] < 0
            }
            if not self._search(list(leaves)):
                return
        while not self.complete:
            free = [prediction for prediction in near if own[prediction] < 0]
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

    Each phase is a compiled breadth-first search from all free heads at once. It gives a forest of
    alternating paths, in which each tree that reaches a free prediction augments along its shortest path.

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
        ends = np.cumsum(np.bincount(heads, minlength=self._shape[1]))
        while not self.complete and self._augment(predictions, ends):
            pass

    def _augment(self, predictions: IntArray, ends: IntArray) -> bool:
        """Run a phase and return whether it augmented; `ends` (G,) has where the pairs of each head end."""
        from scipy.sparse import csr_array  # slow to import
        from scipy.sparse.csgraph import breadth_first_order

        # Nodes: heads, the source, and a target for each prediction. A matched prediction is only a way to
        # its head, so that an edge stands for a pair and for the match that follows it.
        count, source = self._shape
        target = np.arange(source + 1, source + 1 + count)
        free = np.flatnonzero(self._prediction < 0)
        # SciPy's graph routines accept only 32-bit indices.
        tips = np.concatenate((np.where(self.head < 0, target, self.head)[predictions], free), dtype=np.int32)
        starts = np.concatenate(([0], ends, np.full(count + 1, len(tips))), dtype=np.int32)
        graph = csr_array((np.ones(len(tips)), tips, starts), shape=(len(starts) - 1, len(starts) - 1))
        order, previous = breadth_first_order(graph, source)
        reached = order[order > source]
        reached = reached[np.unique(_find_roots(previous, reached, source), return_index=True)[1]]
        self.size += len(reached)
        joining, heads = reached - source - 1, previous[reached]
        while len(heads):  # one step back on all paths
            leaving = self._prediction[heads]
            self._prediction[heads], self.head[joining] = joining, heads
            heads = previous[heads]
            inner = heads != source
            joining, heads = leaving[inner], heads[inner]
        return len(reached) > 0


def _find_roots(
    previous: npt.NDArray[np.int32], nodes: npt.NDArray[np.int32], source: int
) -> npt.NDArray[np.intp]:
    """Find the child of the source from which each node of a search was reached, by doubling jumps."""
    own = np.arange(len(previous))
    jump = np.where((previous == source) | (previous < 0), own, previous)
    while (jump[jump[nodes]] != jump[nodes]).any():
        jump = jump[jump]
    return jump[nodes]
