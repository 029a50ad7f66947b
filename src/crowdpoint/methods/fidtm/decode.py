"""Decode the FIDT maps on the tiles of an image to the local maxima of the whole image."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from crowdpoint.methods.fidtm import peaks
from crowdpoint.methods.fidtm.config import SIZE_STRIDE, LMDSConfig
from crowdpoint.methods.method import Piece
from crowdpoint.points import FloatArray, Points


def decode_map(
    pieces: Iterable[Piece], image_size: tuple[int, int], least: float = 0.0, *, lmds: LMDSConfig
) -> Points:
    """Find all local maxima of the image's FIDT map (FIDTM, Algorithm 1), scored by `peaks.score_maxima`.

    Args:
        pieces: with `map` (1, 1, H, W), one cell a pixel of the window; maybe `sides` (1, 1, H / 4, W / 4),
            rounded up, sides of square boxes in pixels, which become the points' sizes.
        image_size: (width, height) in pixels.
        least: maxima that will have a lower score are dropped early.
        lmds: the settings.
    """
    xy, heights = [np.empty((0, 2), np.float32)], [np.empty(0, np.float32)]
    sides: list[FloatArray] = []
    largest = 0.0
    for tile, outputs in pieces:
        fidt_map = outputs["map"][0, 0]
        # Search the window, so that cells on the core's border have their neighbours.
        found = peaks.find_maxima(fidt_map, lmds)
        left, top, right, bottom = tile.inner
        largest = max(largest, float(fidt_map[top:bottom, left:right].max()))
        x, y = found.xy.T
        own = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        own &= found.heights >= peaks.compute_lowest(largest, least, lmds)
        xy.append(found.xy[own] + np.array(tile.window[:2], np.float32))
        heights.append(found.heights[own])
        if "sides" in outputs:
            column, row = (found.xy[own] // SIZE_STRIDE).astype(np.intp).T
            sides.append(outputs["sides"][0, 0, row, column])
    merged = peaks.Maxima(np.concatenate(xy), np.concatenate(heights), largest)
    points = peaks.score_maxima(merged, image_size, lmds)
    if not sides or not len(points):
        return points
    return replace(points, sizes=np.repeat(np.concatenate(sides)[:, None], 2, axis=1))
