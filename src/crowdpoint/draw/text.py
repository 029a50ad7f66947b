"""Write text on images, on a darkened background that keeps it legible."""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crowdpoint.points import DoubleArray, Picture

Color = tuple[int, int, int]
"""Red, green, blue in [0, 255]."""

DARK: Color = (8, 24, 40)
"""Background colour of text."""

LIGHT = (255, 255, 255)
"""Text colour."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_SYSTEM_FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf"),
    *("NotoSansCJK-Regular.ttc", "NotoSansArabic-Regular.ttf", "NotoSansDevanagari-Regular.ttf"),
    *("arial.ttf", "msyh.ttc", "malgun.ttf", "Nirmala.ttf"),
    *("Arial Unicode.ttf", "PingFang.ttc"),
)
"""Fonts of Linux, Windows and macOS for letters that Pillow's own font lacks, which has ASCII alone."""


def choose_text_size(picture: Picture) -> int:
    """Choose the text height in pixels for an image (H, W, 3)."""
    return int(np.clip(0.024 * min(picture.shape[:2]), 11, 60))


def write_label(
    picture: Picture, text: str, anchor: DoubleArray, away: DoubleArray, color: Color = DARK
) -> None:
    """Write text on a background into an image (H, W, 3), in place, unless the image is too small.

    The background is centred half its height from `anchor` (x, y) along the unit vector `away`, if possible.
    """
    size = choose_text_size(picture)
    font, text = choose_font(text, size)
    left, top, right, bottom = font.getbbox(text)
    pad = size // 2
    width, height = int(right - left) + 2 * pad, int(bottom - top) + 2 * pad
    room = (picture.shape[1] - width, picture.shape[0] - height)
    if min(room) >= 0:
        place = anchor + away * height / 2 - np.array((width, height)) / 2
        x, y = np.clip(place, 0, room).astype(int).tolist()
        window = picture[y : y + height, x : x + width]
        darken(window, color)
        write(window, [((pad - left, pad - top), text)], font)


@lru_cache(maxsize=256)
def choose_font(text: str, size: int) -> tuple[Font, str]:
    """Choose a font that has all letters of a text, of this height in pixels, and return both.

    Without one on this machine, accents are dropped and other letters become question marks.
    """
    own = ImageFont.load_default(size)
    if _has_letters(own, text):
        return own, text
    for name in _SYSTEM_FONTS:
        try:
            font = ImageFont.truetype(name, size)
        except OSError:
            continue
        if _has_letters(font, text):
            return font, text
    plain = unicodedata.normalize("NFKD", text)
    letters = (letter for letter in plain if not unicodedata.combining(letter))
    return own, "".join(letter if _has_letters(own, letter) else "?" for letter in letters)


def _has_letters(font: Font, text: str) -> bool:
    missing = bytes(font.getmask("\uffff"))
    return all(letter.isspace() or bytes(font.getmask(letter)) != missing for letter in text)


def darken(window: Picture, color: Color = DARK) -> None:
    """Blend a window (H, W, 3) with a colour, in place."""
    window[:] = np.rint(window * 0.3 + np.array(color) * 0.7)


def write(
    window: Picture,
    texts: Sequence[tuple[tuple[float, float], str]],
    font: Font,
) -> None:
    """Write texts at (x, y) pixels of a window (H, W, 3), in place."""
    image = Image.fromarray(np.ascontiguousarray(window))
    pen = ImageDraw.Draw(image)
    for position, text in texts:
        pen.text(position, text, LIGHT, font)
    window[:] = np.asarray(image)
