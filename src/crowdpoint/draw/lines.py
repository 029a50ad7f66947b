"""Draw counting lines, with an arrow in the `in` direction and a label with both counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from crowdpoint.draw.fixed import SHIFT, to_fixed_point
from crowdpoint.draw.text import choose_text_size, write_label
from crowdpoint.points import Picture

_COLOR = (255, 190, 40)


@dataclass(frozen=True, slots=True)
class CountingLine:
    """A line and the number of people who crossed it.

    Attributes:
        line: end points (x, y) in pixels.
        name: first part of the label.
        inward: people who crossed to the left, looking from the first end point to the second.
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
        cv2.line(picture, first, last, _COLOR, thickness, cv2.LINE_AA, SHIFT)
        cv2.arrowedLine(picture, foot, head, _COLOR, thickness, cv2.LINE_AA, SHIFT, 0.35)
        text = f"{counting_line.name}  {counting_line.inward} in, {counting_line.outward} out"
        write_label(picture, text, middle - size * left, -left)
