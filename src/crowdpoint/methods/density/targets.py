"""Density maps from annotated points, whose sum is the number of heads on the image."""

import math
from typing import NamedTuple

import numpy as np

from crowdpoint.neighbors import neighbor_distances
from crowdpoint.points import BoolArray, DoubleArray, FloatArray, IntArray, Points
from crowdpoint.tiles import Box

DENSITY_SCALE = 100.0
"""Networks learn and predict density maps in heads per this many pixels: heads per pixel are tiny numbers."""


def density_map(
    points: Points,
    border: Box | None = None,
    *,
    sigma: float = 15.0,
    adaptive: bool = False,
    beta: float = 0.3,
    k: int = 3,
) -> FloatArray:
    """Add a Gaussian of mass 1 for each head, so that the sum is the number of heads on the image.

    A Gaussian is cut at 4 sigma and at the image's borders, and then scaled to mass 1. The cost of fixed
    kernels does not depend on the number of heads. Geometry-adaptive ones add a window for each head; windows
    shrink in crowds, so that the sum of their areas is linear in the pixels.

    Args:
        points: the heads, with the size of their image or crop.
        border: the image that a crop is cut from, in pixels of the crop; the map is then a part of its map.
        sigma: standard deviation in pixels; if `adaptive`, only for a head without neighbours.
        adaptive: sigma is `beta` times the mean distance to the `k` nearest heads.
        beta: ratio of sigma to the mean distance.
        k: number of neighbours of a head.

    Returns:
        (H, W) float32 of at least 0, heads per pixel.

    Raises:
        ValueError: if the image size is unknown, sigma is not above 0, or k is below 1.
    """
    if sigma <= 0:
        raise ValueError(f"sigma: expected a value above 0, found {sigma}")
    width, height = points.require_size()
    left, top, right, bottom = border or (0, 0, width, height)
    image = points.shift(-left, -top, (right - left, bottom - top)).inside()
    columns, rows = np.floor(image.xy).astype(np.intp).T
    across, down = _Span(right - left, -left, width), _Span(bottom - top, -top, height)
    if not adaptive:
        return _blur(rows, columns, down, across, sigma)
    distance = neighbor_distances(image.xy, k)
    return _splat(rows, columns, down, across, np.where(np.isfinite(distance), beta * distance, sigma))


def kernel_margin(sigma: float) -> int:
    """Return how many pixels a Gaussian reaches to each side of its head's pixel."""
    return math.ceil(4 * sigma)


class _Span(NamedTuple):
    """The rows or columns of an image, of which a map shows `shown` from `first` on."""

    side: int
    first: int
    shown: int

    def touches(self, cells: IntArray, margin: IntArray | int) -> BoolArray:
        """Find the cells whose kernels, which reach `margin` cells, are on the map."""
        return (cells >= self.first - margin) & (cells < self.first + self.shown + margin)


def _blur(rows: IntArray, columns: IntArray, down: _Span, across: _Span, sigma: float) -> FloatArray:
    """Filter heads, weighted by the mass that they keep, with one kernel."""
    import cv2

    kernel, margin = _sample_gaussian(sigma), kernel_margin(sigma)
    near = down.touches(rows, margin) & across.touches(columns, margin)
    rows, columns = rows[near], columns[near]
    kept = [np.convolve(np.ones(span.side), kernel)[margin : margin + span.side] for span in (down, across)]
    heads = np.zeros((down.shown + 2 * margin, across.shown + 2 * margin), np.float32)
    places = rows - down.first + margin, columns - across.first + margin
    np.add.at(heads, places, 1 / (kept[0][rows] * kept[1][columns]))
    blurred = cv2.sepFilter2D(heads, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
    shown = blurred[margin : margin + down.shown, margin : margin + across.shown]
    return np.ascontiguousarray(shown, np.float32)


def _splat(rows: IntArray, columns: IntArray, down: _Span, across: _Span, sigmas: DoubleArray) -> FloatArray:
    density = np.zeros((down.shown, across.shown), np.float32)
    margins = np.array([kernel_margin(sigma) for sigma in sigmas.tolist()], np.intp)
    near = down.touches(rows, margins) & across.touches(columns, margins)
    for row, column, sigma in zip(
        rows[near].tolist(), columns[near].tolist(), sigmas[near].tolist(), strict=True
    ):
        top, vertical = _clip_kernel(sigma, row, down)
        left, horizontal = _clip_kernel(sigma, column, across)
        density[top : top + len(vertical), left : left + len(horizontal)] += np.outer(vertical, horizontal)
    return density


def _sample_gaussian(sigma: float) -> DoubleArray:
    """Sample a Gaussian with peak 1 up to 4 sigma on each side."""
    margin = kernel_margin(sigma)
    # heads in one pixel have an adaptive sigma of 0: all of the mass stays in the pixel
    return np.exp(-0.5 * (np.arange(-margin, margin + 1) / max(sigma, 1e-3)) ** 2)


def _clip_kernel(sigma: float, centre: int, span: _Span) -> tuple[int, DoubleArray]:
    """Scale a kernel to sum 1 on the image; return its first cell on the map, and its part on the map."""
    kernel, margin = _sample_gaussian(sigma), kernel_margin(sigma)
    begin = max(centre - margin, 0)
    kept = kernel[begin - centre + margin : span.side - centre + margin]
    kept /= kept.sum()
    skipped = max(span.first - begin, 0)
    return max(begin - span.first, 0), kept[skipped : max(span.first + span.shown - begin, 0)]
