"""How far the points of one image are apart, the density that targets, boxes, nAP and pictures follow."""

import numpy as np

from crowdpoint.matching import DoubleArray, RealArray


def neighbor_distances(truth: RealArray, k: int = 3) -> DoubleArray:
    """d_kNN, the mean distance of each head to its k nearest other heads (P2PNet, Eq. 1).

    With fewer than k others it is the mean over those there are. A single head has no neighbour and no
    density: its distance is infinite, as in the limit of a neighbour moving away. For nAP any prediction
    is then near enough, and the highest-scored one of the image claims the head.

    Args:
        truth: (G, 2) heads (x, y) in pixels.
        k: neighbours, at least 1.

    Returns:
        (G,) pixels.

    Raises:
        ValueError: if k is below 1.
    """
    if k < 1:
        raise ValueError(f"k: expected at least 1, found {k}")
    neighbors = min(k, len(truth) - 1)
    if neighbors < 1:
        return np.full(len(truth), np.inf)
    from scipy.spatial import cKDTree  # takes longer to import than a small dataset to score

    distances, _ = cKDTree(np.asarray(truth, np.float64)).query(truth, neighbors + 1)
    mean: DoubleArray = np.asarray(distances)[:, 1:].mean(axis=1)  # the nearest is the head itself
    return mean
