"""Image files in, upright RGB arrays out: the only place where crowdpoint decodes a picture.

Pillow decodes; whatever the file's colours, depth and EXIF orientation, callers see one layout.
"""

import io
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.Image import Transpose
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import jpeg_factory
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from crowdpoint.errors import ImageError, ImageTooLargeError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""Endings, in lower case, of the files that `read` reads."""

PIXEL_LIMIT = 1_000_000_000
"""The most pixels that an image may have unless the caller allows more; `rasters` has no such limit."""

_OPENERS: dict[bytes, Callable[[IO[bytes]], ImageFile]] = {  # by how a file begins
    b"\xff\xd8\xff": jpeg_factory,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"RIFF": WebPImageFile,
    b"BM": BmpImageFile,
    b"II*\0": TiffImageFile,
    b"MM\0*": TiffImageFile,
    b"II+\0": TiffImageFile,  # BigTIFF
    b"MM\0+": TiffImageFile,
}
_UPRIGHT = {  # EXIF orientation -> what makes the picture upright
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_pillow_lock = threading.RLock()

PHOTOMETRIC = 262
"""The tag of a TIFF file that says what its samples mean; 0 where white is zero."""

Sample = TypeVar("Sample", np.uint8, np.float32)


def read(source: str | Path | bytes, *, pixel_limit: int = PIXEL_LIMIT) -> npt.NDArray[np.uint8]:
    """Decodes a JPEG, PNG, WebP, BMP or TIFF file; of several frames or pages, the first.

    Grey becomes three equal channels, transparency is composited over white, CMYK is converted without
    its colour profile. Of 16-bit samples the high byte is kept. 32-bit samples have no fixed white: floats
    within [0, 1] are taken as black to white, all others are stretched from their minimum to their maximum.

    Args:
        source: the path of a file, or the bytes of one.
        pixel_limit: the most pixels to accept; checked on the header, before memory is taken.

    Returns:
        (H, W, 3) uint8, RGB, upright by the EXIF orientation, writable and contiguous.

    Raises:
        ImageError: if the file is missing, empty, truncated, too large or not an image.
    """
    with _opened(source, pixel_limit) as (image, orientation):
        # Pillow judges TIFF files a second time, by its own limit, when it loads them.
        with _pillow_limit(None) if isinstance(image, TiffImageFile) else nullcontext():
            image.load()
        pixels = _rgb(image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image)
        # Pillow turns this kind of grey to black on white itself only where it has 8 bits.
        white_is_zero = isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == 0
        return ~pixels if white_is_zero and image.mode.startswith("I;16") else pixels


def from_pillow(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Convert a PIL image to the pixels that `read` gives of its file.

    Returns:
        (H, W, 3) uint8, RGB, upright by the EXIF orientation, contiguous.

    Raises:
        ImageError: if it comes from a file that is damaged or closed, or has no pixels.
    """
    try:
        pixels = _rgb(ImageOps.exif_transpose(image))
    except Exception as error:  # broken files make decoders raise anything from EOFError to ZeroDivisionError
        raise ImageError(f"image: a PIL image that cannot be decoded: {error}") from error
    if not pixels.size:
        raise ImageError(
            f"image: expected a PIL image with pixels, found one of {image.width}x{image.height}"
        )
    return pixels


def read_size(source: str | Path | bytes) -> tuple[int, int]:
    """The (width, height) in pixels that `read` would return, from the header alone.

    Raises:
        ImageError: if the file is missing, empty or not an image.
    """
    with _opened(source, None) as (image, orientation):
        return (image.height, image.width) if orientation in (5, 6, 7, 8) else (image.width, image.height)


def reduced_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """(width, height), shrunk in proportion to at most `side` pixels in both."""
    factor = min(1.0, side / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def resize(image: npt.NDArray[Sample], size: tuple[int, int]) -> npt.NDArray[Sample]:
    """The image (H, W, 3), or map (H, W), at `size` (width, height) in pixels; itself if that is its size."""
    height, width = image.shape[:2]
    if size == (width, height):
        return image
    import cv2

    shrinks = size[0] < width or size[1] < height
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return resized.astype(image.dtype, copy=False)


@contextmanager
def _opened(source: str | Path | bytes, pixel_limit: int | None) -> Iterator[tuple[ImageFile, int]]:
    """The header of an image and its EXIF orientation; inside, every failure becomes an ImageError."""
    name = "image bytes" if isinstance(source, bytes) else str(source)
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as stream:
            head = stream.read(8)
            if not head:
                raise ImageError(f"{name}: the file is empty")
            opener = next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), None)
            if opener is None:
                raise ImageError(f"{name}: not a JPEG, PNG, WebP, BMP or TIFF image")
            stream.seek(0)
            # Not Image.open: it judges sizes by a limit that is global to the process. Of these openers, only
            # that of WebP asks for it, before it takes memory, and refuses what is over twice the limit.
            with _pillow_limit(pixel_limit and (pixel_limit + 1) // 2):
                image = opener(stream)
            if pixel_limit is not None and image.width * image.height > pixel_limit:
                raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
            yield image, _orientation(image, stream)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(
            f"{name}: {error}; the limit is {pixel_limit} pixels, pass a higher pixel_limit to read it; "
            "TIFF files are read window by window with crowdpoint[geo] installed"
        ) from error
    except Exception as error:  # broken files make decoders raise anything from EOFError to ZeroDivisionError
        reason = getattr(error, "strerror", None) or f"it may be truncated ({error})"
        raise ImageError(f"{name}: cannot be read as an image: {reason}") from error


@contextmanager
def _pillow_limit(pixels: int | None) -> Iterator[None]:
    """Sets the size that Pillow warns of, which is global, and puts the host program's value back."""
    with _pillow_lock:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _orientation(image: ImageFile, stream: IO[bytes]) -> int:
    """The EXIF orientation, 1 to 8; 1 when there is none left to apply or when EXIF is damaged."""
    if isinstance(image, TiffImageFile):
        return 1  # Pillow turns TIFF files itself
    if isinstance(image, PngImageFile) and "exif" not in image.info:
        image.info["exif"] = _png_exif(stream)
    try:
        # Not image.getexif(): for PNG files, that decodes the whole picture.
        return int(Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged EXIF block raises anything, and the picture is still good
        return 1


def _png_exif(stream: IO[bytes]) -> bytes | None:
    """The eXIf chunk, which may also stand behind the pixels; the stream's position is kept."""
    before = stream.tell()
    stream.seek(8)
    found = None
    while found is None and len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf":
            found = stream.read(length)
        stream.seek(length + 4, io.SEEK_CUR)
    stream.seek(before)
    return found


def _rgb(image: Image.Image) -> npt.NDArray[np.uint8]:
    if image.mode == "F" or image.mode.startswith("I"):
        samples = np.asarray(image)
        gray = _eight_bits(samples)
        if (transparent := image.info.get("transparency")) is not None:  # a PNG file's one value
            gray[samples == transparent] = 255
        return np.repeat(gray[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    # Of an image that is RGB already, `convert` makes a copy.
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _eight_bits(samples: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Grey samples of 16 or 32 bits as uint8."""
    if samples.dtype.itemsize == 2:
        return (samples.astype(np.uint16) >> 8).astype(np.uint8)  # as libpng does for colours
    finite = np.nan_to_num(samples.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    if samples.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return np.rint((finite - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
