"""Image files in, upright RGB arrays out: the only place where crowdpoint decodes a picture.

Pillow decodes; whatever the file's colours, depth and EXIF orientation, callers see one layout.
"""

import io
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from crowdpoint import containers, deep, memory
from crowdpoint.errors import ImageError, ImageTooLargeError
from crowdpoint.levels import Levels, reduced

IMAGE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
        *(".jp2", ".avif", ".heic", ".heif"),
    }
)
"""Endings, in lower case, of the files that `read` reads; HEIC files need the extra `heif`."""

PIXEL_LIMIT = 1_000_000_000
"""The most pixels that an image may have unless the caller allows more; `rasters` has a limit of its own."""

PIXEL_BYTES = 8
"""Memory for each pixel while an image is decoded: 4 bytes of Pillow's, 3 of the array, and some."""

_STRIP_PIXELS = 1 << 20
_pillow_lock = threading.RLock()

PHOTOMETRIC = 262
"""The tag of a TIFF file that says what its samples mean; 0 where white is zero."""

Sample = TypeVar("Sample", np.uint8, np.float32)
Picture = npt.NDArray[np.uint8]


def read(source: str | Path | bytes, *, pixel_limit: int = PIXEL_LIMIT) -> Picture:
    """Decodes a JPEG, PNG, WebP, BMP, GIF, TIFF, JPEG 2000, AVIF or HEIC file; of several frames, the first.

    Grey becomes three equal channels, transparency is composited over white, CMYK is converted without
    its colour profile. Samples of more than 8 bits are black and white by `levels.Levels`.

    Args:
        source: the path of a file, or the bytes of one.
        pixel_limit: the most pixels to accept; checked on the header, before memory is taken.

    Returns:
        (H, W, 3) uint8, RGB, upright by the EXIF orientation, writable and contiguous.

    Raises:
        ImageError: if the file is missing, empty, truncated, too large or not an image.
    """
    with _opened(source, pixel_limit) as (image, orientation):
        name = _name(source)
        if deep.is_deep_color(image):
            deep.keep(image, low=False)
            _load(image)
            with _opened(source, pixel_limit) as (twin, _):
                deep.keep(twin, low=True)
                _load(twin)
                return _turned(deep.colors(image, twin, name), orientation)
        _load(image)
        return _pixels(image, orientation, name)


def from_pillow(image: Image.Image) -> Picture:
    """Convert a PIL image to the pixels that `read` gives of its file.

    Returns:
        (H, W, 3) uint8, RGB, upright by the EXIF orientation, contiguous.

    Raises:
        ImageError: if it comes from a file that is damaged or closed, or has no pixels.
    """
    if 0 in image.size:
        raise ImageError(
            f"image: expected a PIL image with pixels, found one of {image.width}x{image.height}"
        )
    try:
        return _pixels(ImageOps.exif_transpose(image), 1, "image")
    except Exception as error:  # broken files make decoders raise anything from EOFError to ZeroDivisionError
        raise ImageError(f"image: a PIL image that cannot be decoded: {error}") from error


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


def _name(source: str | Path | bytes) -> str:
    return "image bytes" if isinstance(source, bytes) else str(source)


@contextmanager
def _opened(source: str | Path | bytes, pixel_limit: int | None) -> Iterator[tuple[ImageFile, int]]:
    """The header of an image and its EXIF orientation; inside, every failure becomes an ImageError."""
    name = _name(source)
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as stream:
            opener = containers.opener(stream, name)
            # Not Image.open: it judges sizes by a limit that is global to the process. Some openers ask for
            # it before they take memory, and refuse what is over twice the limit.
            with _pillow_limit(pixel_limit and (pixel_limit + 1) // 2):
                image = opener(stream)
            if pixel_limit is not None:
                _check_size(image, stream, name, pixel_limit)
            yield image, _orientation(image, stream)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(f"{name}: {error}; {_advice(pixel_limit)}") from error
    except MemoryError as error:
        raise ImageTooLargeError(f"{name}: takes more memory than there is; read a smaller image") from error
    except Exception as error:  # broken files make decoders raise anything from EOFError to ZeroDivisionError
        raise ImageError(f"{name}: cannot be read as an image: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if "unknown pixel mode" in str(error):
        return "it is damaged, or a TIFF file of a kind that is read with crowdpoint[geo] installed"
    return f"it may be truncated ({error})"


def _advice(pixel_limit: int | None) -> str:
    return (
        f"the limit is {pixel_limit} pixels, pass a higher pixel_limit to read it; "
        "TIFF files are read window by window with crowdpoint[geo] installed"
    )


def _check_size(image: ImageFile, stream: IO[bytes], name: str, pixel_limit: int) -> None:
    """Refuses images by their header that are too large for the caller, for the memory or for their file."""
    pixels = image.width * image.height
    size = f"{image.width} x {image.height} pixels"
    if pixels > pixel_limit:
        raise ImageTooLargeError(f"{name}: {size}; {_advice(pixel_limit)}")
    most = containers.most_pixels(image, stream)
    if pixels > most:
        raise ImageError(
            f"{name}: cannot be read as an image: its header says {size}, and its bytes hold {most} at most; "
            "it is truncated or damaged"
        )
    twice = deep.is_deep_color(image) or isinstance(image, WebPImageFile)  # which decodes into a canvas
    needed = pixels * PIXEL_BYTES * (2 if twice else 1)
    free = memory.available()
    if free is not None and needed > free:
        raise ImageTooLargeError(
            f"{name}: {size} take {needed / 1e9:.1f} GB of memory to decode, and {free / 1e9:.1f} GB are free"
        )


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


def _load(image: ImageFile) -> None:
    # Pillow judges TIFF files a second time, by its own limit, when it loads them.
    with _pillow_limit(None) if isinstance(image, TiffImageFile) else nullcontext():
        image.load()


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


def _pixels(image: Image.Image, orientation: int, name: str) -> Picture:
    """The pixels of a decoded image of any mode but deep colours, upright."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _turned(_gray(image, name)[..., None], orientation)
    return _rgb(image, orientation)


def _rgb(image: Image.Image, orientation: int) -> Picture:
    """The pixels of a decoded image of 8 bits, strip by strip, so that they are in memory only twice."""
    if isinstance(image, BmpImageFile) and image.mode == "RGBA" and image.getchannel("A").getbbox() is None:
        image = image.convert("RGB")  # many programs leave the fourth byte empty
    picture, view = _canvas(image.height, image.width, orientation)
    step = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, step):
        strip = image.crop((0, top, image.width, min(top + step, image.height)))
        if strip.has_transparency_data:
            strip = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
        view[top : top + step] = np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))
    return picture


def _gray(image: Image.Image, name: str) -> Picture:
    """The samples (H, W) of a decoded grey image of more than 8 bits."""
    samples = deep.gray(image)
    known = samples
    transparent = image.info.get("transparency")  # a PNG file's one value
    if transparent is not None and (samples != transparent).any():
        known = samples[samples != transparent][:, None]
    levels = Levels.of(reduced(known))
    levels.report(name)
    picture = levels.eight_bits(samples)
    # Pillow turns this kind of grey to black on white itself only where it has 8 bits.
    if isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == 0:
        picture = ~picture
    if transparent is not None:
        picture[samples == transparent] = 255
    return picture


def _turned(picture: Picture, orientation: int) -> Picture:
    """An image (H, W, 1 or 3), upright and with three channels."""
    upright, view = _canvas(picture.shape[0], picture.shape[1], orientation)
    view[...] = picture
    return upright


def _canvas(height: int, width: int, orientation: int) -> tuple[Picture, npt.NDArray[Any]]:
    """An upright image, and a view (height, width, 3) of it as a file of this EXIF orientation stores it."""
    turned = orientation in (5, 6, 7, 8)
    picture = np.empty((width, height, 3) if turned else (height, width, 3), np.uint8)
    stored: npt.NDArray[Any] = picture.swapaxes(0, 1) if orientation in (5, 7) else picture
    if orientation in (6, 8):
        stored = np.rot90(picture, 1 if orientation == 6 else -1)
    rows, columns = (-1 if orientation in kinds else 1 for kinds in ((3, 4, 7), (2, 3, 7)))
    return picture, stored[::rows, ::columns]
