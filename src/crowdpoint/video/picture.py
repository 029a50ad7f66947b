"""Draw annotated frames: numbered points, zones, lines, and a curve of the count over time."""

from collections import deque
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import ImageFont

from crowdpoint import draw
from crowdpoint.counts import Count
from crowdpoint.draw import Area, CountingLine
from crowdpoint.draw.fixed import SHIFT, to_fixed
from crowdpoint.draw.text import choose_text_size, darken, write
from crowdpoint.points import Picture, Points
from crowdpoint.zones import Zones

CURVE_SECONDS = 60.0
"""Length of the curve in seconds."""

_LINE = (0, 229, 255)


class Painter:
    """Painter of the frames of a run, with the recent counts for the curve."""

    def __init__(self, zones: Zones | None = None) -> None:
        self._zones = zones
        self._history: deque[tuple[float, int]] = deque()

    def paint(self, image: Picture, points: Points, count: Count, persons: Sequence[int] = ()) -> Picture:
        """Draw the results on a copy of a frame.

        Each point gets the number of its person, unless that is 0.
        """
        self._history.append((count.seconds, count.smoothed))
        while self._history[0][0] < count.seconds - CURVE_SECONDS:
            self._history.popleft()
        areas: list[Area] = []
        lines: list[CountingLine] = []
        if self._zones is not None:
            # Zones without `image_size` are in pixels of the first frame; later ones may have another size.
            self._zones = fitted = self._zones.fit((image.shape[1], image.shape[0]))
            areas = [
                Area(zone.polygon, own.zone, own.smoothed, own.per_m2, own.alert, (own.people, own.dwell))
                for zone, own in zip(fitted.zones, count.zones, strict=True)
            ]
            lines = [
                CountingLine(line.line, own.line, own.inward, own.outward)
                for line, own in zip(fitted.lines, count.lines, strict=True)
            ]
        picture = draw.overlay(image, points, areas)
        if len(persons):
            draw.draw_numbers(picture, points, persons)
        draw.draw_lines(picture, lines)
        _draw_curve(picture, self._history, choose_text_size(picture), count.people)
        return picture


def _draw_curve(picture: Picture, history: Sequence[tuple[float, int]], size: int, people: int) -> None:
    """Draw the smoothed count of the last minute in the bottom-left corner."""
    height, width, _ = picture.shape
    pad = size
    panel_width, panel_height = min(26 * size, width - 2 * pad), 9 * size
    if panel_width < 12 * size or panel_height > height // 2:
        return
    window = picture[height - pad - panel_height : height - pad, pad : pad + panel_width]
    darken(window)
    seconds, counts = np.array(history, np.float64).T
    highest = float(max(counts.max(), 1))
    first, last = max(seconds[-1] - CURVE_SECONDS, float(seconds[0])), float(seconds[-1])
    left, right, top, bottom = size, panel_width - size, 3 * size, panel_height - size
    x = left + (right - left) * (seconds - first) / max(last - first, 1e-9)
    y = bottom - (bottom - top) * counts / highest
    line = to_fixed(np.stack((x, y), axis=1))
    floor = to_fixed(((x[-1], bottom), (x[0], bottom)))
    filled = window.copy()
    cv2.fillPoly(filled, [np.concatenate((line, floor))], _LINE, cv2.LINE_AA, SHIFT)
    window[:] = cv2.addWeighted(filled, 0.25, window, 0.75, 0)
    cv2.polylines(window, [line], False, _LINE, max(1, size // 8), cv2.LINE_AA, SHIFT)
    font = ImageFont.load_default(size)
    span = f"{last - first:.0f} s, at most {highest:,.0f}"
    room = right - font.getlength(span)
    write(
        window,
        [((left, size // 2), f"{counts[-1]:,.0f} now, {people:,} so far"), ((room, size // 2), span)],
        font,
    )
