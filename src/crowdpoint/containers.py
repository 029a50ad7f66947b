"""The kinds of image files, told by how a file begins and never by its name."""

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
"""How TIFF files begin; the last two are BigTIFF."""

JPEG_2000 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
"""How JPEG 2000 files begin, and bare codestreams."""

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
    JpegImageFile: 512,  # a bit for each block of 8 x 8
    PngImageFile: 8 * 1032,  # a bit for each pixel, and the most that Deflate can do
}

EMPTY_PIXELS = 1 << 26
"""The most pixels of a file of any length, of the kinds that hold empty pictures in a few bytes."""

FULL_PIXELS_PER_BYTE = 2048
"""The most pixels for each byte of larger ones; photos have ten at most, maps and drawings a hundred."""


def opener(stream: IO[bytes], name: str) -> Opener:
    """What opens an image file; the stream's position is its beginning, before and after.

    Args:
        stream: the file.
        name: the file's, for messages.

    Raises:
        ImageError: if the file is empty, of no known kind, or of one whose extra is not installed.
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


def most_pixels(image: ImageFile, stream: IO[bytes]) -> int:
    """The most pixels that a picture in a file of this kind and length has; the stream's position is kept."""
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
    except MissingExtraError as error:  # one image of many
        raise ImageError(str(error)) from error
    opener: Opener = HeifImageFile
    return opener
