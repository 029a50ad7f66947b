"""Samples of more than 8 bits from Pillow, which keeps one byte of each colour."""

import sys

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from crowdpoint.levels import Levels, Samples, reduced

BITS, SAMPLE_FORMAT = 258, 339
"""Tags of a TIFF file: the bits of each sample, and 1 for unsigned integers."""

_NATIVE, _OTHER = ("L", "B") if sys.byteorder == "little" else ("B", "L")
_SWAPPED = {"B": "L", "L": "B", "N": _OTHER}
_SWAPPABLE = ("RGB;16", "RGBA;16", "RGBX;16", "R;16", "G;16", "B;16", "A;16")


def is_deep_color(image: ImageFile) -> bool:
    """Whether an opened image has colours of 16 bits, which `colors` reads."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    bits = image.tag_v2.get(BITS) if isinstance(image, TiffImageFile) else None
    return 16 in (bits or ()) or any(";16" in _raw_mode(tile.args) for tile in image.tile)


def keep(image: ImageFile, *, low: bool) -> None:
    """Makes Pillow keep the high or the low bytes of the colours of an image that is not yet decoded.

    The kinds that it unpacks in one way alone, planes in a compressed TIFF file among them, stay as they are.
    """
    order = "B" if isinstance(image, TiffImageFile) and image.tag_v2.prefix == b"MM" else "L"
    tiles = []
    for tile in image.tile:
        mode = _raw_mode(tile.args)
        if mode in ("R", "G", "B", "A"):  # a plane, which Pillow takes for one of 8 bits
            mode = f"{mode};16{order}"
        if low and mode.startswith(_SWAPPABLE):
            mode = mode[:-1] + _SWAPPED[mode[-1]]
        args = (mode, *tile.args[1:]) if isinstance(tile.args, tuple) else mode
        tiles.append(tile._replace(args=args))
    image.tile = tiles


def colors(high: Image.Image, low: Image.Image, name: str) -> Samples:
    """Colours of 16 bits by their high and low bytes: (H, W, 3) uint8 RGB, over white where transparent.

    Args:
        high: the image, decoded to the high bytes.
        low: the image, decoded to the low bytes.
        name: the image's, for the log.
    """
    samples = np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)
    alpha = samples[..., 3:] >> 8
    samples = samples[..., :3]
    levels = Levels.of(reduced(samples))
    levels.report(name)
    picture = levels.eight_bits(samples)
    if alpha.size:
        opaque: Samples = (picture * alpha + 255 * (255 - alpha) + 127) // 255
        return opaque.astype(np.uint8)
    transparent = high.info.get("transparency")  # a PNG file's one colour
    if transparent is not None:
        picture[(samples == transparent).all(axis=2)] = 255
    return picture


def gray(image: Image.Image) -> Samples:
    """The samples (H, W) of a decoded grey image, signed and unsigned as the file says."""
    samples: Samples = np.asarray(image)
    if samples.dtype == np.int32 and isinstance(image, TiffImageFile):
        unsigned = image.tag_v2.get(SAMPLE_FORMAT, (1,))[0] == 1
        if unsigned and 32 in image.tag_v2.get(BITS, ()):
            samples = samples.astype(np.uint32)  # Pillow knows signed ones alone
    return samples


def _raw_mode(args: object) -> str:
    """The layout of the samples in a tile's arguments."""
    return str(args[0] if isinstance(args, tuple) and args else args)
