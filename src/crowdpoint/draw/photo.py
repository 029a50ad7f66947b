"""The photo with its points and areas, or under a heat map of the points' density."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from crowdpoint.draw.areas import Area, label, tint
from crowdpoint.points import FloatArray, Points

Picture = npt.NDArray[np.uint8]

Color = tuple[int, int, int]
"""Red, green, blue in [0, 255]."""

FILL: Color = (0, 229, 255)
_OUTLINE = (8, 24, 40)
_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws at
_LEVELS = 8  # different Gaussian widths in a heat map
_HEAT_SIDE = 1024  # density needs no more detail than this many pixels


def overlay(image: Picture, points: Points, areas: Sequence[Area] = ()) -> Picture:
    """The photo with a dot on every point and the count in a corner.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: points in the pixels of `image`.
        areas: parts of the photo to outline, such as its zones, each with a label.

    Raises:
        ValueError: if the points say that they lie on an image of another size.
    """
    picture = _copy(image, points)
    tint(picture, areas)
    dots(picture, points)
    _count(picture, f"{len(points):,}")
    label(picture, areas)
    return picture


def dots(picture: Picture, points: Points, fill: Color = FILL) -> None:
    """Draws a dot with a dark edge on every point, into the picture, smaller where they crowd.

    Args:
        picture: (H, W, 3) uint8 RGB, changed in place.
        points: points in the pixels of `picture`.
        fill: colour inside the edge.
    """
    height, width, _ = picture.shape
    largest = np.clip(0.0048 * np.hypot(width, height), 2.5, 24)
    radii = np.clip(0.19 * _spacing(points.xy, np.hypot(width, height)), max(1.3, largest / 5), largest)
    edges = np.clip(0.3 * radii, 0.6, 2.5)
    for (x, y), radius, edge in zip(points.xy, radii, edges, strict=True):
        dot(picture, x, y, radius + edge, _OUTLINE)
        dot(picture, x, y, radius, fill)


def heatmap(image: Picture, points: Points) -> Picture:
    """The photo, dimmed and grey, under the density of the points.

    The density is a sum of Gaussians about as wide as the points around are apart. The brightest
    colour is its 99.5th percentile, so pictures of different crowds do not share a scale.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: points in the pixels of `image`.

    Raises:
        ValueError: if the points say that they lie on an image of another size.
    """
    picture = _copy(image, points)
    height, width, _ = picture.shape
    density = cv2.resize(_density(points, width, height), (width, height), interpolation=cv2.INTER_LINEAR)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    background = cv2.cvtColor(cv2.convertScaleAbs(grey, alpha=0.55), cv2.COLOR_GRAY2RGB)
    peak = float(np.percentile(density[density > 0], 99.5)) if density.any() else 1.0
    level = np.clip(density / peak, 0, 1) ** 0.6
    colors = cv2.applyColorMap((255 * level).astype(np.uint8), cv2.COLORMAP_INFERNO)
    opacity = np.clip(2.5 * level, 0, 0.85)
    cv2.cvtColor(colors, cv2.COLOR_BGR2RGB, dst=colors)
    picture[:] = cv2.blendLinear(background, colors, 1 - opacity, opacity)
    _count(picture, f"{len(points):,}")
    return picture


def _copy(image: Picture, points: Points) -> Picture:
    height, width, _ = image.shape
    if points.image_size not in (None, (width, height)):
        raise ValueError(f"points: expected points on {width}x{height} pixels, found {points.image_size}")
    return np.array(image, order="C")


def _spacing(xy: FloatArray, default: float) -> FloatArray:
    """Mean distance in pixels from each point to its three nearest, `default` for a single point."""
    from crowdpoint.neighbors import neighbor_distances

    distances = neighbor_distances(xy)
    return np.where(np.isfinite(distances), distances, default).astype(np.float32)


def dot(picture: Picture, x: float, y: float, radius: float, color: Color) -> None:
    """Draws a filled circle into the picture; x, y and radius are pixels, with fractions."""
    scale = 1 << _SHIFT
    corner_to_center = 0.5  # OpenCV's origin is the centre of the first pixel
    center = [round((float(value) - corner_to_center) * scale) for value in (x, y)]
    cv2.circle(picture, center, round(float(radius) * scale), color, -1, cv2.LINE_AA, _SHIFT)


def _count(picture: Picture, text: str) -> None:
    """Writes `text` on a dark pill in the top-left corner, unless the picture is too small for it."""
    from PIL import Image, ImageDraw, ImageFont

    height, width, _ = picture.shape
    size = int(np.clip(0.04 * min(width, height), 14, 160))
    font = ImageFont.load_default(size)
    left, _, right, _ = font.getbbox(text)
    pad, inset = size // 2, size // 2
    box = (int(right - left) + 2 * size, size + 2 * pad)
    if box[0] + inset > width or box[1] + inset > height // 2:
        return
    scale = 4  # Pillow's shapes have hard edges; a larger drawing shrunk has soft ones
    pill = Image.new("L", (box[0] * scale, box[1] * scale))
    ImageDraw.Draw(pill).rounded_rectangle((0, 0, *pill.size), pill.height // 2, 205)
    corner = picture[inset : inset + box[1], inset : inset + box[0]]
    alpha = np.asarray(pill.resize(box, Image.Resampling.BOX), np.float32)[..., None] / 255
    letters = Image.new("L", box)
    ImageDraw.Draw(letters).text((box[0] / 2, box[1] / 2), text, 255, font, anchor="mm")
    ink = np.asarray(letters, np.float32)[..., None] / 255
    shaded = corner * (1 - alpha) + np.array(_OUTLINE) * alpha
    corner[:] = np.rint(shaded * (1 - ink) + 255 * ink)


def _density(points: Points, width: int, height: int) -> FloatArray:
    """Points per pixel of a map of at most `_HEAT_SIDE`, each spread by a Gaussian of the local spacing."""
    scale = min(1.0, _HEAT_SIDE / max(width, height))
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    xy = points.xy * np.array((columns / width, rows / height), np.float32)
    cells = np.floor(xy).astype(np.intp)
    inside = ((cells >= 0) & (cells < (columns, rows))).all(axis=1)
    side = max(columns, rows)
    sigmas = np.clip(0.7 * _spacing(xy, side), side / 160, side / 25)
    widths = np.geomspace(side / 160, side / 25, _LEVELS)
    nearest = np.abs(np.log(sigmas[:, None] / widths)).argmin(axis=1)
    density = np.zeros((rows, columns), np.float32)
    for level, sigma in enumerate(widths):
        chosen = cells[inside & (nearest == level)]
        if len(chosen):
            seeds = np.zeros_like(density)
            np.add.at(seeds, (chosen[:, 1], chosen[:, 0]), 1)
            density += cv2.GaussianBlur(seeds, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return density
