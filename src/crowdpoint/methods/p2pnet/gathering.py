"""Merge P2PNet's proposals for one head: an optional last step that is not in the paper.

If the network cannot tell which of two cells a head belongs to, both get a score of a half or less, and a
threshold finds none or both. Training makes the sum of the scores right, so each proposal, in order of
decreasing score, gathers the scores around it up to a sum of 1. On a large head, whose sum is often above 1,
the rest would be a second point; the size of the head tells that it is not.
"""

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from crowdpoint.methods.p2pnet.config import GatherConfig
from crowdpoint.points import DoubleArray, IntArray, Points

NOTHING = 1e-6
"""Largest remaining score that is rounding; a proposal with less is used up."""


def gather_scores(proposals: Points, settings: GatherConfig) -> Points:
    """Merge proposals: each one, by decreasing score, gathers the scores around it up to a sum of 1.

    Equals this loop over proposals by decreasing score, but runs in rounds of array operations:

        left = scores.copy()
        for one in range(len(left)):
            if left[one] > NOTHING:
                for other in near[one]:  # within the radius: itself first, then the nearest
                    taken[one, other] = min(left[other], 1 - taken[one].sum())
                    left[other] -= taken[one, other]

    A proposal that gathered anything moves to the mean of its sources, weighted by the scores taken. Its new
    score is the mean of what it took from itself and of the sum, as most sums are near 1; its size stays.

    With `separation`, merged proposals on the head of a better one are dropped.

    Returns the merged proposals by their former scores, then those below the floor, which take no part.
    """
    taking = proposals.scores >= settings.floor
    if not taking.any():
        return proposals
    able, rest = proposals.select(taking), proposals.select(~taking)
    able = able.select(np.argsort(-able.scores, kind="stable"))
    xy, left = able.xy.astype(np.float64), able.scores.astype(np.float64)
    near, starts = _find_neighborhoods(xy, settings.radius)
    numbers = np.arange(len(xy))
    rows = np.repeat(numbers, np.diff(starts, append=len(near)))
    taken = np.zeros(len(near))
    waiting = np.ones(len(xy), np.bool_)
    while waiting.any():
        # A round: the proposals that are the first waiting one of all their neighbours share no neighbour, so
        # that they can take at the same time.
        first = np.minimum.reduceat(np.where(waiting[near], near, len(xy)), starts)
        round_ = np.minimum.reduceat(first[near], starts) == numbers
        chosen = np.flatnonzero(round_[rows])
        taken[chosen] = _compute_shares(left[near[chosen]], rows[chosen])
        left[near[chosen]] -= taken[chosen]
        waiting &= ~round_ & (left > NOTHING)
    sums = np.add.reduceat(taken, starts)
    merged = sums > 0
    means = np.add.reduceat(taken[:, None] * xy[near], starts)[merged] / sums[merged, None]
    scores = np.minimum((taken[starts] + sums)[merged] / 2, 1)
    moved = replace(able.select(merged), xy=means.astype(np.float32), scores=scores.astype(np.float32))
    return Points.concat([_drop_doubles(moved, settings.separation), rest])


def _drop_doubles(points: Points, separation: float) -> Points:
    """Drop the points that are nearer to a kept point of a higher score than `separation` times its side."""
    if not separation or points.sizes is None:
        return points
    order = np.lexsort((*points.xy.T, -points.scores))
    xy = points.xy[order]
    near = cKDTree(xy).query_ball_point(xy, separation * points.sizes[order, 0])
    kept = np.ones(len(order), np.bool_)
    for rank, others in enumerate(near):
        if kept[rank] and len(others) > 1:
            kept[[other for other in others if other > rank]] = False
    return points.select(np.sort(order[kept]))


def _find_neighborhoods(xy: DoubleArray, radius: float) -> tuple[IntArray, IntArray]:
    """Find the points within the radius of each, itself first, then by distance and decreasing score.

    Returns the neighbours of all points, one list after another, and the index at which each list begins.
    """
    numbers = np.arange(len(xy))
    one, other = cKDTree(xy).query_pairs(radius, output_type="ndarray").T
    rows = np.concatenate((numbers, one, other))
    near = np.concatenate((numbers, other, one))
    order = np.lexsort((near, near != rows, ((xy[rows] - xy[near]) ** 2).sum(axis=1), rows))
    return near[order], np.searchsorted(rows[order], numbers)


def _compute_shares(scores: DoubleArray, rows: IntArray) -> DoubleArray:
    """Compute the part of each score that its row takes, in order, up to a sum of 1."""
    begin = np.flatnonzero(np.diff(rows, prepend=-1))
    reached = scores.cumsum()
    before = np.repeat(reached[begin] - scores[begin], np.diff(begin, append=len(rows)))
    reached = np.minimum(reached - before, 1)
    shares: DoubleArray = np.diff(reached, prepend=0)
    shares[begin] = reached[begin]
    return shares
