"""Assign proposals to heads: P2PNet's one-to-one matching, and the two strategies that it rejects.

P2PNet, Sec. 3.3, Fig. 3 and Eq. 3. Runs on the CPU, without torch, so that threads assign several images.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from crowdpoint.methods.p2pnet.config import AssignmentConfig
from crowdpoint.points import FloatArray, IntArray


class Assignment(NamedTuple):
    """Pairs of one image.

    Attributes:
        proposals: (P,) indices of the positive proposals, each at most once.
        heads: (P,) indices of the paired heads.
    """

    proposals: IntArray
    heads: IntArray


def assign(points: FloatArray, scores: FloatArray, heads: FloatArray, config: AssignmentConfig) -> Assignment:
    """Pair the proposals of one image with its heads.

    `one-to-one` minimises the sum of tau * distance - score (Eq. 3) over min(M, N) pairs. `nearest-proposal`
    pairs every head with its nearest proposal; a proposal of several heads is paired with the nearest (Fig.
    3a). `nearest-head` pairs every proposal with its nearest head (Fig. 3b). Both obey `max_distance`.

    Args:
        points: (M, 2) proposals in pixels, finite, M above 0.
        scores: (M,) in [0, 1].
        heads: (N, 2) annotated heads in pixels; N may be 0 or exceed M.
        config: strategy and its constants.
    """
    if len(heads) == 0:
        return Assignment(np.empty(0, np.intp), np.empty(0, np.intp))
    distance = cdist(heads, points)  # (N, M)
    if config.strategy == "one-to-one":
        distance *= config.distance_weight  # in place: a fresh matrix costs as much as half an assignment
        distance -= scores
        head, proposal = linear_sum_assignment(distance)
        return Assignment(proposal, head)
    if config.strategy == "nearest-head":
        positive = np.flatnonzero(distance.min(axis=0) <= config.max_distance)
        return Assignment(positive, distance[:, positive].argmin(axis=0))
    nearest = distance.min(axis=1)
    order = nearest.argsort(kind="stable")
    order = order[nearest[order] <= config.max_distance]
    wanted, first = np.unique(distance[order].argmin(axis=1), return_index=True)
    return Assignment(wanted, order[first])
