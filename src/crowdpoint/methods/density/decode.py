"""From a predicted density map to points: the map's mass, told in whole points.

A density map has no heads to find. Its points are laid where its mass is, so that whatever counts points
counts its integral, and so does any region of the image to within a point or so.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from crowdpoint.methods.density.targets import DENSITY_SCALE
from crowdpoint.methods.method import Piece
from crowdpoint.points import FloatArray, Points

DoubleArray = npt.NDArray[np.float64]

CELL = 8
"""Side in pixels of the squares that mass is summed over. It divides the alignment of tiles, so that a
square never lies in two of them."""


def decode_density(pieces: Iterable[Piece], image_size: tuple[int, int], least: float = 0.0) -> Points:
    """Points that stand for a density map: as many as its integral, where its mass is.

    They tell how many people there are, and roughly where, but none of them is a head. All have a score of 1.

    Args:
        pieces: with `map` (1, 1, H, W), heads per 100 pixels, one cell a pixel of the window.
        image_size: (width, height) in pixels.
        least: has no effect.
    """
    del least
    width, height = image_size
    grid = np.zeros((-(-height // CELL), -(-width // CELL)))
    for tile, outputs in pieces:
        left, top, right, bottom = tile.inner
        own = masses(outputs["map"][0, 0, top:bottom, left:right])
        row, column = tile.core[1] // CELL, tile.core[0] // CELL
        grid[row : row + own.shape[0], column : column + own.shape[1]] = own
    return dithered(grid, image_size)


def masses(density_map: FloatArray) -> DoubleArray:
    """Heads in each square of a map (H, W) in heads per 100 pixels; the last of a row or column may be cut.

    Returns:
        (H / 8, W / 8), rounded up.
    """
    height, width = density_map.shape
    rows = np.add.reduceat(density_map, np.arange(0, height, CELL), axis=0, dtype=np.float64)
    squares: DoubleArray = np.add.reduceat(rows, np.arange(0, width, CELL), axis=1)
    return squares / DENSITY_SCALE


def dithered(grid: DoubleArray, image_size: tuple[int, int]) -> Points:
    """The mass of an image's squares as points: the nearest whole number to the sum, 0 if that is negative.

    The squares are walked along a Z-order curve, which sees all of a block of 2 by 2, 4 by 4 and so on before
    it leaves it. The positive mass is cut into equal shares, and where the middle of a share lies, there is a
    point in the middle of the square.

    Args:
        grid: heads in each square of 8 by 8 pixels; values may be negative, as a network's are.
        image_size: (width, height) in pixels.
    """
    count = max(round(float(grid.sum())), 0)
    if not count:
        return Points.empty(image_size)
    rows, columns = np.indices(grid.shape).reshape(2, -1)
    order = np.argsort(_interleaved(rows, columns))
    passed = grid.reshape(-1)[order].clip(min=0).cumsum()
    squares = order[np.searchsorted(passed, (np.arange(count) + 0.5) / count * passed[-1])]
    corners = CELL * np.stack((columns, rows), axis=1)[squares]
    middles = (corners + np.minimum(corners + CELL, image_size)) / 2
    return Points(middles.astype(np.float32), image_size=image_size)


def _interleaved(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Place along the Z-order curve: the bits of row and column in turn."""
    place = np.zeros_like(rows)
    for bit in range(int(max(rows.max(), columns.max())).bit_length()):
        place |= ((columns >> bit & 1) << 2 * bit) | ((rows >> bit & 1) << 2 * bit + 1)
    return place
