"""An image as the network is to see it: at its working scale, window by window."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from crowdpoint.opening import ImageSource, Windows, open_image
from crowdpoint.points import Points


@dataclass(frozen=True, slots=True)
class Working:
    """An image at its working scale.

    Attributes:
        original: (width, height) of the image in pixels.
        size: (width, height) in working pixels.
        window: what is in a box of working pixels, (H, W, 3) uint8 RGB; None where a raster has no data.
    """

    original: tuple[int, int]
    size: tuple[int, int]
    window: Windows

    def undo(self, points: Points) -> Points:
        """Points in working pixels, in pixels of the image."""
        if self.size == self.original:
            return points
        sx, sy = (after / before for after, before in zip(self.original, self.size, strict=True))
        return points.scale(sx, sy, self.original)


@contextmanager
def working(image: ImageSource, scale: float, max_side: int | None = None) -> Iterator[Working]:
    """Opens an image at `scale` times its size, or smaller so that no side is longer than `max_side` pixels.

    Raises:
        ImageError: as `open_image`.
        ImageTooLargeError: if it is decoded whole, and `scale` makes it larger than `images.PIXEL_LIMIT`.
        MissingExtraError: as `open_image`.
    """
    with open_image(image) as opened:
        size = _scaled(opened.size, scale, max_side)
        yield Working(opened.size, size, opened.scaled(size))


def _scaled(size: tuple[int, int], scale: float, max_side: int | None) -> tuple[int, int]:
    scale = min(scale, (max_side or float("inf")) / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
