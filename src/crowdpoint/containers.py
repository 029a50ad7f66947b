"""Detect the format of an image file by its first bytes, never by its name."""

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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

_TILE_BYTES = 14
"""Bytes of the smallest tile of a JPEG 2000 file: the markers SOT and SOD."""

_SUPERBOXES = (b"jp2h", b"res ", b"asoc", b"uinf")
"""Boxes of a JPEG 2000 file that contain others."""


def choose_opener(stream: IO[bytes], name: str) -> Opener:
    """Choose Pillow's opener for the file of this name, whose stream is at position 0 and stays there.

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
            return _find_heif_opener(name)
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
    if isinstance(image, Jpeg2KImageFile):
        most = max_jpeg_2000_pixels(stream)[1]
        stream.seek(before)
        return most
    return max(EMPTY_PIXELS, FULL_PIXELS_PER_BYTE * length)


def max_jpeg_2000_pixels(stream: IO[bytes]) -> tuple[int, int]:
    """Read the number of pixels that a JPEG 2000 file claims, and bound it by the file's size and tiles.

    Decoders allocate memory for every tile that the header claims. A damaged file, which its decoder reports,
    claims none. Moves the stream's position.
    """
    length = stream.seek(0, io.SEEK_END)
    most = max(EMPTY_PIXELS, FULL_PIXELS_PER_BYTE * length)
    stream.seek(0)
    begin = 0
    if stream.read(4) != JPEG_2000[1]:
        begin = next((box.content for box in walk_boxes(stream, length) if box.is_picture), length)
    stream.seek(begin)
    head = stream.read(40)
    if len(head) < 40 or not head.startswith(JPEG_2000[1]):
        return 0, most
    right, bottom, left, top, tile_width, tile_height = struct.unpack(">8x6I8x", head)
    width, height = right - left, bottom - top
    tile = min(tile_width, width) * min(tile_height, height)
    return width * height, min(most, tile * (length // _TILE_BYTES))


@dataclass(frozen=True, slots=True)
class Jpeg2000Box:
    """A part of a JPEG 2000 file."""

    kind: bytes
    start: int
    """Byte at which its header begins."""
    content: int
    """Byte after its header."""
    length: int
    """Claimed length in bytes, including the header."""
    depth: int
    """Number of enclosing boxes."""
    fits: bool
    """Whether its header and content end within the enclosing box, or within the file."""

    @property
    def is_picture(self) -> bool:
        """Whether it contains the codestream of the image."""
        return self.kind == b"jp2c" and not self.depth


def walk_boxes(stream: IO[bytes], length: int) -> Iterator[Jpeg2000Box]:
    """Walk the boxes of a JPEG 2000 file of this length up to its picture, each before those within it.

    Skips the rest of a parent after a box that does not fit in it. Moves the stream's position.
    """
    ends = [length]
    start = 0
    while ends:
        if start >= ends[-1]:
            start = ends.pop()
            continue
        stream.seek(start)
        header = stream.read(16)
        claimed, kind, content = int.from_bytes(header[:4]), header[4:8], start + 8
        if claimed == 1:
            claimed, content = int.from_bytes(header[8:]), start + 16
        end = start + claimed
        box = Jpeg2000Box(kind, start, content, claimed, len(ends) - 1, content <= end <= ends[-1])
        yield box
        if box.is_picture:
            return
        if not box.fits:
            start = ends.pop()
        elif kind in _SUPERBOXES:
            ends.append(end)
            start = content
        else:
            start = end


def _find_heif_opener(name: str) -> Opener:
    try:
        with requires(f"{name}: reading a HEIC image", "heif"):
            from pillow_heif import HeifImageFile
    except MissingExtraError as error:  # an ImageError fails this image only, not the run
        raise ImageError(str(error)) from error
    opener: Opener = HeifImageFile
    return opener
