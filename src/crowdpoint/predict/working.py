"""An image as the network is to see it: at its working scale, window by window.

Files that are rasters stay on disk; all other images are decoded whole.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crowdpoint import images, rasters
from crowdpoint.errors import ImageError, ImageTooLargeError
from crowdpoint.points import Points
from crowdpoint.predict.tiles import Box
from crowdpoint.rasters import Raster

Picture = npt.NDArray[np.uint8]

Image = str | Path | bytes | Picture | Raster
"""A file, the bytes of one, pixels (H, W, 3) RGB in [0, 255], or an open raster."""


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
    window: Callable[[Box], Picture | None]

    def undo(self, points: Points) -> Points:
        """Points in working pixels, in pixels of the image."""
        if self.size == self.original:
            return points
        sx, sy = (after / before for after, before in zip(self.original, self.size, strict=True))
        return points.scale(sx, sy, self.original)


@contextmanager
def working(image: Image, scale: float, max_side: int | None = None) -> Iterator[Working]:
    """Opens an image at `scale` times its size, or smaller so that no side is longer than `max_side` pixels.

    Raises:
        ImageError: if it cannot be read, or an array is not (H, W, 3) uint8.
        ImageTooLargeError: if it is decoded whole, and `scale` makes it larger than `images.PIXEL_LIMIT`.
        MissingExtraError: if it is a raster and the extra `geo` is not installed.
    """
    if isinstance(image, Raster):
        yield _of_raster(image, scale, max_side)
    elif isinstance(image, str | Path) and rasters.is_raster(image):
        with Raster(image) as raster:
            yield _of_raster(raster, scale, max_side)
    else:
        yield _of_array(_pixels(image), scale, max_side)


def _of_raster(raster: Raster, scale: float, max_side: int | None) -> Working:
    size = _scaled(raster.size, scale, max_side)
    sx, sy = (before / after for before, after in zip(raster.size, size, strict=True))

    def window(box: Box) -> Picture | None:
        left, top, right, bottom = box
        return raster.read((left * sx, top * sy, right * sx, bottom * sy), (right - left, bottom - top))

    return Working(raster.size, size, window)


def _of_array(pixels: Picture, scale: float, max_side: int | None) -> Working:
    height, width, _ = pixels.shape
    size = _scaled((width, height), scale, max_side)
    if size[0] * size[1] > max(images.PIXEL_LIMIT, width * height):
        raise ImageTooLargeError(
            f"scale {scale:g} makes {size[0]}x{size[1]} pixels of {width}x{height}, and the limit is "
            f"{images.PIXEL_LIMIT} pixels; choose a smaller --scale"
        )
    seen = images.resize(pixels, size)

    def window(box: Box) -> Picture:
        left, top, right, bottom = box
        return seen[top:bottom, left:right]

    return Working((width, height), size, window)


def _scaled(size: tuple[int, int], scale: float, max_side: int | None) -> tuple[int, int]:
    scale = min(scale, (max_side or float("inf")) / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _pixels(image: str | Path | bytes | Picture) -> Picture:
    if not isinstance(image, np.ndarray):
        return images.read(image)
    if image.dtype != np.uint8:
        raise ImageError(f"image: expected uint8 values in [0, 255], found an array of {image.dtype}")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ImageError(f"image: expected an RGB array of shape (H, W, 3), found {image.shape}")
    return image
