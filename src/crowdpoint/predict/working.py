"""Resize images for the network, window by window."""

import math
from dataclasses import dataclass

from crowdpoint.estimate import F
from crowdpoint.images import scaled_size
from crowdpoint.opening import OpenedImage, Windows
from crowdpoint.tiles import Box


@dataclass(frozen=True, slots=True)
class WorkingImage:
    """An image at its working scale.

    Attributes:
        original: (width, height) of the image in pixels.
        size: (width, height) in working pixels.
        window: what is in a box of working pixels, (H, W, 3) uint8 RGB; None where a raster has no data.
    """

    original: tuple[int, int]
    size: tuple[int, int]
    window: Windows

    @property
    def scale(self) -> float:
        """Working pixels per pixel of the image, along its longer side."""
        return max(self.size) / max(self.original)

    def working_box(self, box: Box) -> Box:
        """Convert a box in pixels of the image to working pixels, rounded outwards."""
        left, top, right, bottom = box
        sx, sy = (after / before for after, before in zip(self.size, self.original, strict=True))
        return (
            int(left * sx),
            int(top * sy),
            min(math.ceil(right * sx), self.size[0]),
            min(math.ceil(bottom * sy), self.size[1]),
        )

    def undo(self, found: F) -> F:
        """Convert a result from working pixels to pixels of the image."""
        if self.size == self.original:
            return found
        sx, sy = (after / before for after, before in zip(self.original, self.size, strict=True))
        return found.scale(sx, sy, self.original)


def resize_for_network(opened: OpenedImage, scale: float, max_side: int | None = None) -> WorkingImage:
    """Resize an image to `scale` times its size, or less so that no side is longer than `max_side` pixels."""
    size = scaled_size(opened.size, scale, max_side)
    return WorkingImage(opened.size, size, opened.resize(size))
