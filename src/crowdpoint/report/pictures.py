"""Draw true positives, false positives and missed heads on photos, by colour and shape."""

import base64
from pathlib import Path

import cv2
import numpy as np
from PIL import ImageColor

from crowdpoint import images, rasters
from crowdpoint.draw.fixed import SHIFT, to_fixed, to_fixed_point
from crowdpoint.draw.photo import draw_dot
from crowdpoint.draw.text import Color
from crowdpoint.matching import match
from crowdpoint.neighbors import neighbor_distances
from crowdpoint.points import FloatArray, Picture, Points

TRUE, FALSE, MISSED = "#00c27a", "#ff3355", "#ffd21f"
"""Colours of true positives (dots), false positives (crosses) and missed heads (rings)."""

_SIDE = 720  # longer side on the page in pixels
_MAX_SCALE = 2  # maximum enlargement of small photos
_QUALITY = 80
_FADING = 0.45  # blends the photo with grey and white, to make marks stand out
_DARK = (16, 22, 30)


def draw_points(file: Path, predictions: Points, truth: Points, radius: float) -> str:
    """Draw points on a small JPEG of an image, and return it as a data URL."""
    photo = rasters.read(file)
    height, width, _ = photo.shape
    size = images.scaled_size((width, height), _MAX_SCALE, _SIDE)
    small = images.resize(photo, size)
    grey = cv2.cvtColor(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    towards = cv2.addWeighted(grey, 0.6, np.full_like(grey, 255), 0.4, 0)
    canvas = cv2.addWeighted(small, 1 - _FADING, towards, _FADING, 0).astype(np.uint8)
    _mark(canvas, predictions, truth, radius, size[0] / width)
    bgr = cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode("ascii")


def _mark(canvas: Picture, predictions: Points, truth: Points, radius: float, scale: float) -> None:
    """Draw missed heads, then false positives, then true positives, on an image resized by `scale`."""
    matched, found = match(predictions.xy, truth.xy, radius, nearest=True)
    false = np.setdiff1d(np.arange(len(predictions)), matched)
    missed = np.setdiff1d(np.arange(len(truth)), found)
    xy = np.concatenate((truth.xy[missed], predictions.xy[false], predictions.xy[matched])) * scale
    radii = np.clip(0.3 * neighbor_distances(xy), 1.4, 5.0)  # the maximum for a single point
    parts = np.split(np.arange(len(xy)), np.cumsum((len(missed), len(false))))
    shapes = (_draw_ring, _draw_cross, _draw_dot)
    for part, draw, color in zip(parts, shapes, (MISSED, FALSE, TRUE), strict=True):
        for point, size in zip(xy[part], radii[part], strict=True):
            draw(canvas, point, float(size), ImageColor.getrgb(color)[:3])


def _draw_dot(canvas: Picture, point: FloatArray, radius: float, color: Color) -> None:
    center, reach = to_fixed_point(point).tolist(), int(to_fixed(radius))
    edge = int(to_fixed(min(0.9, 0.25 * radius)))
    cv2.circle(canvas, center, reach + edge, _DARK, -1, cv2.LINE_AA, SHIFT)
    cv2.circle(canvas, center, reach, color, -1, cv2.LINE_AA, SHIFT)


def _draw_ring(canvas: Picture, point: FloatArray, radius: float, color: Color) -> None:
    for ink, thickness in _choose_strokes(radius, color):
        draw_dot(canvas, point[0], point[1], radius + 0.8, ink, thickness)


def _draw_cross(canvas: Picture, point: FloatArray, radius: float, color: Color) -> None:
    for ink, thickness in _choose_strokes(radius, color):
        for dx, dy in ((radius, radius), (radius, -radius)):
            step = np.array((dx, dy), np.float32)
            start, end = to_fixed_point((point - step, point + step)).tolist()
            cv2.line(canvas, start, end, ink, thickness, cv2.LINE_AA, SHIFT)


def _choose_strokes(radius: float, color: Color) -> list[tuple[Color, int]]:
    """Return colours and widths of a line: a dark edge first, except for small marks."""
    return [(_DARK, 4), (color, 2)] if radius > 2.5 else [(color, 1)]
