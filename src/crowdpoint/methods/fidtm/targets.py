"""Compute the maps that a network learns to predict from annotated points.

A map has the size of its image. A head belongs to the pixel (floor(x), floor(y)); heads outside the image are
not on the map, except those around a crop, which are on the image that it is cut from.
"""

import math

import numpy as np
import numpy.typing as npt

from crowdpoint.points import DoubleArray, FloatArray, IntArray, Points

_STRIP_CELLS = 2**17  # cells worked on at a time, so that the whole working set stays in the L2 cache
_FARTHEST = 2**12  # pixels: a map that has not fallen below the cut-off there is cut


def fidt_map(
    points: Points,
    *,
    alpha: float = 0.02,
    beta: float = 0.75,
    constant: float = 1.0,
    cutoff: float = 0.01,
    around: bool = False,
) -> FloatArray:
    """Compute the focal inverse distance transform map (FIDTM, Eq. 3), 1 / (P^(alpha P + beta) + C).

    P is the exact Euclidean distance in pixels from a pixel to the nearest pixel with a head. The time is
    linear in the pixels and in the distance at which the map falls below `cutoff`, by default 30 pixels.

    Args:
        points: the heads, with the size of their image.
        alpha: growth of the exponent with the distance, at least 0.
        beta: exponent near the head, at least 0.
        constant: C, above 0; the pixel of a head is 1 / C.
        cutoff: values below it become 0.
        around: include heads outside the image, as those around a crop of a larger one.

    Returns:
        (H, W) float32 in [0, 1 / C].

    Raises:
        ValueError: if the image size is unknown, or a parameter is out of range.
    """
    if alpha < 0 or beta < 0 or constant <= 0:
        raise ValueError(
            "expected alpha and beta of at least 0 and a constant above 0, "
            f"found alpha={alpha}, beta={beta}, constant={constant}"
        )
    shape = (alpha, beta, constant, cutoff)
    size = points.require_size()
    radius = _compute_radius(shape, _FARTHEST if around else math.ceil(math.hypot(*size)))
    margin = radius if around else 0
    padded = (size[1] + 2 * margin, size[0] + 2 * margin)
    columns, rows = np.floor(points.xy).astype(np.intp).T + margin
    on = (columns >= 0) & (rows >= 0) & (columns < padded[1]) & (rows < padded[0])
    # Squared distances between pixels are integers, so that a table replaces the powers.
    table = _decay(np.sqrt(np.arange((radius + 1) ** 2 + 1)), *shape).astype(np.float32)
    table[-1] = 0  # beyond the radius
    squared = _compute_squared_distance(rows[on], columns[on], padded, radius)
    return table.take(squared[margin : margin + size[1], margin : margin + size[0]])


def fidt_reach(alpha: float, beta: float) -> int:
    """Compute the distance in pixels from which on a head has no effect on a default `fidt_map`."""
    return _compute_radius((alpha, beta, 1.0, 0.01), _FARTHEST) + 1


def idt_map(points: Points) -> FloatArray:
    """Compute the inverse distance transform map (FIDTM, Eq. 2), 1 / (P + 1), but 0 beyond 99 pixels.

    It is Eq. 3 with alpha 0 and beta 1, cut off as `fidt_map` is.
    """
    return fidt_map(points, alpha=0.0, beta=1.0)


def _decay(distance: DoubleArray, alpha: float, beta: float, constant: float, cutoff: float) -> DoubleArray:
    with np.errstate(over="ignore"):  # far away the power is infinite and its inverse 0
        power = distance ** (alpha * distance + beta)
    power[distance == 0] = 0  # where beta is 0 it would be 1, as beside the head
    value = 1 / (power + constant)
    return np.where(value < cutoff, 0, value)


def _compute_radius(shape: tuple[float, float, float, float], limit: int) -> int:
    """Compute the largest whole distance, up to a limit, at which a map of this shape is not 0."""
    reach = np.flatnonzero(_decay(np.arange(limit + 1.0), *shape))
    return int(reach[-1]) if len(reach) else 0


def _compute_squared_distance(
    rows: IntArray, columns: IntArray, size: tuple[int, int], radius: int
) -> npt.NDArray[np.unsignedinteger]:
    """Compute the squared distance of each pixel to the nearest seed, at most (radius + 1)^2."""
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
        squared[:, left : left + strip] = _minimize_columns(squared[:, left : left + strip], radius)
    return squared


def _minimize_columns(
    squared: npt.NDArray[np.unsignedinteger], radius: int
) -> npt.NDArray[np.unsignedinteger]:
    """Compute the least squared[row + n] + n^2 for all n of at most `radius`, the columns' distance."""
    squared = np.ascontiguousarray(squared)
    nearest, raised = squared.copy(), np.empty_like(squared)
    for n in range(1, min(radius, len(squared) - 1) + 1):
        if n * n >= nearest.max():
            break
        np.add(squared, n * n, out=raised)
        np.minimum(nearest[n:], raised[:-n], out=nearest[n:])
        np.minimum(nearest[:-n], raised[n:], out=nearest[:-n])
    return nearest
