"""Resize images for the network, window by window, and assemble the maps of their tiles."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crowdpoint import images
from crowdpoint.estimate import F
from crowdpoint.methods import Piece
from crowdpoint.opening import OpenedImage, Windows
from crowdpoint.points import FloatArray
from crowdpoint.tiles import Box

MARGIN = 16
"""Width in pixels of the margin around a part of an image: decoders compare what is around a head."""


@dataclass(frozen=True, slots=True)
class WorkingImage:
    """An image at its working scale.

    Attributes:
        original: (width, height) of the image in pixels.
        size: (width, height) in working pixels.
        window: reads a box of working pixels, (H, W, 3) uint8 RGB; None for a part of a raster without data.
    """

    original: tuple[int, int]
    size: tuple[int, int]
    window: Windows

    @property
    def scale(self) -> float:
        """Working pixels per pixel of the image, along its longer side."""
        return max(self.size) / max(self.original)

    def working_box(self, box: Box) -> Box:
        """Convert a box in pixels of the image to working pixels, with a margin for heads on its sides."""
        left, top, right, bottom = box
        sx, sy = (after / before for after, before in zip(self.size, self.original, strict=True))
        return (
            max(int(left * sx) - MARGIN, 0),
            max(int(top * sy) - MARGIN, 0),
            min(math.ceil(right * sx) + MARGIN, self.size[0]),
            min(math.ceil(bottom * sy) + MARGIN, self.size[1]),
        )

    def undo(self, found: F) -> F:
        """Convert a result from working pixels to pixels of the image."""
        if self.size == self.original:
            return found
        sx, sy = (after / before for after, before in zip(self.original, self.size, strict=True))
        return found.scale(sx, sy, self.original)


class MapCollector:
    """Keeps the maps of tiles, and assembles them into one map.

    Memory grows by a float32 for each working pixel of each look.
    """

    def __init__(self) -> None:
        self._looks: dict[tuple[int, int], FloatArray] = {}

    def watch(self, size: tuple[int, int], pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Yield the tiles of a look of (width, height) working pixels, and keep the maps of their cores."""
        for tile, outputs in pieces:
            if "map" in outputs:
                if size not in self._looks:
                    self._looks[size] = np.full(size[::-1], np.nan, np.float32)
                (left, top, right, bottom), core = tile.inner, tile.core
                cut = outputs["map"][0, 0, top:bottom, left:right]
                self._looks[size][core[1] : core[3], core[0] : core[2]] = cut
            yield tile, outputs

    def assemble(self, size: tuple[int, int]) -> FloatArray | None:
        """Return the map (H, W) of an image of (width, height) pixels; None without maps.

        Each pixel is that of the finest look that includes it; 0 if there is none.
        """
        whole: FloatArray | None = None
        for _, look in sorted(self._looks.items()):
            resized = images.resize(look, size)
            whole = resized if whole is None else np.where(np.isnan(resized), whole, resized)
        return None if whole is None else np.nan_to_num(whole, copy=False)


def resize_for_network(opened: OpenedImage, scale: float, max_side: int | None = None) -> WorkingImage:
    """Resize an image to `scale` times its size, or less so that no side is longer than `max_side` pixels."""
    size = images.scaled_size(opened.size, scale, max_side)
    return WorkingImage(opened.size, size, opened.resize(size))
