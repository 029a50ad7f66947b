"""The maps that a network learns to predict, made from annotated points.

A map has the size of its image. A head belongs to the pixel that it lies in, (floor(x), floor(y)); a
head outside the image is not on the map, just as `Points.inside` does not count it.
"""

import math

import numpy as np
import numpy.typing as npt

from crowdpoint.points import FloatArray, Points

IntArray = npt.NDArray[np.intp]

DENSITY_SCALE = 100.0
"""Networks learn and predict density maps in heads per this many pixels: heads per pixel are tiny numbers."""

_STRIP_CELLS = 2**17  # cells worked on at a time, so that the whole working set stays in the L2 cache


def fidt_map(
    points: Points, *, alpha: float = 0.02, beta: float = 0.75, constant: float = 1.0, cutoff: float = 0.01
) -> FloatArray:
    """Focal inverse distance transform map (FIDTM, Eq. 3): 1 / (P^(alpha P + beta) + C).

    P is the exact Euclidean distance in pixels from a pixel to the nearest pixel with a head. The time
    is linear in the pixels and in the distance at which the map falls below `cutoff` (30 pixels as the
    paper sets it), whatever the number of heads.

    Args:
        points: the heads, with the size of their image.
        alpha: growth of the exponent with the distance, at least 0.
        beta: exponent near the head, at least 0.
        constant: C, above 0; a head's own pixel holds 1 / C.
        cutoff: values below it become 0.

    Returns:
        (H, W) float32 in [0, 1 / C]; zeros if no head lies on the image.

    Raises:
        ValueError: if the points do not know their image's size or a parameter is out of range.
    """
    if alpha < 0 or beta < 0 or constant <= 0:
        raise ValueError(
            "expected alpha and beta of at least 0 and a constant above 0, "
            f"found alpha={alpha}, beta={beta}, constant={constant}"
        )

    def decay(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        with np.errstate(over="ignore"):  # far away the power is infinite and its inverse 0
            power = distance ** (alpha * distance + beta)
        power[distance == 0] = 0  # where beta is 0 it would be 1, as beside the head
        value = 1 / (power + constant)
        return np.where(value < cutoff, 0, value)

    rows, columns, (height, width) = _cells(points)
    reach = np.flatnonzero(decay(np.arange(math.hypot(height, width) + 1)))
    radius = int(reach[-1]) if len(reach) else 0
    # Squared distances between pixels are integers, so that a table replaces the powers.
    table = decay(np.sqrt(np.arange((radius + 1) ** 2 + 1))).astype(np.float32)
    table[-1] = 0  # beyond the radius
    return table.take(_squared_distance(rows, columns, (height, width), radius))


def idt_map(points: Points, *, constant: float = 1.0, cutoff: float = 0.01) -> FloatArray:
    """Inverse distance transform map (FIDTM, Eq. 2): 1 / (P + C), which is Eq. 3 with alpha 0 and beta 1.

    Arguments, result and errors are those of `fidt_map`.
    """
    return fidt_map(points, alpha=0.0, beta=1.0, constant=constant, cutoff=cutoff)


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
    rows, columns, size = _cells(points)
    if not adaptive:
        return _blurred(rows, columns, size, sigma)
    from crowdpoint.neighbors import neighbor_distances

    distance = neighbor_distances(points.inside().xy, k)
    return _splatted(rows, columns, size, np.where(np.isfinite(distance), beta * distance, sigma))


def _cells(points: Points) -> tuple[IntArray, IntArray, tuple[int, int]]:
    """Rows and columns of the pixels with the heads that lie on the image, and its (height, width)."""
    if points.image_size is None:
        raise ValueError("points: expected the size of their image, found none; give image_size")
    width, height = points.image_size
    columns, rows = np.floor(points.inside().xy).astype(np.intp).T
    return rows, columns, (height, width)


def _squared_distance(
    rows: IntArray, columns: IntArray, size: tuple[int, int], radius: int
) -> npt.NDArray[np.unsignedinteger]:
    """Exact squared distance of each pixel to the nearest seed.

    Distances of radius + 1 and more are all (radius + 1)^2.
    """
    height, width = size
    across = np.full(size, radius + 1, np.min_scalar_type(2 * radius + 1))
    across[rows, columns] = 0
    for step in (2**i for i in range(radius.bit_length())):  # any distance is a sum of powers of two
        np.minimum(across[:, step:], across[:, :-step] + step, out=across[:, step:])
        np.minimum(across[:, :-step], across[:, step:] + step, out=across[:, :-step])
    squared = across.astype(np.min_scalar_type((radius + 1) ** 2 + radius**2))
    squared *= squared
    strip = max(_STRIP_CELLS // height, 1)
    for left in range(0, width, strip):
        squared[:, left : left + strip] = _column_minimum(squared[:, left : left + strip], radius)
    return squared


def _column_minimum(squared: npt.NDArray[np.unsignedinteger], radius: int) -> npt.NDArray[np.unsignedinteger]:
    """Least squared[row + n] + n^2 for |n| up to `radius`: the columns' share of the distance."""
    squared = np.ascontiguousarray(squared)
    nearest, raised = squared.copy(), np.empty_like(squared)
    for n in range(1, min(radius, len(squared) - 1) + 1):
        if n * n >= nearest.max():
            break
        np.add(squared, n * n, out=raised)
        np.minimum(nearest[n:], raised[:-n], out=nearest[n:])
        np.minimum(nearest[:-n], raised[n:], out=nearest[:-n])
    return nearest


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


def _splatted(
    rows: IntArray, columns: IntArray, size: tuple[int, int], sigmas: npt.NDArray[np.float64]
) -> FloatArray:
    """The density map of one kernel for each head."""
    density = np.zeros(size, np.float32)
    for row, column, sigma in zip(rows.tolist(), columns.tolist(), sigmas.tolist(), strict=True):
        kernel = _gaussian(sigma)
        vertical, horizontal = _clipped(kernel, row, size[0]), _clipped(kernel, column, size[1])
        top, left = max(row - len(kernel) // 2, 0), max(column - len(kernel) // 2, 0)
        density[top : top + len(vertical), left : left + len(horizontal)] += np.outer(vertical, horizontal)
    return density


def _gaussian(sigma: float) -> npt.NDArray[np.float64]:
    """The middle, of odd length, of a Gaussian with peak 1, as far as 4 sigma."""
    margin = math.ceil(4 * sigma)
    # heads in one pixel have an adaptive sigma of 0: all of the mass stays in the pixel
    return np.exp(-0.5 * (np.arange(-margin, margin + 1) / max(sigma, 1e-3)) ** 2)


def _clipped(kernel: npt.NDArray[np.float64], centre: int, side: int) -> npt.NDArray[np.float64]:
    """What [0, side) keeps of a kernel around `centre`, with sum 1."""
    margin = len(kernel) // 2
    kept = kernel[max(margin - centre, 0) : margin + side - centre]
    return kept / float(kept.sum())
