"""`open_image` and the two kinds of image that it opens: decoded whole, or read from a raster file."""

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from crowdpoint import images, rasters
from crowdpoint.errors import ImageError, ImageTooLargeError
from crowdpoint.opening import storage
from crowdpoint.points import Picture
from crowdpoint.rasters import Georeference, Raster
from crowdpoint.redaction import redact

Windows = Callable[[tuple[int, int, int, int]], Picture | None]
"""Function from a box (left, top, right, bottom) to its pixels (H, W, 3) uint8 RGB, or None without data."""


class OpenedImage(ABC):
    """An image that is open for reading.

    Attributes:
        name: name in messages: the path or URL, or `image` for bytes and arrays.
        size: (width, height) in pixels.
        place: georeference; None if unknown.
        in_memory: whether it is decoded whole, so that `images.PIXEL_LIMIT` bounds its size.
    """

    name: str
    size: tuple[int, int]
    place: Georeference | None = None
    in_memory: bool

    @abstractmethod
    def resize(self, size: tuple[int, int]) -> Windows:
        """Resize to (width, height) and return a reader of windows in the new pixel coordinates.

        Raises:
            ImageTooLargeError: if the image is decoded whole and the result exceeds `images.PIXEL_LIMIT`.
        """

    @abstractmethod
    def thumbnail(self, side: int) -> Picture:
        """Shrink in proportion to at most `side` pixels in width and height: (H, W, 3) uint8 RGB.

        Do not write to the array; it may be the image itself.
        """


ImageSource = (
    str | Path | bytes | IO[bytes] | io.BufferedIOBase | Picture | Image.Image | Raster | OpenedImage
)
"""A path, a URL (http, https, file or any fsspec protocol), the bytes of a file, an open binary file, an
array (H, W, 3) uint8 RGB, a PIL image, an open `Raster` or an `OpenedImage`."""


@contextmanager
def open_image(source: ImageSource, *, allow_vrt: bool = False) -> Iterator[OpenedImage]:
    """Open an image.

    Rasters (see `rasters.is_raster`) are read window by window if they are georeferenced or have more than
    `rasters.PHOTO_PIXELS` pixels; all other files are decoded whole. The EXIF orientation is applied, also to
    PIL images.

    Args:
        source: the image.
        allow_vrt: accept virtual rasters, as in `Raster`.

    Raises:
        ImageError: if it cannot be downloaded or decoded, or is not an image.
        ConfigError: if it is a URL with an unknown protocol, or one whose package is not installed.
        MissingExtraError: if it is a raster or a URL whose extra is not installed.
    """
    if isinstance(source, OpenedImage):
        yield source
    elif isinstance(source, Raster):
        yield _open_raster(source)
    elif isinstance(source, str | Path):
        location = str(source)
        if storage.is_url(source) and not storage.is_web(location):
            location = storage.resolve_location(location)
        if _is_raster(location):
            with Raster(location, allow_vrt=allow_vrt) as raster:
                yield _open_raster(raster)
        else:
            yield _DecodedImage(_decode(location), redact(str(source)))
    else:
        yield _DecodedImage(_to_pixels(source), "image")


def fetch(location: str) -> str | bytes:
    """Read a file ahead of `open_image`, which takes the result: bytes, or the path of a local raster.

    Raises:
        ImageError: if it cannot be read.
    """
    return location if _is_raster(location) else storage.read(location)


def _open_raster(raster: Raster) -> OpenedImage:
    """Decode a raster whole if it is a photo, so that it is resized and predicted as other photos are."""
    width, height = raster.size
    if raster.place or width * height > rasters.PHOTO_PIXELS:
        return _RasterImage(raster)
    return _DecodedImage(raster.decode(), str(raster.path))


def _is_raster(location: str) -> bool:
    return storage.is_local(location) and rasters.is_raster(location)


class _DecodedImage(OpenedImage):
    in_memory = True

    def __init__(self, pixels: Picture, name: str) -> None:
        self.name = name
        self.size = (pixels.shape[1], pixels.shape[0])
        self._image = pixels

    def resize(self, size: tuple[int, int]) -> Windows:
        width, height = self.size
        if size[0] * size[1] > max(images.PIXEL_LIMIT, width * height):
            factor = size[0] / width
            raise ImageTooLargeError(
                f"{self.name}: scale {factor:g} enlarges {width}x{height} to {size[0]}x{size[1]} pixels, "
                f"the limit is {images.PIXEL_LIMIT} pixels; choose a smaller --scale"
            )
        resized = images.resize(self._image, size)

        def window(box: tuple[int, int, int, int]) -> Picture:
            left, top, right, bottom = box
            return resized[top:bottom, left:right]

        return window

    def thumbnail(self, side: int) -> Picture:
        return images.resize(self._image, images.scaled_size(self.size, max_side=side))


class _RasterImage(OpenedImage):
    """A raster file, of which only the current window is in memory."""

    in_memory = False

    def __init__(self, raster: Raster) -> None:
        self.name = str(raster.path)
        self.size = raster.size
        self.place = raster.place
        self._raster = raster

    def resize(self, size: tuple[int, int]) -> Windows:
        sx, sy = (before / after for before, after in zip(self.size, size, strict=True))

        def window(box: tuple[int, int, int, int]) -> Picture | None:
            left, top, right, bottom = box
            place = (left * sx, top * sy, right * sx, bottom * sy)
            return self._raster.read(place, (right - left, bottom - top))

        return window

    def thumbnail(self, side: int) -> Picture:
        return self._raster.thumbnail(side)


def _decode(location: str) -> Picture:
    if storage.is_local(location):
        return images.read(location)
    try:
        return images.read(storage.read(location))
    except ImageError as error:
        reason = str(error).removeprefix("image bytes: ")
        raise type(error)(f"{redact(location)}: {reason}") from error


def _to_pixels(source: bytes | IO[bytes] | io.BufferedIOBase | Picture | Image.Image) -> Picture:
    if isinstance(source, bytes):
        return images.read(source)
    if isinstance(source, Image.Image):
        return images.from_pillow(source)
    # Wrappers of files, such as those of `tempfile`, have no common class.
    if hasattr(source, "read") and not isinstance(source, io.TextIOBase):
        try:
            content = source.read()
        except Exception as error:  # files of archives and of the network raise errors of their own
            reason = f"{type(error).__name__}: {error}"
            raise ImageError(f"image: cannot read this open file: {reason}") from error
        if isinstance(content, bytes):
            return images.read(content)
    if not isinstance(source, np.ndarray):
        raise ImageError(
            "image: expected a path, a URL, the bytes of a file, an open binary file, an array (H, W, 3) of "
            f"uint8, a PIL image or a Raster, found {type(source).__name__}"
        )
    images.check_pixels(source)
    return source
