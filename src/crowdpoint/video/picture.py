"""The picture that goes into the video: points, zones, and a small curve of the count over time."""

from collections import deque
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crowdpoint import draw
from crowdpoint.counts import Count, ZoneCount
from crowdpoint.draw import Picture
from crowdpoint.points import Points
from crowdpoint.zones import Coordinates, Zones

CURVE_SECONDS = 60.0
"""How far back the curve goes."""

_CALM, _ALARM = (255, 190, 40), (255, 62, 62)
_DARK, _LIGHT, _LINE = (8, 24, 40), (255, 255, 255), (0, 229, 255)
_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws at


class Painter:
    """Paints the frames of one run; it remembers the counts of the last minute for the curve.

    Args:
        zones: parts of the picture to outline.
    """

    def __init__(self, zones: Zones | None = None) -> None:
        self._zones = zones
        self._history: deque[tuple[float, float]] = deque()

    def paint(self, image: Picture, points: Points, count: Count) -> Picture:
        """The frame (H, W, 3) RGB with everything on it; the input is left alone."""
        self._history.append((count.seconds, count.smoothed))
        while self._history[0][0] < count.seconds - CURVE_SECONDS:
            self._history.popleft()
        height, width, _ = image.shape
        fitted = self._zones and self._zones.fitted((width, height))
        outlines = [zone.polygon for zone in fitted.zones] if fitted else []
        picture = image
        for outline, zone in zip(outlines, count.zones, strict=True):
            picture = _outlined(picture, outline, _ALARM if zone.alert else _CALM)
        picture = draw.overlay(picture, points)
        size = int(np.clip(0.024 * min(width, height), 11, 60))
        for outline, zone in zip(outlines, count.zones, strict=True):
            _label(picture, outline, zone, size)
        _curve(picture, self._history, size)
        return picture


def _outlined(picture: Picture, outline: Sequence[Coordinates], color: tuple[int, int, int]) -> Picture:
    """The picture with a polygon on it: a tint inside and a line around."""
    height, width, _ = picture.shape
    corner_to_center = 0.5  # OpenCV's origin is the centre of the first pixel
    corners = np.rint((np.array(outline) - corner_to_center) * (1 << _SHIFT)).astype(np.int32)
    tinted = picture.copy()
    cv2.fillPoly(tinted, [corners], color, cv2.LINE_AA, _SHIFT)
    tinted = cv2.addWeighted(tinted, 0.18, picture, 0.82, 0).astype(np.uint8)
    thickness = max(1, round(min(width, height) / 300))
    cv2.polylines(tinted, [corners], True, color, thickness, cv2.LINE_AA, _SHIFT)
    return tinted


def _label(picture: Picture, outline: Sequence[Coordinates], zone: ZoneCount, size: int) -> None:
    """Writes a zone's name and figures just above it, where there is room."""
    density = "" if zone.per_m2 is None else f"  {zone.per_m2:.2f}/m2"  # Pillow's own font has no ²
    text = f"{zone.zone}  {zone.smoothed:g}{density}"
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    pad = size // 2
    width, height = int(right - left) + 2 * pad, int(bottom - top) + 2 * pad
    corners = np.array(outline)
    x = int(corners[:, 0].mean() - width / 2)
    y = int(corners[:, 1].min()) - height - pad // 2
    x = min(max(x, 0), picture.shape[1] - width)
    y = min(max(y, 0), picture.shape[0] - height)
    if x < 0 or y < 0:
        return  # the picture is too small for it
    window = picture[y : y + height, x : x + width]
    _darken(window, _ALARM if zone.alert else _DARK)
    _write(window, [((pad - left, pad - top), text)], font)


def _curve(picture: Picture, history: Sequence[tuple[float, float]], size: int) -> None:
    """Draws the smoothed count of the last minute into the bottom-left corner."""
    height, width, _ = picture.shape
    pad = size
    panel_width, panel_height = min(26 * size, width - 2 * pad), 9 * size
    if panel_width < 12 * size or panel_height > height // 2:
        return
    window = picture[height - pad - panel_height : height - pad, pad : pad + panel_width]
    _darken(window, _DARK)
    seconds, counts = np.array(history, np.float64).T
    highest = float(max(counts.max(), 1))
    first, last = max(seconds[-1] - CURVE_SECONDS, float(seconds[0])), float(seconds[-1])
    left, right, top, bottom = size, panel_width - size, 3 * size, panel_height - size
    x = left + (right - left) * (seconds - first) / max(last - first, 1e-9)
    y = bottom - (bottom - top) * counts / highest
    line = np.rint(np.stack((x, y), axis=1) * (1 << _SHIFT)).astype(np.int32)
    floor = np.rint(np.array(((x[-1], bottom), (x[0], bottom))) * (1 << _SHIFT)).astype(np.int32)
    filled = window.copy()
    cv2.fillPoly(filled, [np.concatenate((line, floor))], _LINE, cv2.LINE_AA, _SHIFT)
    window[:] = cv2.addWeighted(filled, 0.25, window, 0.75, 0)
    cv2.polylines(window, [line], False, _LINE, max(1, size // 8), cv2.LINE_AA, _SHIFT)
    font = ImageFont.load_default(size)
    span = f"last {last - first:.0f} s, at most {highest:,.0f}"
    room = right - font.getlength(span)
    _write(window, [((left, size // 2), f"median {counts[-1]:,.0f}"), ((room, size // 2), span)], font)


def _darken(window: Picture, color: tuple[int, int, int]) -> None:
    window[:] = np.rint(window * 0.3 + np.array(color) * 0.7)


def _write(
    window: Picture,
    texts: Sequence[tuple[tuple[float, float], str]],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Writes texts at (x, y), in place."""
    image = Image.fromarray(np.ascontiguousarray(window))
    pen = ImageDraw.Draw(image)
    for at, text in texts:
        pen.text(at, text, _LIGHT, font)
    window[:] = np.asarray(image)
