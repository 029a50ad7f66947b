"""Bound the true count of a photo by the predicted count and the scores of the points.

Split conformal prediction (Papadopoulos et al., 2002): the error of each count on held-out photos is divided
by `uncertainty`, and quantiles of the quotients bound the count of a new photo.
"""

import math
from collections.abc import Sequence

import numpy as np

from crowdpoint.points import FloatArray
from crowdpoint.recipe import IntervalConfig

COVERAGE = 0.9
"""Fraction of photos whose true count is in the interval."""

FEWEST = math.ceil((1 + COVERAGE) / (1 - COVERAGE) - 1e-9)
"""Minimum number of photos for which an interval with `COVERAGE` exists."""


def count_interval(scores: FloatArray, config: IntervalConfig) -> tuple[int, int]:
    """Bound the true count of an image by the scores (N,) of its selected points: (lowest, highest)."""
    scale = uncertainty(scores)
    low = math.floor(len(scores) - config.below * scale)
    return max(0, low), math.ceil(len(scores) + config.above * scale)


def uncertainty(scores: FloatArray) -> float:
    """Predict the error of a count up to a factor: 1 + sum(1 - scores), for scores (N,)."""
    return 1.0 + float((1 - scores).sum())


def calibrate_interval(
    scores: Sequence[Sequence[FloatArray]], counts: Sequence[Sequence[int]], threshold: float
) -> IntervalConfig | None:
    """Choose the interval that includes the true count of `COVERAGE` of the photos.

    Args:
        scores: scores of all candidates, an array for each image of each dataset.
        counts: true count of each image of each dataset.
        threshold: minimum score of a selected candidate.

    Returns:
        Factors of `uncertainty` below and above the count. Each side misses at most (1 - `COVERAGE`) / 2,
        with the correction of conformal prediction for few photos. None for fewer photos than `FEWEST`.
    """
    if sum(map(len, counts)) < FEWEST:
        return None
    excess = []
    for images, true in zip(scores, counts, strict=True):
        for candidates, count in zip(images, true, strict=True):
            selected = candidates[candidates >= np.float32(threshold)]
            excess.append((len(selected) - count) / uncertainty(selected))
    return IntervalConfig(below=_bound(excess), above=_bound([-value for value in excess]))


def estimate_coverage(
    scores: Sequence[Sequence[FloatArray]], counts: Sequence[Sequence[int]], threshold: float
) -> list[float]:
    """Estimate how often the interval contains the true count, on images that did not calibrate it.

    Each half of the images is tested with the interval of the other half. Arguments as `calibrate_interval`.
    Returns the fraction of covered images of each dataset; NaN if a half has fewer than `FEWEST` images.
    """
    covered = [np.full(len(true), np.nan) for true in counts]
    for half in (0, 1):
        other = 1 - half
        config = calibrate_interval(
            [images[other::2] for images in scores], [true[other::2] for true in counts], threshold
        )
        if config is None:
            continue
        for shares, images, true in zip(covered, scores, counts, strict=True):
            for index in range(half, len(images), 2):
                low, high = count_interval(images[index][images[index] >= np.float32(threshold)], config)
                shares[index] = low <= true[index] <= high
    return [float(shares.mean()) for shares in covered]


def _bound(values: Sequence[float]) -> float:
    """Choose the least factor, at least 0, that (1 - COVERAGE) / 2 of the values and a new one may exceed."""
    rank = math.ceil((1 + COVERAGE) / 2 * (len(values) + 1)) - 1
    return max(0.0, sorted(values)[min(rank, len(values) - 1)])
