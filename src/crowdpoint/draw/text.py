"""Write text on images, on a darkened background that keeps it legible."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

DARK = (8, 24, 40)
"""Background colour of text."""

LIGHT = (255, 255, 255)
"""Text colour."""


def darken(window: npt.NDArray[np.uint8], color: tuple[int, int, int] = DARK) -> None:
    """Blend a window (H, W, 3) with a colour, in place."""
    window[:] = np.rint(window * 0.3 + np.array(color) * 0.7)


def write(
    window: npt.NDArray[np.uint8],
    texts: Sequence[tuple[tuple[float, float], str]],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Write texts at (x, y) pixels of a window (H, W, 3), in place."""
    image = Image.fromarray(np.ascontiguousarray(window))
    pen = ImageDraw.Draw(image)
    for position, text in texts:
        pen.text(position, text, LIGHT, font)
    window[:] = np.asarray(image)
