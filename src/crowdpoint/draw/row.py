"""Arrange captioned pictures side by side on white, as in figures of papers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crowdpoint.images import scaled_size
from crowdpoint.points import FloatArray, Picture

SIDE = 1024
"""Maximum longer side of a cell's picture in pixels; larger ones are shrunk."""

LEAST_SIDE = 480
"""Minimum longer side in pixels; smaller pictures are enlarged to keep marks and captions legible."""

Colors = Literal["inferno", "plasma"]
_COLORMAPS = {"inferno": cv2.COLORMAP_INFERNO, "plasma": cv2.COLORMAP_PLASMA}
_NAME = (92, 102, 114)
_VALUE = (16, 24, 36)


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture (H, W, 3) of a row, with the left and the right part of its caption, `name` and `value`."""

    picture: Picture
    name: str
    value: str = ""
    scale: Colors | None = None
    """Colour map whose scale from 0 to 1 replaces `value`."""


def compute_cell_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """Compute the (width, height) in pixels of the cell of an image of `image_size` (width, height)."""
    longest = max(image_size)
    factor = min(max(longest, LEAST_SIDE), SIDE) / longest
    return scaled_size(image_size, factor)


def apply_colors(levels: FloatArray, colors: Colors) -> Picture:
    """Map values (H, W), clipped to [0, 1], to colours (H, W, 3)."""
    # Use a lookup table, because OpenCV crashes on empty arrays.
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], _COLORMAPS[colors])[0, :, ::-1]
    return np.asarray(table, np.uint8)[np.rint(255 * np.clip(levels, 0, 1)).astype(np.uint8)]


def build_row(cells: Sequence[Cell]) -> Picture:
    """Arrange cells from left to right in one picture (H, W, 3).

    A cell is as wide as its picture or its caption. The text size grows with the pictures.
    """
    longest = max(max(cell.picture.shape[:2]) for cell in cells)
    size = int(np.clip(0.055 * longest, 18, 56))
    font = ImageFont.load_default(size)
    gap = int(0.8 * size)
    values = [_draw_value(cell, font, size) for cell in cells]
    widths = [
        max(cell.picture.shape[1], math.ceil(font.getlength(cell.name)) + gap + value.width)
        for cell, value in zip(cells, values, strict=True)
    ]
    height = max(cell.picture.shape[0] for cell in cells)
    page = Image.new("RGB", (sum(widths) + gap * (len(cells) + 1), height + 2 * gap + 2 * size), "white")
    pen = ImageDraw.Draw(page)
    left, middle = gap, height + gap + size
    for cell, value, width in zip(cells, values, widths, strict=True):
        tall, wide, _ = cell.picture.shape
        page.paste(Image.fromarray(cell.picture), (left + (width - wide) // 2, gap + (height - tall) // 2))
        pen.text((left, middle), cell.name, _NAME, font, anchor="lm")
        page.paste(value, (left + width - value.width, middle - value.height // 2))
        left += width + gap
    return np.array(page)


def _draw_value(cell: Cell, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, size: int) -> Image.Image:
    """Draw the right part of a caption on white: the value, or the colour scale."""
    if cell.scale is None:
        written = Image.new("RGB", (math.ceil(font.getlength(cell.value)), 2 * size), "white")
        ImageDraw.Draw(written).text((0, size), cell.value, _VALUE, font, anchor="lm")
        return written
    digit = math.ceil(font.getlength("0")) + size // 4
    bar = np.tile(np.linspace(0, 1, 4 * size, dtype=np.float32), (size // 2, 1))
    written = Image.new("RGB", (4 * size + 2 * digit, 2 * size), "white")
    written.paste(Image.fromarray(apply_colors(bar, cell.scale)), (digit, size - size // 4))
    pen = ImageDraw.Draw(written)
    pen.text((0, size), "0", _VALUE, font, anchor="lm")
    pen.text((written.width, size), "1", _VALUE, font, anchor="rm")
    return written
