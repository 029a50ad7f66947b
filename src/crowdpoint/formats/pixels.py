"""Convert between pixel indices and coordinates.

Pixel i covers [i, i + 1): its centre is at i + 0.5, and a point at x lies in pixel floor(x).
"""

import numpy as np
import numpy.typing as npt

from crowdpoint.points import FloatArray

NUDGE = 2.0**-10
"""Smallest distance in pixels by which `move_off_borders` moves a point."""


def to_coordinates(indices: npt.ArrayLike) -> FloatArray:
    """Convert 0-based pixel indices of any shape to the coordinates of pixel centres, float32.

    >>> to_coordinates([[0, 7]]).tolist()
    [[0.5, 7.5]]
    """
    return (np.asarray(indices, np.float64) + 0.5).astype(np.float32)


def to_indices(xy: FloatArray) -> npt.NDArray[np.int64]:
    """Convert coordinates to the indices of the pixels that contain them; inverse of `to_coordinates`."""
    return np.floor(xy).astype(np.int64)


def move_off_borders(xy: FloatArray) -> FloatArray:
    """Move integer coordinates, which lie on pixel borders, into their pixel by about 0.001 px.

    A point at exactly c belongs to pixel c, but mirroring would move it to the neighbouring pixel, and for
    c = 0 outside the image.
    """
    inside = np.maximum(xy + np.float32(NUDGE), np.nextafter(xy, np.float32(np.inf)))
    return np.where(xy % 1 == 0, inside, xy)
