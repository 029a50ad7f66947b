"""Draw named areas, such as zones: a tint, an outline and a label with counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import ImageFont

from crowdpoint.draw.fixed import SHIFT, to_fixed_point
from crowdpoint.draw.text import DARK, darken, write
from crowdpoint.points import Picture

_CALM, _ALARM = (255, 190, 40), (255, 62, 62)


@dataclass(frozen=True, slots=True)
class Area:
    """An area of an image and its number of people.

    Attributes:
        outline: corners (x, y) in pixels, in order.
        name: first part of the label.
        people: number of people.
        per_m2: people per square metre; None if unknown.
        alarm: draw in the alert colour.
        visits: number of distinct people and their mean stay in seconds; None without tracking.
    """

    outline: Sequence[tuple[float, float]]
    name: str
    people: int
    per_m2: float | None = None
    alarm: bool = False
    visits: tuple[int, float] | None = None


def tint(picture: Picture, areas: Sequence[Area]) -> None:
    """Tint and outline every area, in place."""
    height, width, _ = picture.shape
    thickness = max(1, round(min(width, height) / 300))
    for area in areas:
        color = _ALARM if area.alarm else _CALM
        corners = to_fixed_point(area.outline)
        filled = picture.copy()
        cv2.fillPoly(filled, [corners], color, cv2.LINE_AA, SHIFT)
        cv2.addWeighted(filled, 0.18, picture, 0.82, 0, dst=picture)
        cv2.polylines(picture, [corners], True, color, thickness, cv2.LINE_AA, SHIFT)


def label(picture: Picture, areas: Sequence[Area]) -> None:
    """Write the label of every area just above it, in place."""
    font = ImageFont.load_default(choose_text_size(picture))
    for area in areas:
        density = "" if area.per_m2 is None else f"  {area.per_m2:.2f}/m2"  # Pillow's default font has no ²
        visits = "" if area.visits is None else f"  ({area.visits[0]}, {area.visits[1]:.0f} s)"
        text = f"{area.name}  {area.people:,}{density}{visits}"
        left, top, right, bottom = font.getbbox(text)
        pad = choose_text_size(picture) // 2
        width, height = int(right - left) + 2 * pad, int(bottom - top) + 2 * pad
        corners = np.array(area.outline)
        x = int(corners[:, 0].mean() - width / 2)
        y = int(corners[:, 1].min()) - height - pad // 2
        x = min(max(x, 0), picture.shape[1] - width)
        y = min(max(y, 0), picture.shape[0] - height)
        if x < 0 or y < 0:
            continue  # the image is too small for the label
        window = picture[y : y + height, x : x + width]
        darken(window, _ALARM if area.alarm else DARK)
        write(window, [((pad - left, pad - top), text)], font)


def choose_text_size(picture: Picture) -> int:
    """Choose the text height in pixels for an image (H, W, 3)."""
    return int(np.clip(0.024 * min(picture.shape[:2]), 11, 60))
