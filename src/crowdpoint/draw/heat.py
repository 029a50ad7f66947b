"""Draw a heat map of the density of points on an image."""

import math
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ImageFont

from crowdpoint.draw.photo import compute_spacing, copy_image, write_count
from crowdpoint.draw.row import apply_colors
from crowdpoint.draw.text import choose_text_size, darken, write
from crowdpoint.images import resize, scaled_size
from crowdpoint.points import FloatArray, Picture, Points

_LEVELS = 8  # number of Gaussian widths
_SIDE = 1024  # longer side of the density map in pixels
_GAMMA = 0.6  # emphasises low densities
DIMMING = 0.55
"""Factor on the brightness of the grey image below the colours."""
UNIT = "points per 1 % of the picture"
"""Unit of the legend."""


class Heat(NamedTuple):
    """Density of points in colours, to be laid over a dimmed grey image."""

    layer: Picture
    """(H, W, 4) uint8 RGBA, of the image's proportions and at most 1024 pixels a side."""
    peak: float
    """Density of the brightest colour in `UNIT`; 0 without points."""


def heatmap(image: Picture, points: Points) -> Picture:
    """Draw the density of the points over a dimmed grey copy of the image.

    The layer of `compute_heat`, with the count and a legend. Small images have no legend.
    """
    picture = copy_image(image, points)
    height, width, _ = picture.shape
    heat = compute_heat(points, (width, height))
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    background = cv2.cvtColor(cv2.convertScaleAbs(grey, alpha=DIMMING), cv2.COLOR_GRAY2RGB)
    colors = resize(heat.layer[..., :3].copy(), (width, height), enlarge="linear")
    opacity = heat.layer[..., 3].astype(np.float32) / np.float32(255)
    alpha = resize(opacity, (width, height), enlarge="linear")
    picture[:] = cv2.blendLinear(background, colors, 1 - alpha, alpha)
    write_count(picture, f"{len(points):,}")
    if heat.peak:
        _write_legend(picture, heat.peak)
    return picture


def compute_heat(points: Points, image_size: tuple[int, int]) -> Heat:
    """Compute the density of points, in colours.

    The density is a sum of Gaussians whose width follows the local spacing of points. The brightest colour is
    the 99.5th percentile, so the scale differs between images.
    """
    density = _compute_density(points, *image_size)
    peak = float(np.percentile(density[density > 0], 99.5)) if density.any() else 0.0
    level = np.clip(density / (peak or 1.0), 0, 1) ** _GAMMA
    opacity = np.rint(255 * np.clip(2.5 * level, 0, 0.85)).astype(np.uint8)
    layer = np.dstack([apply_colors(level, "inferno"), opacity])
    return Heat(layer, peak * density.size / 100)


def build_legend(width: int) -> Picture:
    """Build the colours (1, width, 3) of densities from 0 to the peak, evenly spaced."""
    levels = np.linspace(0, 1, width, dtype=np.float32) ** _GAMMA
    return apply_colors(levels[None], "inferno")


def _write_legend(picture: Picture, peak: float) -> None:
    height, width, _ = picture.shape
    size = choose_text_size(picture)
    font = ImageFont.load_default(size)
    pad, most = size // 2, f"{peak:.3g}"
    captioned = math.ceil(font.getlength(UNIT))
    box = (captioned + 2 * pad, 2 * size + 4 * pad)
    if box[0] > 0.8 * width or box[1] > 0.25 * height:
        return
    window = picture[height - box[1] : height, width - box[0] : width]
    darken(window)
    zero, end = math.ceil(font.getlength("0")) + pad, math.ceil(font.getlength(most)) + pad
    top = size + 2 * pad
    write(window, [((pad, pad // 2), UNIT), ((pad, top), "0"), ((box[0] - end, top), most)], font)
    bar = np.repeat(build_legend(captioned - zero - end), size, axis=0)
    window[top + pad // 4 : top + pad // 4 + size, pad + zero : pad + zero + bar.shape[1]] = bar


def _compute_density(points: Points, width: int, height: int) -> FloatArray:
    """Compute points per pixel on a map of at most `_SIDE` pixels, smoothed by the local spacing."""
    columns, rows = scaled_size((width, height), max_side=_SIDE)
    xy = points.xy * np.array((columns / width, rows / height), np.float32)
    cells = np.floor(xy).astype(np.intp)
    inside = ((cells >= 0) & (cells < (columns, rows))).all(axis=1)
    side = max(columns, rows)
    sigmas = np.clip(0.7 * compute_spacing(xy, side), side / 160, side / 25)
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
