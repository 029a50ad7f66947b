"""Convert coordinates to OpenCV's fixed point, in which its drawing functions take fractions of pixels."""

import numpy as np
import numpy.typing as npt

SHIFT = 4
"""Number of fractional bits."""


def to_fixed(lengths: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Convert lengths in pixels."""
    return np.rint(np.asarray(lengths, np.float64) * (1 << SHIFT)).astype(np.int32)


def to_fixed_point(xy: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Convert coordinates in pixels; OpenCV's origin is the centre of the top-left pixel, not its corner."""
    return to_fixed(np.asarray(xy, np.float64) - 0.5)
