"""Detect the format of an image file by its first bytes, never by its name."""

import io
from collections.abc import Callable
from typing import IO

from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile, jpeg_factory
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from crowdpoint.errors import ImageError, MissingExtraError, requires

Opener = Callable[[IO[bytes]], ImageFile]

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF files; the last two are BigTIFF."""

JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"
"""First bytes of JPEG 2000 files that consist of boxes."""

JPEG_2000 = (JP2, b"\xff\x4f\xff\x51")
"""First bytes of JPEG 2000 files and bare codestreams."""

KINDS = "JPEG, PNG, WebP, BMP, GIF, TIFF, JPEG 2000, AVIF or HEIC image"

_OPENERS: dict[bytes, Opener] = {
    b"\xff\xd8\xff": jpeg_factory,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"RIFF": WebPImageFile,
    b"BM": BmpImageFile,
    b"GIF87a": GifImageFile,
    b"GIF89a": GifImageFile,
    **dict.fromkeys(TIFF, TiffImageFile),
    **dict.fromkeys(JPEG_2000, Jpeg2KImageFile),
}
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")

_PIXELS_PER_BYTE: dict[type[ImageFile], int] = {
    JpegImageFile: 512,  # at least one bit per 8 x 8 block
    PngImageFile: 8 * 1032,  # one bit per pixel, at Deflate's maximum compression ratio
}

EMPTY_PIXELS = 1 << 26
"""Pixels always accepted, whatever the file size, in formats that store blank images in a few bytes."""

FULL_PIXELS_PER_BYTE = 2048
"""Limit on pixels per byte of larger images; photos have up to 10, maps and drawings up to 100."""


def opener(stream: IO[bytes], name: str) -> Opener:
    """Choose Pillow's opener for an image file.

    Args:
        stream: the file, at position 0; left there.
        name: name of the file in messages.

    Raises:
        ImageError: if the file is empty, of an unknown format, or of one whose extra is not installed.
    """
    head = stream.read(64)
    stream.seek(0)
    if not head:
        raise ImageError(f"{name}: the file is empty")
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, len(head), 4))}
        if head[8:12] in _AVIF_BRANDS or (head[8:12] in _HEIF_BRANDS and brands & set(_AVIF_BRANDS)):
            return AvifImageFile
        if head[8:12] in _HEIF_BRANDS:
            return _heif_opener(name)
    for magic, known in _OPENERS.items():
        if head.startswith(magic):
            return known
    raise ImageError(f"{name}: not a {KINDS}")


def max_pixels(image: ImageFile, stream: IO[bytes]) -> int:
    """Bound the number of pixels of an image by its format and file size. Restores the stream's position."""
    before = stream.tell()
    length = stream.seek(0, io.SEEK_END)
    stream.seek(before)
    for kind, pixels in _PIXELS_PER_BYTE.items():
        if isinstance(image, kind):
            return pixels * length
    return max(EMPTY_PIXELS, FULL_PIXELS_PER_BYTE * length)


def _heif_opener(name: str) -> Opener:
    try:
        with requires(f"{name}: reading a HEIC image", "heif"):
            from pillow_heif import HeifImageFile
    except MissingExtraError as error:  # an ImageError fails this image only, not the run
        raise ImageError(str(error)) from error
    opener: Opener = HeifImageFile
    return opener
