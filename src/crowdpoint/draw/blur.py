"""The photo with its heads made unrecognisable, for publishing."""

import cv2
import numpy as np

from crowdpoint.draw.photo import Picture, copied, spacing
from crowdpoint.points import FloatArray, Points

_CELLS = 3
"""What is left of a head: this many colours squared, too few for a face."""

_AROUND = 2**0.5
"""Size of the ellipse that is blurred per size of the head: it goes around the corners of its box."""

_GUESS = (0.015, 0.12)
"""Smallest and largest size of a head whose size is not known, as shares of the image's short side."""


def blur(image: Picture, points: Points) -> Picture:
    """Replace each head by an ellipse of a few colours; what is between the points stays as it is.

    The detail is averaged away and cannot be computed back. Heads that are not among the points stay visible.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: heads in the pixels of `image`. Their sizes are used where they are known; without them the
                size is taken from the distance to the heads around, between 1.5 and 12 % of the short side.

    Raises:
        ValueError: if the points say that they lie on an image of another size.
    """
    picture = copied(image, points)
    height, width, _ = image.shape
    for (x, y), size in zip(points.xy, _AROUND * _head_sizes(points, (width, height)), strict=True):
        first = np.floor((x, y) - size / 2).astype(int)
        last = np.ceil((x, y) + size / 2).astype(int)
        left, top = np.maximum(first, 0)
        right, bottom = np.minimum(last, (width, height))
        if left >= right or top >= bottom:
            continue
        window = picture[top:bottom, left:right]
        few = cv2.resize(window, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
        plain = cv2.resize(few, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        rows, columns = np.mgrid[top:bottom, left:right] + 0.5
        inside = ((columns - x) / (size[0] / 2)) ** 2 + ((rows - y) / (size[1] / 2)) ** 2 <= 1
        window[inside] = plain[inside]
    return picture


def _head_sizes(points: Points, image_size: tuple[int, int]) -> FloatArray:
    """(N, 2) width and height of each head in pixels, at least 2."""
    if points.sizes is not None:
        return np.maximum(points.sizes, 2)
    least, largest = (max(2.0, share * min(image_size)) for share in _GUESS)
    sides = np.clip(spacing(points.xy, largest), least, largest)
    return np.repeat(sides[:, None], 2, axis=1)
