"""Photos with what became of their points: true, false and missed, told apart by colour and by shape."""

import base64
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from crowdpoint import images
from crowdpoint.draw import Picture
from crowdpoint.matching import match
from crowdpoint.neighbors import neighbor_distances
from crowdpoint.points import FloatArray, Points

Color = tuple[int, int, int]

TRUE, FALSE, MISSED = "#00c27a", "#ff3355", "#ffd21f"
"""Colours: a dot for a matched prediction, a cross for any other, a ring for a head without a match."""

_SIDE = 720  # pixels of the longer side on the page
_ENLARGED = 2  # times, at most, where the photo is smaller
_QUALITY = 80
_FADED = 0.45  # how far the photo is taken towards white and grey, for the marks to stand out
_DARK = (16, 22, 30)
_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws at


def picture(file: Path, predictions: Points, truth: Points, radius: float) -> str:
    """A small JPEG of the image with its points, as a data URL.

    Args:
        file: the image.
        predictions: the points taken for heads, in pixels of the image.
        truth: the heads.
        radius: the matching distance in pixels of the image.

    Raises:
        ImageError: if the image cannot be read.
    """
    photo = images.read(file)
    height, width, _ = photo.shape
    scale = min(_SIDE / max(width, height), _ENLARGED)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    canvas = _faded(small)
    matched, found = match(predictions.xy, truth.xy, radius, nearest=True)
    _mark(canvas, predictions, truth, matched, found, scale)
    done, jpeg = cv2.imencode(
        ".jpg", cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    if not done:
        raise RuntimeError(f"{file}: OpenCV cannot encode a JPEG of {size[0]}x{size[1]} pixels")
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode("ascii")


def _faded(photo: cv2.typing.MatLike) -> Picture:
    grey = cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    towards = cv2.addWeighted(grey, 0.6, np.full_like(grey, 255), 0.4, 0)
    return cv2.addWeighted(photo, 1 - _FADED, towards, _FADED, 0).astype(np.uint8)


def _mark(
    canvas: Picture,
    predictions: Points,
    truth: Points,
    matched: npt.NDArray[np.intp],
    found: npt.NDArray[np.intp],
    scale: float,
) -> None:
    """Draws missed heads first and matched predictions last: those matter least where all are dense."""
    false = np.setdiff1d(np.arange(len(predictions)), matched)
    missed = np.setdiff1d(np.arange(len(truth)), found)
    xy = np.concatenate((truth.xy[missed], predictions.xy[false], predictions.xy[matched])) * scale
    radii = np.clip(0.3 * neighbor_distances(xy), 1.4, 5.0)  # of a single point, the largest
    parts = np.split(np.arange(len(xy)), np.cumsum((len(missed), len(false))))
    for part, draw, color in zip(parts, (_ring, _cross, _dot), (MISSED, FALSE, TRUE), strict=True):
        for point, radius in zip(xy[part], radii[part], strict=True):
            draw(canvas, point, float(radius), _rgb(color))


def _dot(canvas: Picture, point: FloatArray, radius: float, color: Color) -> None:
    center, reach = _fixed(point), round(radius * (1 << _SHIFT))
    edge = round(min(0.9, 0.25 * radius) * (1 << _SHIFT))
    cv2.circle(canvas, center, reach + edge, _DARK, -1, cv2.LINE_AA, _SHIFT)
    cv2.circle(canvas, center, reach, color, -1, cv2.LINE_AA, _SHIFT)


def _ring(canvas: Picture, point: FloatArray, radius: float, color: Color) -> None:
    reach = round((radius + 0.8) * (1 << _SHIFT))
    for ink, thickness in _strokes(radius, color):
        cv2.circle(canvas, _fixed(point), reach, ink, thickness, cv2.LINE_AA, _SHIFT)


def _cross(canvas: Picture, point: FloatArray, radius: float, color: Color) -> None:
    for ink, thickness in _strokes(radius, color):
        for dx, dy in ((radius, radius), (radius, -radius)):
            step = np.array((dx, dy), np.float32)
            cv2.line(canvas, _fixed(point - step), _fixed(point + step), ink, thickness, cv2.LINE_AA, _SHIFT)


def _strokes(radius: float, color: Color) -> list[tuple[Color, int]]:
    """Colours and widths of a line, its dark edge first; small marks have none, or a dense crowd is black."""
    return [(_DARK, 4), (color, 2)] if radius > 2.5 else [(color, 1)]


def _fixed(point: FloatArray) -> tuple[int, int]:
    """In OpenCV's fixed point; its origin is the centre of the first pixel."""
    x, y = ((float(value) - 0.5) * (1 << _SHIFT) for value in point)
    return round(x), round(y)


def _rgb(color: str) -> Color:
    red, green, blue = bytes.fromhex(color.lstrip("#"))
    return red, green, blue
