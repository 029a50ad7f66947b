"""Write text on images, on a darkened background that keeps it legible."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crowdpoint.points import Picture

Color = tuple[int, int, int]
"""Red, green, blue in [0, 255]."""

DARK: Color = (8, 24, 40)
"""Background colour of text."""

LIGHT = (255, 255, 255)
"""Text colour."""


def darken(window: Picture, color: Color = DARK) -> None:
    """Blend a window (H, W, 3) with a colour, in place."""
    window[:] = np.rint(window * 0.3 + np.array(color) * 0.7)


def write(
    window: Picture,
    texts: Sequence[tuple[tuple[float, float], str]],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Write texts at (x, y) pixels of a window (H, W, 3), in place."""
    image = Image.fromarray(np.ascontiguousarray(window))
    pen = ImageDraw.Draw(image)
    for position, text in texts:
        pen.text(position, text, LIGHT, font)
    window[:] = np.asarray(image)
