"""Draw points and areas on an image."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crowdpoint.draw.areas import Area, label, tint
from crowdpoint.draw.fixed import SHIFT, to_fixed, to_fixed_point
from crowdpoint.draw.text import DARK, Color, choose_text_size
from crowdpoint.images import check_pixels
from crowdpoint.neighbors import neighbor_distances
from crowdpoint.points import FloatArray, Picture, Points

FILL: Color = (0, 229, 255)


def overlay(image: Picture, points: Points, areas: Sequence[Area] = ()) -> Picture:
    """Draw a mark on every point and the count in the top-left corner.

    >>> overlay(np.zeros((48, 64, 3), np.uint8), Points([[10, 20], [40, 30]])).shape
    (48, 64, 3)
    """
    picture = copy_image(image, points)
    tint(picture, areas)
    draw_dots(picture, points)
    write_count(picture, f"{len(points):,}")
    label(picture, areas)
    return picture


def draw_dots(picture: Picture, points: Points, fill: Color = FILL) -> None:
    """Draw a mark with a dark edge on every point of an image, in place; smaller in dense areas.

    A mark is a dot, or a ring around the head if the point has a size and a dot would hide the head.
    """
    height, width, _ = picture.shape
    largest = np.clip(0.0048 * np.hypot(width, height), 2.5, 24)
    distances = compute_spacing(points.xy, np.hypot(width, height))
    radii = np.clip(0.19 * distances, max(1.3, largest / 5), largest)
    edges = np.clip(0.3 * radii, 0.6, 2.5)
    heads = np.full(len(points), np.inf) if points.sizes is None else points.sizes.max(axis=1)
    around = np.clip(0.6 * heads, radii + edges, 0.5 * distances)
    strokes = np.maximum(1, np.rint(0.4 * radii)).astype(int)
    rings = (2 * (radii + edges) > 0.5 * heads) & (around - strokes > 0.4 * heads)
    for index, (x, y) in enumerate(points.xy):
        if rings[index]:
            stroke = int(strokes[index])
            draw_dot(picture, x, y, around[index], DARK, stroke + 2)
            draw_dot(picture, x, y, around[index], fill, stroke)
        else:
            draw_dot(picture, x, y, radii[index] + edges[index], DARK)
            draw_dot(picture, x, y, radii[index], fill)


def draw_numbers(picture: Picture, points: Points, numbers: Sequence[int]) -> None:
    """Write a number beside every point of an image, in place; 0 writes nothing."""
    size = choose_text_size(picture)
    scale, thickness = size / 27, max(1, round(size / 18))
    for (x, y), value in zip(points.xy, numbers, strict=True):
        if value:
            place = (round(float(x) + 0.8 * size), round(float(y) - 0.2 * size))
            for color, wide in ((DARK, thickness + 2), ((255, 255, 255), thickness)):
                cv2.putText(
                    picture, str(value), place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, wide, cv2.LINE_AA
                )


def copy_image(image: Picture, *heads: Points | None) -> Picture:
    """Copy an image to draw on, and check it, and that points are on an image of its size."""
    check_pixels(image)
    height, width, _ = image.shape
    for points in heads:
        if not isinstance(points, Points | None):
            raise TypeError(f"points: expected Points, found {type(points).__name__}")
        if points is not None and points.image_size not in (None, (width, height)):
            raise ValueError(f"points: expected points on {width}x{height} pixels, found {points.image_size}")
    return np.array(image, order="C")


def compute_spacing(xy: FloatArray, default: float) -> FloatArray:
    """Compute the mean distance in pixels of points to their three nearest; `default` for a single point."""
    distances = neighbor_distances(xy)
    return np.where(np.isfinite(distances), distances, default).astype(np.float32)


def draw_dot(
    picture: Picture, x: float, y: float, radius: float, color: Color, stroke: int = cv2.FILLED
) -> None:
    """Draw a filled circle, or one with a stroke width in pixels; x, y and radius in fractional pixels."""
    center = to_fixed_point((x, y)).tolist()
    cv2.circle(picture, center, int(to_fixed(radius)), color, stroke, cv2.LINE_AA, SHIFT)


def write_count(picture: Picture, text: str) -> None:
    """Write `text` on a dark pill in the top-left corner, unless the image is too small."""
    height, width, _ = picture.shape
    size = int(np.clip(0.04 * min(width, height), 14, 160))
    font = ImageFont.load_default(size)
    left, _, right, _ = font.getbbox(text)
    pad, inset = size // 2, size // 2
    box = (int(right - left) + 2 * size, size + 2 * pad)
    if box[0] + inset > width or box[1] + inset > height // 2:
        return
    scale = 4  # draw larger and shrink, because Pillow does not antialias shapes
    pill = Image.new("L", (box[0] * scale, box[1] * scale))
    ImageDraw.Draw(pill).rounded_rectangle((0, 0, *pill.size), pill.height // 2, 205)
    corner = picture[inset : inset + box[1], inset : inset + box[0]]
    alpha = np.asarray(pill.resize(box, Image.Resampling.BOX), np.float32)[..., None] / 255
    letters = Image.new("L", box)
    ImageDraw.Draw(letters).text((box[0] / 2, box[1] / 2), text, 255, font, anchor="mm")
    ink = np.asarray(letters, np.float32)[..., None] / 255
    shaded = corner * (1 - alpha) + np.array(DARK) * alpha
    corner[:] = np.rint(shaded * (1 - ink) + 255 * ink)
