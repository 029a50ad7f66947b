"""Named parts of a picture, such as the zones of a video: a tint, an outline and a label with figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from crowdpoint.draw.text import DARK, darken, write

_CALM, _ALARM = (255, 190, 40), (255, 62, 62)
_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws at


@dataclass(frozen=True, slots=True)
class Area:
    """A part of a picture, and how many people are in it.

    Attributes:
        outline: corners (x, y) in pixels of the picture, in order.
        name: what its label begins with.
        people: how many there are; a median may lie between two numbers.
        per_m2: people per square metre, None where that is not known.
        alarm: whether it is drawn in the colour of alarms.
        visits: how many different people have been there and the mean seconds that each has spent there, None
            where people are not followed.
    """

    outline: Sequence[tuple[float, float]]
    name: str
    people: float
    per_m2: float | None = None
    alarm: bool = False
    visits: tuple[int, float] | None = None


def tint(picture: npt.NDArray[np.uint8], areas: Sequence[Area]) -> None:
    """Draws a tint inside of every area and a line around it, into the picture (H, W, 3)."""
    height, width, _ = picture.shape
    thickness = max(1, round(min(width, height) / 300))
    for area in areas:
        color = _ALARM if area.alarm else _CALM
        corner_to_center = 0.5  # OpenCV's origin is the centre of the first pixel
        corners = np.rint((np.array(area.outline) - corner_to_center) * (1 << _SHIFT)).astype(np.int32)
        filled = picture.copy()
        cv2.fillPoly(filled, [corners], color, cv2.LINE_AA, _SHIFT)
        cv2.addWeighted(filled, 0.18, picture, 0.82, 0, dst=picture)
        cv2.polylines(picture, [corners], True, color, thickness, cv2.LINE_AA, _SHIFT)


def label(picture: npt.NDArray[np.uint8], areas: Sequence[Area]) -> None:
    """Writes the name and the figures of every area just above it, where there is room, into the picture."""
    from PIL import ImageFont

    font = ImageFont.load_default(text_size(picture))
    for area in areas:
        density = "" if area.per_m2 is None else f"  {area.per_m2:.2f}/m2"  # Pillow's own font has no ²
        visits = "" if area.visits is None else f"  ({area.visits[0]}, {area.visits[1]:.0f} s)"
        text = f"{area.name}  {area.people:g}{density}{visits}"
        left, top, right, bottom = font.getbbox(text)
        pad = text_size(picture) // 2
        width, height = int(right - left) + 2 * pad, int(bottom - top) + 2 * pad
        corners = np.array(area.outline)
        x = int(corners[:, 0].mean() - width / 2)
        y = int(corners[:, 1].min()) - height - pad // 2
        x = min(max(x, 0), picture.shape[1] - width)
        y = min(max(y, 0), picture.shape[0] - height)
        if x < 0 or y < 0:
            continue  # the picture is too small for it
        window = picture[y : y + height, x : x + width]
        darken(window, _ALARM if area.alarm else DARK)
        write(window, [((pad - left, pad - top), text)], font)


def text_size(picture: npt.NDArray[np.uint8]) -> int:
    """Height in pixels of the text that goes with a picture (H, W, 3)."""
    return int(np.clip(0.024 * min(picture.shape[:2]), 11, 60))
