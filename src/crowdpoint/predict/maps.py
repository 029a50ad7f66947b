"""Assembly of the map of a whole image from the tiles of one or several looks."""

from collections.abc import Iterator

import numpy as np

from crowdpoint import images
from crowdpoint.methods import Piece
from crowdpoint.points import FloatArray


class MapCollector:
    """Keeps the maps of tiles that pass, and assembles them into one.

    Memory grows by a float32 for each working pixel of each look.
    """

    def __init__(self) -> None:
        self._looks: dict[tuple[int, int], FloatArray] = {}

    def watch(self, size: tuple[int, int], pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Yield the tiles of a look of (width, height) working pixels, and keep the maps of their cores."""
        for tile, outputs in pieces:
            if "map" in outputs:
                look = self._looks.setdefault(size, np.full(size[::-1], np.nan, np.float32))
                (left, top, right, bottom), core = tile.inner, tile.core
                look[core[1] : core[3], core[0] : core[2]] = outputs["map"][0, 0, top:bottom, left:right]
            yield tile, outputs

    def assemble(self, size: tuple[int, int]) -> FloatArray | None:
        """Return the map (H, W) of an image of (width, height) pixels; None if no tile had one.

        Each pixel is from the finest look that saw it, and 0 if none did.
        """
        whole: FloatArray | None = None
        for _, look in sorted(self._looks.items()):
            resized = images.resize(look, size)
            whole = resized if whole is None else np.where(np.isnan(resized), whole, resized)
        return None if whole is None else np.nan_to_num(whole, copy=False)
