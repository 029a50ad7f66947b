"""Density maps from annotated points, whose sum is the number of heads on the image."""

import math

import numpy as np

from crowdpoint.methods.fidtm.targets import head_cells
from crowdpoint.neighbors import neighbor_distances
from crowdpoint.points import DoubleArray, FloatArray, IntArray, Points

DENSITY_SCALE = 100.0
"""Networks learn and predict density maps in heads per this many pixels: heads per pixel are tiny numbers."""


def density_map(
    points: Points, *, sigma: float = 15.0, adaptive: bool = False, beta: float = 0.3, k: int = 3
) -> FloatArray:
    """Density map: a Gaussian of mass 1 for each head, so that the sum is the number of heads on the image.

    A Gaussian is cut at 4 sigma, and at the image's borders, and what is left is scaled to mass 1.
    The fixed kernel costs the same whatever the number of heads. The geometry-adaptive one adds a window
    for each head; windows shrink where heads crowd, so that their areas together are linear in the pixels.

    Args:
        points: the heads, with the size of their image.
        sigma: standard deviation in pixels; if `adaptive`, only that of a head without a neighbour.
        adaptive: whether a head's sigma is `beta` times the mean distance to its `k` nearest heads.
        beta: sigma per pixel of mean distance.
        k: neighbours of a head that count; as many as there are if there are fewer.

    Returns:
        (H, W) float32 of at least 0, heads per pixel.

    Raises:
        ValueError: if the points do not know their image's size, sigma is not above 0 or k is below 1.
    """
    if sigma <= 0:
        raise ValueError(f"sigma: expected a value above 0, found {sigma}")
    rows, columns, size = head_cells(points)
    if not adaptive:
        return _blurred(rows, columns, size, sigma)
    distance = neighbor_distances(points.inside().xy, k)
    return _splatted(rows, columns, size, np.where(np.isfinite(distance), beta * distance, sigma))


def _blurred(rows: IntArray, columns: IntArray, size: tuple[int, int], sigma: float) -> FloatArray:
    """The density map of one fixed kernel: heads weighted by the mass they keep, then one filter."""
    import cv2

    kernel = _gaussian(sigma)
    margin = len(kernel) // 2
    kept = [np.convolve(np.ones(side), kernel)[margin : margin + side] for side in size]
    heads = np.zeros(size, np.float32)
    np.add.at(heads, (rows, columns), 1 / (kept[0][rows] * kept[1][columns]))
    blurred = cv2.sepFilter2D(heads, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
    return blurred.astype(np.float32, copy=False)


def _splatted(rows: IntArray, columns: IntArray, size: tuple[int, int], sigmas: DoubleArray) -> FloatArray:
    """The density map of one kernel for each head."""
    density = np.zeros(size, np.float32)
    for row, column, sigma in zip(rows.tolist(), columns.tolist(), sigmas.tolist(), strict=True):
        kernel = _gaussian(sigma)
        vertical, horizontal = _clipped(kernel, row, size[0]), _clipped(kernel, column, size[1])
        top, left = max(row - len(kernel) // 2, 0), max(column - len(kernel) // 2, 0)
        density[top : top + len(vertical), left : left + len(horizontal)] += np.outer(vertical, horizontal)
    return density


def _gaussian(sigma: float) -> DoubleArray:
    """The middle, of odd length, of a Gaussian with peak 1, as far as 4 sigma."""
    margin = math.ceil(4 * sigma)
    # heads in one pixel have an adaptive sigma of 0: all of the mass stays in the pixel
    return np.exp(-0.5 * (np.arange(-margin, margin + 1) / max(sigma, 1e-3)) ** 2)


def _clipped(kernel: DoubleArray, centre: int, side: int) -> DoubleArray:
    """What [0, side) keeps of a kernel around `centre`, with sum 1."""
    margin = len(kernel) // 2
    kept = kernel[max(margin - centre, 0) : margin + side - centre]
    return kept / float(kept.sum())
