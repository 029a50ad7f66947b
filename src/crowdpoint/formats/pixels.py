"""What the numbers of a file mean: indices of pixels, or distances from the image's corner.

Pixel i covers [i, i + 1), so that its centre lies at i + 0.5 and a point at x lies in pixel floor(x).
"""

import numpy as np
import numpy.typing as npt

from crowdpoint.points import FloatArray

NUDGE = 2.0**-10
"""By how many pixels `off_borders` moves a point, at least."""


def centres(indices: npt.ArrayLike) -> FloatArray:
    """Coordinates of the centres of pixels, float32.

    Args:
        indices: columns and rows of pixels, from 0, of any shape.
    """
    return (np.asarray(indices, np.float64) + 0.5).astype(np.float32)


def indices(xy: FloatArray) -> npt.NDArray[np.int64]:
    """Columns and rows of the pixels that points lie in, the inverse of `centres`."""
    return np.floor(xy).astype(np.int64)


def off_borders(xy: FloatArray) -> FloatArray:
    """Coordinates without whole numbers: those move into the pixel that they belong to, by about 0.001 px.

    A point at a distance of exactly c lies on the border of two pixels and belongs to pixel c. Mirrored, it
    would belong to the wrong one of the two, and from x = 0 it would leave the image.
    """
    inside = np.maximum(xy + np.float32(NUDGE), np.nextafter(xy, np.float32(np.inf)))
    return np.where(xy % 1 == 0, inside, xy)
