"""Proposals that mean one head, made into one: an optional last step of P2PNet that the paper does not have.

Where a network is unsure which of two cells a head belongs to, both say a half or less, and a threshold finds
nobody or two. The sum of the scores is right there all the same, since it is what training makes it. So each
proposal, the surest first, gathers the scores of those around it until it has one head's worth.
"""

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from crowdpoint.methods.p2pnet.config import GatherConfig
from crowdpoint.points import DoubleArray, IntArray, Points

NOTHING = 1e-6
"""A score so small is rounding: a proposal that has no more left is gone."""


def gather_scores(proposals: Points, settings: GatherConfig) -> Points:
    """Merge proposals: each one, by decreasing score, gathers the scores of those around it.

    Each in turn, by falling score, takes from those within the radius, itself first and then the nearest,
    all that they have left, up to a sum of 1. It moves to the mean of what it took, weighed by the scores.
    Its size stays. Its score becomes the mean of what it took from itself and of the sum: the sum counts
    right, but is near 1 for so many that it ranks badly.

    Args:
        proposals: every proposal on the image.
        settings: a radius above 0, and the floor; proposals below it neither give nor take.

    Returns:
        Those that took, the surest before the gathering first, and then those below the floor.
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
        # Whoever is first in turn for all that it would take from: these do not meet, and take at once.
        first = np.minimum.reduceat(np.where(waiting[near], near, len(xy)), starts)
        turn = np.minimum.reduceat(first[near], starts) == numbers
        chosen = np.flatnonzero(turn[rows])
        taken[chosen] = _compute_shares(left[near[chosen]], rows[chosen])
        left[near[chosen]] -= taken[chosen]
        waiting &= ~turn & (left > NOTHING)
    sums = np.add.reduceat(taken, starts)
    heads = sums > 0
    means = np.add.reduceat(taken[:, None] * xy[near], starts)[heads] / sums[heads, None]
    scores = np.minimum((taken[starts] + sums)[heads] / 2, 1)
    moved = replace(able.select(heads), xy=means.astype(np.float32), scores=scores.astype(np.float32))
    return Points.concat([moved, rest])


def _find_neighborhoods(xy: DoubleArray, radius: float) -> tuple[IntArray, IntArray]:
    """Find the points within the radius of each, itself first, then by distance, and where each list begins.

    Of points as near the surest comes first.
    """
    numbers = np.arange(len(xy))
    one, other = cKDTree(xy).query_pairs(radius, output_type="ndarray").T
    rows = np.concatenate((numbers, one, other))
    near = np.concatenate((numbers, other, one))
    order = np.lexsort((near, near != rows, ((xy[rows] - xy[near]) ** 2).sum(axis=1), rows))
    return near[order], np.searchsorted(rows[order], numbers)


def _compute_shares(scores: DoubleArray, rows: IntArray) -> DoubleArray:
    """Compute the part of each score that goes to its row, in order, until the row has 1."""
    begin = np.flatnonzero(np.diff(rows, prepend=-1))
    reached = scores.cumsum()
    before = np.repeat(reached[begin] - scores[begin], np.diff(begin, append=len(rows)))
    reached = np.minimum(reached - before, 1)
    shares: DoubleArray = np.diff(reached, prepend=0)
    shares[begin] = reached[begin]
    return shares
