"""Compute the maps that a network learns to predict from annotated points.

A map has the size of its image. A head belongs to the pixel (floor(x), floor(y)); heads outside the image are
not on the map, except those around a crop, which are on the image that it is cut from.
"""

import numpy as np

from crowdpoint.points import DoubleArray, FloatArray, Points

CONSTANT = 1.0
"""C of the map (FIDTM, Eq. 2 and 3)."""
CUTOFF = 0.01
"""Values below it become 0, as in FIDTM's released code."""
_FARTHEST = 2**12  # pixels: a map that has not fallen below the cut-off there is cut


def fidt_map(points: Points, *, alpha: float = 0.02, beta: float = 0.75, around: bool = False) -> FloatArray:
    """Compute the focal inverse distance transform map (FIDTM, Eq. 3), 1 / (P^(alpha P + beta) + C).

    P is the exact Euclidean distance in pixels from a pixel to the nearest pixel with a head. With alpha 0
    and beta 1, it is the inverse distance transform map (Eq. 2). The time is linear in the pixels.

    Args:
        points: the heads, with the size of their image.
        alpha: growth of the exponent with the distance, at least 0.
        beta: exponent near the head, at least 0.
        around: include heads outside the image, as those around a crop of a larger one.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        ValueError: if the image size is unknown, or a parameter is out of range.
    """
    import cv2

    if alpha < 0 or beta < 0:
        raise ValueError(f"expected alpha and beta of at least 0, found alpha={alpha}, beta={beta}")
    width, height = size = np.array(points.require_size())
    reach = fidt_reach(alpha, beta)
    margin = reach - 1 if around else 0
    cells = np.floor(points.xy).astype(np.intp)
    cells = cells[((cells >= -margin) & (cells < size + margin)).all(axis=1)]
    if not len(cells):
        return np.zeros((height, width), np.float32)
    # Only heads that are the nearest to some pixel, so that the area does not grow with the reach.
    from_centre = np.hypot(*(cells - size / 2).T)
    cells = cells[from_centre <= from_centre.min() + np.hypot(*size)]
    corner, end = np.minimum(cells.min(axis=0), 0), np.maximum(cells.max(axis=0) + 1, size)
    away = np.ones((end - corner)[::-1], np.uint8)
    away[tuple((cells - corner).T[::-1])] = 0
    distance = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    left, top = -corner
    own = np.minimum(distance[top : top + height, left : left + width], reach)
    # Squared distances between pixels are integers, so that a table replaces the powers.
    squared = np.rint(np.square(own, dtype=np.float64)).astype(np.int32)
    least = int(squared.min())
    steps = np.arange(least, int(squared.max()) + 1)
    table = np.where(steps < reach**2, _decay(np.sqrt(steps), alpha, beta), 0).astype(np.float32)
    return table.take(squared - least)


def fidt_reach(alpha: float, beta: float) -> int:
    """Compute the distance in pixels from which on a head has no effect on a `fidt_map`, at most 4097."""
    return int(np.count_nonzero(_decay(np.arange(_FARTHEST + 1.0), alpha, beta)))


def _decay(distance: DoubleArray, alpha: float, beta: float) -> DoubleArray:
    with np.errstate(over="ignore"):  # far away the power is infinite and its inverse 0
        power = distance ** (alpha * distance + beta)
    power[distance == 0] = 0  # where beta is 0 it would be 1, as beside the head
    value = 1 / (power + CONSTANT)
    return np.where(value < CUTOFF, 0, value)
