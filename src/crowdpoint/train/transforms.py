"""Random crops of an annotated image: scale, position, flip, colour and quality (P2PNet, Sec. 4.1).

A crop of side c at scale s is a window of c / s image pixels, resized to c. The whole image is never resized.
"""

import math

import cv2
import numpy as np

from crowdpoint import images
from crowdpoint.points import Picture, Points
from crowdpoint.recipe import AugmentConfig
from crowdpoint.tiles import Box

PADDING = 127
"""Grey value of the padding, close to the mean colour, which normalisation maps to zero."""

SCALES = (0.02, 3.0)
"""Limits of the scale that gives a head the requested size."""


def random_crops(
    image: Picture, points: Points, config: AugmentConfig, rng: np.random.Generator, reach: float = 0
) -> list[tuple[Picture, Points, Box]]:
    """Draw `config.crops_per_image` crops, all at one random scale.

    Returns:
        For each crop, its (crop, crop, 3) image, the points in it and up to `reach` pixels around, and the
        borders of `image` (H, W, 3), all in pixels of the crop. The points' `image_size` excludes padding.
    """
    height, width = image.shape[:2]
    focus = None
    if config.head_size and points.sizes is not None and len(points):
        focus = int(rng.integers(len(points)))
    side = config.crop / _draw_scale(points, focus, min(height, width), config, rng)
    sides = _stretch(side, config.stretch, rng)
    margin = math.ceil(min(reach * max(sides) / config.crop, max(height, width)))
    crops = []
    for _ in range(config.crops_per_image):
        left, top = _draw_corner((width, height), sides, points, focus, config.dense, rng)
        right, bottom = min(left + sides[0], width), min(top + sides[1], height)
        size = _resized(right - left, config.crop, sides[0]), _resized(bottom - top, config.crop, sides[1])
        window = images.resize(image[top:bottom, left:right], size, enlarge="linear")
        x, y = max(left - margin, 0), max(top - margin, 0)
        near = points.crop(x, y, min(right + margin, width), min(bottom + margin, height))
        heads = near.shift(x - left, y - top, image_size=(right - left, bottom - top))
        factors = window.shape[1] / (right - left), window.shape[0] / (bottom - top)
        border = _scale_box((-left, -top, width - left, height - top), factors)
        if rng.random() < config.flip:
            window, heads = window[:, ::-1], heads.flip()
            border = (window.shape[1] - border[2], border[1], window.shape[1] - border[0], border[3])
        heads = heads.scale(*factors, image_size=(window.shape[1], window.shape[0]))
        padded = np.full((config.crop, config.crop, 3), PADDING, np.uint8)
        padded[: window.shape[0], : window.shape[1]] = window
        if rng.random() < config.noise:
            padded, heads = noise(padded, rng), heads.select(np.zeros(len(heads), np.bool_))
        if config.degrade and rng.random() < config.degrade:
            padded = degrade(padded, rng)
        crops.append((recolor(padded, config, rng), heads, border))
    return crops


def _stretch(side: float, ratio: float, rng: np.random.Generator) -> tuple[int, int]:
    """Draw the sides along x and y of a window with the area of a square of `side` pixels."""
    factor = ratio ** rng.uniform(-0.5, 0.5) if ratio > 1 else 1.0
    return max(1, round(side * factor)), max(1, round(side / factor))


def _resized(side: int, crop: int, window: int) -> int:
    """Scale the side of a part of a window as the window is scaled to the crop."""
    return max(1, round(side * crop / window))


def _scale_box(box: Box, factors: tuple[float, float]) -> Box:
    """Scale a box by factors along x and y, and extend it to whole pixels, except for rounding errors."""
    left, top = (math.floor(side * factor + 1e-3) for side, factor in zip(box[:2], factors, strict=True))
    right, bottom = (math.ceil(side * factor - 1e-3) for side, factor in zip(box[2:], factors, strict=True))
    return left, top, right, bottom


def shrink(image: Picture, points: Points, max_side: int | None) -> tuple[Picture, Points]:
    """Shrink an image and its points to a long side of at most `max_side` pixels."""
    height, width = image.shape[:2]
    size = images.scaled_size((width, height), max_side=max_side)
    if size == (width, height):
        return image, points
    return images.resize(image, size), points.scale(size[0] / width, size[1] / height, image_size=size)


def recolor(image: Picture, config: AugmentConfig, rng: np.random.Generator) -> Picture:
    """Change brightness, contrast, saturation and tone randomly, or convert to grey."""
    gray = rng.random() < config.gray
    if config.tone:
        gamma = np.exp(config.tone * (rng.uniform(-1, 1) + rng.uniform(-1 / 3, 1 / 3, size=3)))
        curves = 255 * np.linspace(0, 1, 256)[:, None] ** gamma
        image = cv2.LUT(image, np.round(curves).astype(np.uint8)[None]).astype(np.uint8, copy=False)
    if config.color == 0 and not gray:
        return np.ascontiguousarray(image)
    brightness, contrast, saturation = (1 + config.color * rng.uniform(-1, 1, size=3)).astype(np.float32)
    pixels = image.astype(np.float32)
    luma = pixels @ np.array((0.299, 0.587, 0.114), np.float32)
    pixels = luma[..., None] + (0.0 if gray else saturation) * (pixels - luma[..., None])
    mean = luma.mean()
    pixels = brightness * (mean + contrast * (pixels - mean))
    recolored: Picture = np.clip(pixels + 0.5, 0, 255).astype(np.uint8)
    return recolored


def degrade(image: Picture, rng: np.random.Generator) -> Picture:
    """Blur an image by up to 1.2 pixels, add noise of up to 16 grey values, or compress it as JPEG."""
    kind = rng.integers(3)
    if kind == 0:
        worse = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.2))
    elif kind == 1:
        grain = rng.normal(0, rng.uniform(2, 16), image.shape)
        worse = np.clip(image + grain + 0.5, 0, 255)
    else:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 75))]
        worse = np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR))
    degraded: Picture = worse.astype(np.uint8, copy=False)
    return degraded


def noise(image: Picture, rng: np.random.Generator) -> Picture:
    """Replace an image by noise in blocks of 1, 2 or 4 pixels, blurred with probability 1/2.

    The blocks are those of the image in random order, or have random colours with probability 1/3.
    """
    block = int(rng.choice((1, 2, 4)))
    height, width = (side - side % block for side in image.shape[:2])
    blocks = image[:height, :width].reshape(height // block, block, width // block, block, 3)
    blocks = rng.permutation(blocks.swapaxes(1, 2).reshape(-1, block, block, 3))
    if rng.random() < 1 / 3:
        blocks[:] = rng.integers(0, 256, (len(blocks), 1, 1, 3), np.uint8)
    mixed = image.copy()
    blocks = blocks.reshape(height // block, width // block, block, block, 3)
    mixed[:height, :width] = blocks.swapaxes(1, 2).reshape(height, width, 3)
    if rng.random() < 0.5:
        mixed = cv2.GaussianBlur(mixed, (0, 0), rng.uniform(0.5, 2.5)).astype(np.uint8)
    return mixed


def _draw_scale(
    points: Points, focus: int | None, short: int, config: AugmentConfig, rng: np.random.Generator
) -> float:
    """Draw the scale of a crop, which scales the head `focus` into `config.head_size`."""
    if focus is not None and config.head_size and points.sizes is not None:
        low, high = np.log(config.head_size)
        side = max(1.0, float(np.sqrt(points.sizes[focus].prod())))
        scale, most = map(float, np.clip(np.exp((rng.uniform(low, high), high)) / side, *SCALES))
    else:
        scale, most = rng.uniform(*config.scale), config.scale[1]
    return min(max(scale, config.crop / short), max(scale, most))


def _draw_corner(
    size: tuple[int, int],
    sides: tuple[int, int],
    points: Points,
    focus: int | None,
    dense: float,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Draw the top left corner of a window with `sides` in an image of `size` (width, height)."""
    right, bottom = max(0, size[0] - sides[0]), max(0, size[1] - sides[1])
    if len(points) and rng.random() < dense:
        head = points.xy[rng.integers(len(points)) if focus is None else focus]
        left, top = np.floor(head).astype(int) - rng.integers(sides)
        return min(max(int(left), 0), right), min(max(int(top), 0), bottom)
    return int(rng.integers(right + 1)), int(rng.integers(bottom + 1))
