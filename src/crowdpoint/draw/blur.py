"""Blur heads beyond recognition, for publishing."""

import numpy as np

from crowdpoint.draw.photo import compute_spacing, copy_image
from crowdpoint.images import resize
from crowdpoint.points import FloatArray, Picture, Points

_CELLS = 3
"""Width and height in colours to which a head is reduced, too few to recognise a face."""

_ELLIPSE_FACTOR = 2**0.5
"""Size of the blurred ellipse relative to the head's box, so that it includes the corners."""

_SIZE_RANGE = (0.015, 0.12)
"""Smallest and largest estimated head size, as fractions of the image's shorter side."""


def blur(image: Picture, points: Points) -> Picture:
    """Replace each head by an ellipse of a few colours, irreversibly.

    Heads that are not among the points stay visible. Without sizes, estimates them from the distance to
    neighbouring heads, between 1.5 and 12 % of the image's shorter side.
    """
    picture = copy_image(image, points)
    height, width, _ = image.shape
    sizes = _ELLIPSE_FACTOR * _estimate_sizes(points, (width, height))
    for (x, y), size in zip(points.xy, sizes, strict=True):
        first = np.floor((x, y) - size / 2).astype(int)
        last = np.ceil((x, y) + size / 2).astype(int)
        left, top = np.maximum(first, 0)
        right, bottom = np.minimum(last, (width, height))
        if left >= right or top >= bottom:
            continue
        window = picture[top:bottom, left:right]
        few = resize(window, (_CELLS, _CELLS), enlarge="linear")
        plain = resize(few, (right - left, bottom - top), enlarge="linear")
        rows, columns = np.mgrid[top:bottom, left:right] + 0.5
        inside = ((columns - x) / (size[0] / 2)) ** 2 + ((rows - y) / (size[1] / 2)) ** 2 <= 1
        window[inside] = plain[inside]
    return picture


def _estimate_sizes(points: Points, image_size: tuple[int, int]) -> FloatArray:
    """Return or estimate the width and height of each head in pixels, (N, 2), at least 2."""
    if points.sizes is not None:
        return np.maximum(points.sizes, 2)
    least, largest = (max(2.0, share * min(image_size)) for share in _SIZE_RANGE)
    sides = np.clip(compute_spacing(points.xy, largest), least, largest)
    return np.repeat(sides[:, None], 2, axis=1)
