"""Draw named areas, such as zones, and counting lines, each with a label with counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from crowdpoint.draw.fixed import SHIFT, to_fixed_point
from crowdpoint.draw.text import DARK, choose_text_size, write_label
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
    for area in areas:
        density = "" if area.per_m2 is None else f"  {area.per_m2:.2f}/m2"
        visits = "" if area.visits is None else f"  ({area.visits[0]}, {area.visits[1]:.0f} s)"
        text = f"{area.name}  {area.people:,}{density}{visits}"
        corners = np.array(area.outline, np.float64)
        anchor = np.array((corners[:, 0].mean(), corners[:, 1].min() - choose_text_size(picture) // 4))
        write_label(picture, text, anchor, np.array((0, -1.0)), _ALARM if area.alarm else DARK)


@dataclass(frozen=True, slots=True)
class CountingLine:
    """A line and the number of people who crossed it.

    Attributes:
        line: end points (x, y) in pixels.
        name: first part of the label.
        inward: people who crossed to the left, seen from the first end point to the second.
        outward: people who crossed to the right.
    """

    line: tuple[tuple[float, float], tuple[float, float]]
    name: str
    inward: int
    outward: int


def draw_lines(picture: Picture, lines: Sequence[CountingLine]) -> None:
    """Draw every line with its arrow and label into an image (H, W, 3), in place."""
    height, width, _ = picture.shape
    thickness = max(1, round(min(width, height) / 240))
    size = choose_text_size(picture)
    for counting_line in lines:
        ends = np.array(counting_line.line, np.float64)
        along = ends[1] - ends[0]
        middle = ends.mean(axis=0)
        left = np.array((along[1], -along[0])) / np.hypot(*along)
        tip = middle + 2.5 * size * left
        first, last, foot, head = to_fixed_point((*ends, middle, tip)).tolist()
        cv2.line(picture, first, last, _CALM, thickness, cv2.LINE_AA, SHIFT)
        cv2.arrowedLine(picture, foot, head, _CALM, thickness, cv2.LINE_AA, SHIFT, 0.35)
        text = f"{counting_line.name}  {counting_line.inward} in, {counting_line.outward} out"
        write_label(picture, text, middle - size * left, -left)
