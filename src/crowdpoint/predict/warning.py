"""Warn of photos whose heads are larger or smaller than the heads that networks are trained on."""

import numpy as np

from crowdpoint.points import Points

LARGEST_SIDE = 60.0
"""Largest side in working pixels of heads in training, with some tolerance."""

SMALLEST_SIDE = 12.0
"""Median side in working pixels below which heads of held-out photos are often missed."""

COMFORTABLE_SIDE = 30.0
"""Side in working pixels at which the largest head is seen at the scale that the warning proposes."""


def warn(points: Points, coarsest: float, finest: float) -> str | None:
    """Warn of a count that may be far off, in one sentence with the remedy; None for heads of usual sizes.

    Takes the selected points, in pixels of the image, and its smallest and largest working scale.
    """
    if points.sizes is None or not len(points):
        return None
    sides = points.sizes.max(axis=1)
    largest, median = float(sides.max()), float(np.median(sides))
    if largest * coarsest > LARGEST_SIDE:
        return (
            f"some heads are larger than the model knows, up to {largest:.0f} pixels, and may be counted in "
            f"parts or missed; compare the count at a scale of {COMFORTABLE_SIDE / largest:.2g}"
        )
    if median * finest < SMALLEST_SIDE:
        return (
            f"half of the heads are smaller than {median:.0f} pixels, and such heads are often missed; a "
            "closer or larger photo gives a better count"
        )
    return None
