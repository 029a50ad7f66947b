"""Decode image files to upright RGB arrays.

Pillow decodes. Every colour mode, bit depth and EXIF orientation becomes (H, W, 3) uint8.
"""

import io
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from crowdpoint import containers, deep, folders, memory
from crowdpoint.errors import ImageError, ImageTooLargeError
from crowdpoint.levels import Levels, subsample
from crowdpoint.points import Picture

PIXEL_LIMIT = 1_000_000_000
"""Default limit on pixels per image; `rasters` has its own limit."""

PIXEL_BYTES = 8
"""Memory per pixel during decoding, in bytes: 4 for Pillow, 3 for the array, plus overhead."""

_STRIP_PIXELS = 1 << 20
_pillow_lock = threading.RLock()

PHOTOMETRIC = 262
"""TIFF tag PhotometricInterpretation; 0 means that white is zero."""

_SUBFILE = 254
"""TIFF tag NewSubfileType; bit 0 means a smaller version of another picture in the file."""

Sample = TypeVar("Sample", np.uint8, np.float32)


def read(source: str | Path | bytes, *, pixel_limit: int = PIXEL_LIMIT) -> Picture:
    """Decode the first frame of a JPEG, PNG, WebP, BMP, GIF, TIFF, JPEG 2000, AVIF or HEIC file.

    Grey images become three equal channels, transparency is composited over white, and CMYK is converted
    without its colour profile. `levels.Levels` maps samples of more than 8 bits to 8 bits.

    Args:
        source: path or contents of a file.
        pixel_limit: maximum number of pixels; checked on the header, before memory is allocated.

    Returns:
        (H, W, 3) uint8, RGB, upright by the EXIF orientation, writable and contiguous.

    Raises:
        ImageError: if the file is missing, empty, truncated, too large or not an image.
    """
    with _open(source, pixel_limit) as (image, orientation, name):
        if deep.is_deep_color(image):
            with _open(source, pixel_limit) as (twin, _, _):
                return _rotate_upright(_load_colors(image, twin, name), orientation)
        _load(image)
        return _to_pixels(image, orientation, name)


def from_pillow(image: Image.Image) -> Picture:
    """Convert a PIL image to the array that `read` returns for its file, or for the frame that it shows.

    Pass it as `Image.open` returns it: once decoded, it has only one byte of each 16-bit colour, and a copy
    does not know which values are white or transparent in its file.

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
        if isinstance(image, ImageFile) and image.tile and deep.is_deep_color(image):
            return _read_colors(image)
        image.load()
        return _to_pixels(image, _find_orientation(image), "image")
    except Exception as error:  # broken files make decoders raise anything from EOFError to ZeroDivisionError
        raise ImageError(f"image: cannot decode this PIL image: {error}") from error


def read_size(source: str | Path | bytes) -> tuple[int, int]:
    """Read the header and return the (width, height) in pixels of the array that `read` returns.

    Raises:
        ImageError: if the file is missing, empty or not an image.
    """
    with _open(source, None) as (image, orientation, _):
        return (image.height, image.width) if orientation in (5, 6, 7, 8) else (image.width, image.height)


def scaled_size(size: tuple[int, int], factor: float = 1.0, max_side: int | None = None) -> tuple[int, int]:
    """Scale (width, height) by a factor, or by less so that neither exceeds `max_side`.

    >>> scaled_size((4000, 3000), max_side=1024), scaled_size((640, 480), 0.5, max_side=1024)
    ((1024, 768), (320, 240))
    """
    factor = min(factor, (max_side or float("inf")) / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def resize(
    image: npt.NDArray[Sample], size: tuple[int, int], enlarge: Literal["cubic", "linear"] = "cubic"
) -> npt.NDArray[Sample]:
    """Resize an image (H, W, 3) or map (H, W) to `size` (width, height), unless it has that size.

    Averages areas to shrink, and interpolates as `enlarge` says otherwise.
    """
    height, width = image.shape[:2]
    if size == (width, height):
        return image
    import cv2

    method = cv2.INTER_CUBIC if enlarge == "cubic" else cv2.INTER_LINEAR
    if size[0] < width or size[1] < height:
        method = cv2.INTER_AREA
    resized = cv2.resize(image, size, interpolation=method)
    return resized.astype(image.dtype, copy=False)


def check_pixels(image: object) -> None:
    """Check that an image is an array (H, W, 3) of uint8, else raise an ImageError."""
    if not isinstance(image, np.ndarray):
        raise ImageError(
            "image: expected an array (H, W, 3) of uint8, as images.read and images.from_pillow return, "
            f"found {type(image).__name__}"
        )
    if image.dtype != np.uint8:
        raise ImageError(f"image: expected uint8 values in [0, 255], found an array of {image.dtype}")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ImageError(f"image: expected an RGB array of shape (H, W, 3), found {image.shape}")


def check_memory(name: str, size: tuple[int, int], copies: int = 1) -> None:
    """Check that the memory to decode an image of (width, height), `copies` times at once, is free.

    Raises:
        ImageTooLargeError: if it is not; names the file.
    """
    width, height = size
    needed = width * height * PIXEL_BYTES * copies
    free = memory.get_available()
    if free is not None and needed > free:
        raise ImageTooLargeError(
            f"{name}: decoding {width} x {height} pixels takes {needed / 1e9:.1f} GB of memory, "
            f"{free / 1e9:.1f} GB is free"
        )


@contextmanager
def _open(source: str | Path | bytes, pixel_limit: int | None) -> Iterator[tuple[ImageFile, int, str]]:
    """Open an image and yield it, not yet decoded, with its EXIF orientation and its name in messages.

    Converts every error, including those raised inside the context, to ImageError.
    """
    name = "image bytes" if isinstance(source, bytes) else str(source)
    if not isinstance(source, bytes) and folders.is_special(Path(source)):
        raise ImageError(f"{name}: expected an image file, found a pipe or a device")
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as stream:
            opener = containers.choose_opener(stream, name)
            # Image.open would check sizes against a limit that is global to the process. Some openers check
            # it, too, before they allocate memory, and refuse more than twice the limit.
            with _set_pillow_limit(pixel_limit and (pixel_limit + 1) // 2):
                image = opener(stream)
            if pixel_limit is not None:
                _check_size(image, stream, name, pixel_limit)
            if isinstance(image, TiffImageFile) and image.tag_v2.get(_SUBFILE, 0) & 1:
                raise ImageError(
                    f"{name}: begins with a preview, as the raw file of a camera does; convert it to JPEG"
                )
            yield image, _read_orientation(image, stream), name
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(f"{name}: {error}; {_describe_limit(pixel_limit)}") from error
    except MemoryError as error:
        raise ImageTooLargeError(f"{name}: out of memory; use a smaller image") from error
    except Exception as error:  # broken files make decoders raise anything from EOFError to ZeroDivisionError
        raise ImageError(f"{name}: cannot be read as an image: {_describe_reason(error)}") from error


def _describe_reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if "unknown pixel mode" in str(error):
        return "it is damaged, or a kind of TIFF file that needs crowdpoint[geo]"
    return f"it may be truncated ({error})"


def _describe_limit(pixel_limit: int | None) -> str:
    return (
        f"the limit is {pixel_limit} pixels; pass a higher pixel_limit, "
        "or install crowdpoint[geo] to read TIFF files window by window"
    )


def _check_size(image: ImageFile, stream: IO[bytes], name: str, pixel_limit: int) -> None:
    """Refuse an image whose header claims more pixels than the limit, the memory or its file size allows."""
    pixels = image.width * image.height
    size = f"{image.width} x {image.height} pixels"
    if pixels > pixel_limit:
        raise ImageTooLargeError(f"{name}: {size}; {_describe_limit(pixel_limit)}")
    most = containers.max_pixels(image, stream)
    if pixels > most:
        raise ImageError(
            f"{name}: cannot be read as an image: its header claims {size}, but its bytes hold at most "
            f"{most}; it is truncated or damaged"
        )
    # Deep colours are decoded twice; WebP decodes into a canvas first.
    twice = deep.is_deep_color(image) or isinstance(image, WebPImageFile)
    check_memory(name, image.size, 2 if twice else 1)


@contextmanager
def _set_pillow_limit(pixels: int | None) -> Iterator[None]:
    """Set Pillow's global pixel limit, and restore the host program's value afterwards."""
    with _pillow_lock:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _load(image: ImageFile) -> None:
    # Pillow checks TIFF files against its own limit again when it loads them.
    with _set_pillow_limit(None) if isinstance(image, TiffImageFile) else nullcontext():
        image.load()


def _load_colors(high: ImageFile, low: ImageFile, name: str) -> Picture:
    """Decode 16-bit colours from two openings of a file."""
    for image in (high, low):
        deep.keep(image, low=image is low)
        _load(image)
    return deep.combine_colors(high, low, name)


def _read_colors(image: ImageFile) -> Picture:
    """Read the current frame of a PIL image of 16-bit colours, which stays as it is, not decoded."""
    stream = image.fp
    if stream is None:
        raise ValueError("its file is closed")
    before = stream.tell()
    stream.seek(0)
    content = stream.read()
    stream.seek(before)
    with _open(content, None) as (high, orientation, _), _open(content, None) as (low, _, _):
        high.seek(image.tell())
        low.seek(image.tell())
        return _rotate_upright(_load_colors(high, low, "image"), orientation)


def _read_orientation(image: ImageFile, stream: IO[bytes]) -> int:
    """Return the EXIF orientation still to apply, 1 to 8; 1 if none or if EXIF is damaged."""
    if isinstance(image, TiffImageFile):
        return 1  # Pillow rotates TIFF files itself
    if isinstance(image, PngImageFile) and "exif" not in image.info:
        image.info["exif"] = _read_png_exif(stream)
    return _find_orientation(image)


def _find_orientation(image: Image.Image) -> int:
    try:
        # PngImageFile.getexif would decode the whole image.
        return int(Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged EXIF block raises anything, but the pixels are still good
        return 1


def _read_png_exif(stream: IO[bytes]) -> bytes | None:
    """Find the eXIf chunk, which may follow the pixel data. Restores the stream's position."""
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


def _to_pixels(image: Image.Image, orientation: int, name: str) -> Picture:
    """Convert a decoded image of any mode but 16-bit colour to upright RGB (H, W, 3)."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _rotate_upright(_to_gray(image, name)[..., None], orientation)
    return _to_rgb(image, orientation)


def _to_rgb(image: Image.Image, orientation: int) -> Picture:
    """Convert a decoded 8-bit image strip by strip, which keeps at most two copies in memory."""
    if isinstance(image, BmpImageFile) and image.mode == "RGBA" and image.getchannel("A").getbbox() is None:
        image = image.convert("RGB")  # many programs leave the fourth byte empty
    picture, view = _allocate_canvas(image.height, image.width, orientation)
    step = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, step):
        strip = image.crop((0, top, image.width, min(top + step, image.height)))
        if strip.has_transparency_data:
            strip = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
        view[top : top + step] = np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))
    return picture


def _to_gray(image: Image.Image, name: str) -> Picture:
    """Convert a decoded grey image of more than 8 bits to uint8 (H, W)."""
    samples = deep.read_gray(image)
    opaque = samples
    transparent = image.info.get("transparency")  # the one transparent value of a PNG file
    if transparent is not None and (samples != transparent).any():
        opaque = samples[samples != transparent][:, None]
    levels = Levels.estimate(subsample(opaque))
    levels.report(name)
    picture = levels.to_uint8(samples)
    # Pillow inverts white-is-zero images itself only if they have 8 bits.
    if isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == 0:
        picture = ~picture
    if transparent is not None:
        picture[samples == transparent] = 255
    return picture


def _rotate_upright(picture: Picture, orientation: int) -> Picture:
    """Apply the EXIF orientation to an image (H, W, 1 or 3) and return RGB (H', W', 3)."""
    upright, view = _allocate_canvas(picture.shape[0], picture.shape[1], orientation)
    view[...] = picture
    return upright


def _allocate_canvas(height: int, width: int, orientation: int) -> tuple[Picture, npt.NDArray[Any]]:
    """Allocate an upright image and a view (height, width, 3) of it in the file's orientation."""
    transposed = orientation in (5, 6, 7, 8)
    picture = np.empty((width, height, 3) if transposed else (height, width, 3), np.uint8)
    stored: npt.NDArray[Any] = picture.swapaxes(0, 1) if orientation in (5, 7) else picture
    if orientation in (6, 8):
        stored = np.rot90(picture, 1 if orientation == 6 else -1)
    rows, columns = (-1 if orientation in kinds else 1 for kinds in ((3, 4, 7), (2, 3, 7)))
    return picture, stored[::rows, ::columns]
