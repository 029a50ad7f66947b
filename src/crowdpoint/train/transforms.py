"""Random crops of an annotated image: scale, place, flip and colour, with the points moved along.

P2PNet, Sec. 4.1. A crop of side c at scale s is a window of c / s image pixels, resized to c: the
image is never resized as a whole.
"""

import math

import cv2
import numpy as np

from crowdpoint import images
from crowdpoint.points import Picture, Points
from crowdpoint.recipe import AugmentConfig

PADDING = 127
"""Grey that pads what an image lacks to a crop: next to the mean colour, which is zero to the networks."""

SCALES = (0.02, 3.0)
"""Range of the scale that brings a head to a wanted size."""


def random_crops(
    image: Picture, points: Points, config: AugmentConfig, rng: np.random.Generator, reach: int = 0
) -> list[tuple[Picture, Points]]:
    """Draw `config.crops_per_image` crops, all at one random scale.

    Args:
        image: (H, W, 3) RGB.
        points: the heads on it.
        config: the ranges to draw from.
        rng: the only source of chance.
        reach: how many of a crop's pixels around it heads are kept, too.

    Returns:
        Pairs of a (crop, crop, 3) image and the points on it or near it, in the crop's pixels. Their
        `image_size` is the part of the crop that shows the image; the rest, right and below, is padding.
    """
    height, width = image.shape[:2]
    focus = None
    if config.head_size and points.sizes is not None and len(points):
        focus = int(rng.integers(len(points)))
    side = round(config.crop / _scale(points, focus, min(height, width), config, rng))
    margin = math.ceil(reach * side / config.crop)
    crops = []
    for _ in range(config.crops_per_image):
        left, top = _corner(width - side, height - side, side, points, focus, config.dense, rng)
        right, bottom = min(left + side, width), min(top + side, height)
        window = _resized(image[top:bottom, left:right], config.crop / side)
        heads = _near(points, (left, top, right, bottom), margin, (width, height))
        if rng.random() < config.flip:
            window, heads = window[:, ::-1], heads.flip()
        factors = window.shape[1] / (right - left), window.shape[0] / (bottom - top)
        heads = heads.scale(*factors, image_size=(window.shape[1], window.shape[0]))
        window = _padded(window, config.crop)
        if rng.random() < config.noise:
            window, heads = noise(window, rng), heads.select(np.zeros(len(heads), np.bool_))
        crops.append((recolor(window, config, rng), heads))
    return crops


def _near(points: Points, box: tuple[int, int, int, int], margin: int, size: tuple[int, int]) -> Points:
    """The points on an image in a box of it or up to `margin` pixels around, relative to the box's corner."""
    left, top, right, bottom = box
    x, y = max(left - margin, 0), max(top - margin, 0)
    near = points.crop(x, y, min(right + margin, size[0]), min(bottom + margin, size[1]))
    return near.shift(x - left, y - top, image_size=(right - left, bottom - top))


def capped(image: Picture, points: Points, max_side: int | None) -> tuple[Picture, Points]:
    """The image shrunk so that its long side is at most `max_side`, with its points."""
    height, width = image.shape[:2]
    size = images.scaled_size((width, height), max_side=max_side)
    if size == (width, height):
        return image, points
    return images.resize(image, size), points.scale(size[0] / width, size[1] / height, image_size=size)


def recolor(image: Picture, config: AugmentConfig, rng: np.random.Generator) -> Picture:
    """Random brightness, contrast and saturation of up to `config.color`, and at times grey alone."""
    gray = rng.random() < config.gray
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


def noise(image: Picture, rng: np.random.Generator) -> Picture:
    """Noise in blocks of 1, 2 or 4 pixels, half the time blurred to a soft grain.

    The blocks are the image's own in random order, or a third of the time of random colours.
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


def _scale(
    points: Points, focus: int | None, short: int, config: AugmentConfig, rng: np.random.Generator
) -> float:
    """Draw the scale of a crop.

    Args:
        points: the heads on the image.
        focus: the head whose box side is scaled into `config.head_size`; None to draw from `config.scale`.
        short: the image's short side in pixels.
        config: the ranges to draw from.
        rng: the only source of chance.
    """
    if focus is not None and config.head_size and points.sizes is not None:
        low, high = np.log(config.head_size)
        side = max(1.0, float(np.sqrt(points.sizes[focus].prod())))
        return float(np.clip(np.exp(rng.uniform(low, high)) / side, *SCALES))
    scale = rng.uniform(*config.scale)
    return min(max(scale, config.crop / short), max(scale, config.scale[1]))


def _resized(window: Picture, factor: float) -> Picture:
    """A window at `factor` times its size, at least a pixel."""
    size = images.scaled_size((window.shape[1], window.shape[0]), factor)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(window, size, interpolation=how).astype(np.uint8, copy=False)


def _padded(window: Picture, side: int) -> Picture:
    """A window padded right and below, as networks pad what is not a multiple of their stride."""
    height, width = window.shape[:2]
    if (height, width) == (side, side):
        return window
    padded = np.full((side, side, 3), PADDING, np.uint8)
    padded[:height, :width] = window[:side, :side]
    return padded


def _corner(
    right: int,
    bottom: int,
    side: int,
    points: Points,
    focus: int | None,
    dense: float,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """The window's (left, top), at most (right, bottom) and at least 0: anywhere, or around a head."""
    right, bottom = max(0, right), max(0, bottom)
    if len(points) and rng.random() < dense:
        head = points.xy[rng.integers(len(points)) if focus is None else focus]
        left, top = np.floor(head).astype(int) - rng.integers(side, size=2)
        return min(max(int(left), 0), right), min(max(int(top), 0), bottom)
    return int(rng.integers(right + 1)), int(rng.integers(bottom + 1))
