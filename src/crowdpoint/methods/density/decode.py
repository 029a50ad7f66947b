"""Decode the density maps on the tiles of an image to its count."""

from collections.abc import Iterable

import numpy as np

from crowdpoint.estimate import Estimate
from crowdpoint.methods.density.targets import DENSITY_SCALE
from crowdpoint.methods.method import Piece

SQUARE = 8
"""Side in pixels of the squares that the map is summed over; it divides the alignment of tiles."""


def decode_density(pieces: Iterable[Piece], image_size: tuple[int, int]) -> Estimate:
    """Sum the density map of an image over squares.

    Args:
        pieces: with `map` (1, 1, H, W), heads per 100 pixels, one cell a pixel of the window.
        image_size: (width, height) in pixels; the last squares of a row or column may be cut.
    """
    columns, rows = (np.arange(0, side, SQUARE) for side in image_size)
    masses = np.zeros((len(rows), len(columns)))
    for tile, outputs in pieces:
        left, top, right, bottom = tile.inner
        own = outputs["map"][0, 0, top:bottom, left:right]
        for axis in (0, 1):
            own = np.add.reduceat(own, np.arange(0, own.shape[axis], SQUARE), axis=axis, dtype=np.float64)
        row, column = tile.core[1] // SQUARE, tile.core[0] // SQUARE
        masses[row : row + own.shape[0], column : column + own.shape[1]] = own / DENSITY_SCALE
    middles = [
        (start + np.minimum(start + SQUARE, side)) / 2
        for start, side in zip((columns, rows), image_size, strict=True)
    ]
    xy = np.stack(np.meshgrid(*middles), axis=-1).reshape(-1, 2).astype(np.float32)
    return Estimate(xy, masses.reshape(-1), image_size)
