"""Read samples of more than 8 bits through Pillow, which keeps only one byte per colour.

A 16-bit colour image is decoded twice, to its high and to its low bytes.
"""

import sys

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from crowdpoint.levels import Levels, Samples, subsample

BITS, SAMPLE_FORMAT = 258, 339
"""TIFF tags BitsPerSample and SampleFormat (1: unsigned integer)."""

_NATIVE, _OTHER = ("L", "B") if sys.byteorder == "little" else ("B", "L")
_SWAPPED = {"B": "L", "L": "B", "N": _OTHER}
_SWAPPABLE = ("RGB;16", "RGBA;16", "RGBX;16", "R;16", "G;16", "B;16", "A;16")


def is_deep_color(image: ImageFile) -> bool:
    """Check whether an opened image has 16-bit colours, which `combine_colors` reads."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    bits = image.tag_v2.get(BITS) if isinstance(image, TiffImageFile) else None
    return 16 in (bits or ()) or any(_find_raw_mode(tile.args).startswith(_SWAPPABLE) for tile in image.tile)


def keep(image: ImageFile, *, low: bool) -> None:
    """Make Pillow decode either the high or the low bytes of the colours of an image not yet decoded.

    Does nothing for layouts that Pillow can unpack in one way only, such as planes of compressed TIFF files.
    """
    order = "B" if isinstance(image, TiffImageFile) and image.tag_v2.prefix == b"MM" else "L"
    tiles = []
    for tile in image.tile:
        mode = _find_raw_mode(tile.args)
        if mode in ("R", "G", "B", "A"):  # a plane, which Pillow would read as 8-bit
            mode = f"{mode};16{order}"
        if low and mode.startswith(_SWAPPABLE):
            mode = mode[:-1] + _SWAPPED[mode[-1]]
        args = (mode, *tile.args[1:]) if isinstance(tile.args, tuple) else mode
        tiles.append(tile._replace(args=args))
    image.tile = tiles


def combine_colors(high: Image.Image, low: Image.Image, name: str) -> Samples:
    """Combine the high and low bytes of an image to 16-bit colours, and map them to 8 bits.

    Returns:
        (H, W, 3) uint8 RGB, composited over white.
    """
    samples = np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)
    alpha = samples[..., 3:] >> 8
    samples = samples[..., :3]
    levels = Levels.estimate(subsample(samples))
    levels.report(name)
    picture = levels.to_uint8(samples)
    if alpha.size:
        opaque: Samples = (picture * alpha + 255 * (255 - alpha) + 127) // 255
        return opaque.astype(np.uint8)
    transparent = high.info.get("transparency")  # the one transparent colour of a PNG file
    if transparent is not None:
        picture[(samples == transparent).all(axis=2)] = 255
    return picture


def read_gray(image: Image.Image) -> Samples:
    """Return the samples (H, W) of a decoded grey image, with the signedness of the file."""
    samples: Samples = np.asarray(image)
    if samples.dtype == np.int32 and isinstance(image, TiffImageFile):
        unsigned = image.tag_v2.get(SAMPLE_FORMAT, (1,))[0] == 1
        if unsigned and 32 in image.tag_v2.get(BITS, ()):
            samples = samples.astype(np.uint32)  # Pillow has only signed 32-bit integers
    return samples


def _find_raw_mode(args: object) -> str:
    return str(args[0] if isinstance(args, tuple) and args else args)
