"""Text on pictures, on a darkened ground that keeps it readable."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import ImageFont

DARK = (8, 24, 40)
"""What is put under text."""

LIGHT = (255, 255, 255)
"""The colour of text."""


def darken(window: npt.NDArray[np.uint8], color: tuple[int, int, int] = DARK) -> None:
    """Mixes a part of a picture (H, W, 3) with a colour, in place."""
    window[:] = np.rint(window * 0.3 + np.array(color) * 0.7)


def write(
    window: npt.NDArray[np.uint8],
    texts: Sequence[tuple[tuple[float, float], str]],
    font: "ImageFont.FreeTypeFont | ImageFont.ImageFont",
) -> None:
    """Writes texts at (x, y) pixels of a part of a picture (H, W, 3), in place."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(np.ascontiguousarray(window))
    pen = ImageDraw.Draw(image)
    for at, text in texts:
        pen.text(at, text, LIGHT, font)
    window[:] = np.asarray(image)
