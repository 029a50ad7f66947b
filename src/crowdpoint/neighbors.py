"""Nearest-neighbour distances of heads, the local density used by targets, nAP and drawings, and boxes."""

from dataclasses import replace

import numpy as np

from crowdpoint.points import DoubleArray, Points, RealArray


def neighbor_distances(truth: RealArray, k: int = 3) -> DoubleArray:
    """Compute d_kNN, the mean distance of each head to its k nearest other heads (P2PNet, Eq. 1).

    With fewer than k other heads, averages over those. A single head has an infinite distance, so that for
    nAP the highest-scored prediction of the image claims it, however far away.

    Args:
        truth: (G, 2) heads (x, y) in pixels.
        k: number of neighbours, at least 1.

    Returns:
        (G,) distances in pixels.

    >>> neighbor_distances(np.array([[0, 0], [3, 4], [6, 8]]), k=2).tolist()
    [7.5, 5.0, 7.5]
    """
    if k < 1:
        raise ValueError(f"k: expected at least 1, found {k}")
    neighbors = min(k, len(truth) - 1)
    if neighbors < 1:
        return np.full(len(truth), np.inf)
    from scipy.spatial import cKDTree  # slow to import

    # Keep few copies of a head, because the tree compares equal points with each other.
    unique, inverse, copies = np.unique(
        np.asarray(truth, np.float64), axis=0, return_inverse=True, return_counts=True
    )
    kept = np.repeat(unique, np.minimum(copies, neighbors + 1), axis=0)
    distances, _ = cKDTree(kept).query(unique, neighbors + 1)
    mean: DoubleArray = np.asarray(distances)[:, 1:].mean(axis=1)  # the nearest is the head itself
    return mean[inverse.reshape(-1)]


def knn_boxes(points: Points, k: int = 4, f: float = 0.1, cap: float = 0.05) -> Points:
    """Add square boxes by the distances between heads (FIDTM, Eq. 4) as `sizes`, for pictures only.

    The side is `f` times `neighbor_distances`, at most `cap` times the image's short side. In the released
    code, the k = 4 neighbours include the point itself, and half the side is the sum of the distances.

    Raises:
        ValueError: if the size of the image is unknown, or k is below 1.
    """
    side = np.minimum(f * neighbor_distances(points.xy, k), cap * min(points.require_size()))
    return replace(points, sizes=np.stack((side, side), axis=1).astype(np.float32))
