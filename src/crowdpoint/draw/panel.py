"""The papers' rows of pictures: FIDTM's map with its points and boxes, P2PNet's points and its proposals.

Whatever the image's size, no cell of a row is wider or higher than `row.SIDE` pixels.
"""

import math
from dataclasses import replace

import cv2
import numpy as np

from crowdpoint.draw.photo import FILL, Color, Picture, dot, dots
from crowdpoint.draw.row import LEAST_SIDE, Cell, cell_size, colored, fitted, row
from crowdpoint.points import FloatArray, Points

TRUTH: Color = (255, 196, 0)
"""Colour of annotated points."""

BOX: Color = (124, 252, 60)

BOX_FACTOR = 0.6
"""Side of a drawn box per pixel of mean distance; the paper's 0.1 would be a pixel or two in a crowd."""

WINDOW_CELLS = 40
"""Side of what `proposal_panel` enlarges, in cells of the network's map."""

_SURE = 0.2  # scores above it are shown larger where there is no room for all
_WHITE: Color = (255, 255, 255)


def map_panel(image: Picture, points: Points, fidt_map: FloatArray, truth: Points | None = None) -> Picture:
    """The row of FIDTM, Fig. 5: image, true map, predicted map, predicted points and their boxes (Eq. 4).

    Both maps share one scale of colours from 0 to 1. What is coloured is the square root, since a FIDT map
    falls to a half within a pixel of the head.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: the predicted heads, in the pixels of `image`.
        fidt_map: (H, W) the predicted map.
        truth: the annotated heads, if known; without them the row has no true map.

    Raises:
        ValueError: if the map or the points are those of an image of another size.
    """
    from crowdpoint.methods.fidtm.targets import fidt_map as map_of

    size = _size(image, fidt_map, points, truth)
    photo = fitted(image, cell_size(size))
    found = _onto(photo, points, size)
    cells = _photos(photo, size, None)
    if truth is not None:
        wanted = map_of(replace(truth, image_size=size))
        cells.append(Cell(_map(photo, wanted), "Ground truth", f"{len(truth):,}"))
    cells.append(Cell(_map(photo, fidt_map), "Predicted map", scale="inferno"))
    dark = np.zeros_like(photo)
    dots(dark, found, _WHITE)
    cells.append(Cell(dark, "Points", f"{len(points):,}"))
    cells.append(Cell(_boxed(photo, found), "Boxes", f"{len(points):,}"))
    return row(cells)


def density_panel(
    image: Picture, count: int, density_map: FloatArray, truth: Points | None = None
) -> Picture:
    """The row of a density map: image, true points, and the map with the count that is its integral.

    Args:
        image: (H, W, 3) uint8 RGB.
        count: the map's integral.
        density_map: (H, W) the predicted map in any unit; its largest value has the brightest colour.
        truth: the annotated heads, if known; without them the row has no picture of them.

    Raises:
        ValueError: if the map or the heads are those of an image of another size.
    """
    size = _size(image, density_map, truth)
    photo = fitted(image, cell_size(size))
    density = Cell(_map(photo, density_map, float(density_map.max())), "Predicted density", f"{count:,}")
    return row([*_photos(photo, size, truth), density])


def point_panel(image: Picture, points: Points, truth: Points | None = None) -> Picture:
    """The row of P2PNet, Fig. 6: image, predicted points and true points, with both counts.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: the predicted heads, in the pixels of `image`.
        truth: the annotated heads, if known; without them the row has no third picture.

    Raises:
        ValueError: if the points are those of an image of another size.
    """
    size = _size(image, None, points, truth)
    photo = fitted(image, cell_size(size))
    plain, *true = _photos(photo, size, truth)
    return row([plain, _dotted(photo, size, points, "Predicted", FILL), *true])


def proposal_panel(image: Picture, proposals: Points, stride: int, reference: FloatArray) -> Picture:
    """All proposals of P2PNet coloured by their scores (P2PNet, Fig. 5), and its reference points (Fig. 4).

    The first picture has the proposals of the whole image. The others enlarge the part in its frame, where
    the scores are densest: the reference points of that part, and the proposals that lie in it.

    Args:
        image: (H, W, 3) uint8 RGB.
        proposals: every proposal on the image, in its pixels.
        stride: pixels per cell of the network's map.
        reference: (M, 2) the image's reference points (x, y).

    Raises:
        ValueError: if the proposals are those of an image of another size.
    """
    size = _size(image, None, proposals)
    photo = _dimmed(fitted(image, cell_size(size)))
    window = _densest(proposals, size, WINDOW_CELLS * stride)
    left, top, right, bottom = window
    factor = max(min(photo.shape[:2]), LEAST_SIDE) / max(right - left, bottom - top)
    enlarged = max(1, round(factor * (right - left))), max(1, round(factor * (bottom - top)))
    part = _dimmed(fitted(image[top:bottom, left:right], enlarged))
    every = _onto(photo, proposals, size)
    cells = [Cell(_framed(_scored(photo, every), size, window), "Proposals", f"{len(proposals):,}")]
    picture = part.copy()
    near = Points(reference, image_size=size).crop(*window)
    for x, y in _onto(part, near, (right - left, bottom - top)).xy:
        dot(picture, x, y, 0.1 * factor * stride, _WHITE)
    cells.append(Cell(picture, "Reference points", f"{len(reference):,}"))
    near = _onto(part, proposals.crop(*window), (right - left, bottom - top))
    order = np.argsort(near.scores, kind="stable")  # the surest on top
    colors = colored(near.scores[None, order], "plasma")[0].tolist()
    for (x, y), score, color in zip(near.xy[order], near.scores[order], colors, strict=True):
        dot(part, x, y, (0.16 + 0.16 * score) * factor * stride, (color[0], color[1], color[2]))
    cells.append(Cell(part, "Scores", scale="plasma"))
    return row(cells)


def _size(image: Picture, values: FloatArray | None, *heads: Points | None) -> tuple[int, int]:
    """The image's (width, height), which is that of a map and of the points, too."""
    height, width, _ = image.shape
    if values is not None and values.shape != (height, width):
        raise ValueError(f"map: expected shape {(height, width)}, found {values.shape}")
    for points in heads:
        if points is not None and points.image_size not in (None, (width, height)):
            raise ValueError(f"points: expected points on {width}x{height} pixels, found {points.image_size}")
    return width, height


def _photos(photo: Picture, size: tuple[int, int], truth: Points | None) -> list[Cell]:
    """What does not depend on the model: the photo, and again with the true points if they are known."""
    plain = Cell(photo, "Image", f"{size[0]}x{size[1]}")
    return [plain] if truth is None else [plain, _dotted(photo, size, truth, "Ground truth", TRUTH)]


def _dotted(photo: Picture, size: tuple[int, int], points: Points, name: str, fill: Color) -> Cell:
    picture = photo.copy()
    dots(picture, _onto(photo, points, size), fill)
    return Cell(picture, name, f"{len(points):,}")


def _onto(picture: Picture, points: Points, size: tuple[int, int]) -> Points:
    """Points on an image of `size` (width, height), in the pixels of a picture of it."""
    height, width, _ = picture.shape
    return points.scale(width / size[0], height / size[1], (width, height))


def _map(photo: Picture, values: FloatArray, largest: float = 1.0) -> Picture:
    """A map at the photo's size; where it is shrunk, a pixel has the highest of the cells it stands for."""
    shrink = math.ceil(values.shape[0] / photo.shape[0])
    highest = cv2.dilate(values, np.ones((shrink, shrink), np.uint8)) if shrink > 1 else values
    shown = cv2.resize(highest, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32)
    return colored(np.sqrt(shown.clip(0) / max(largest, 1e-6)), "inferno")


def _boxed(photo: Picture, points: Points) -> Picture:
    """The photo with a square around every point (FIDTM, Eq. 4)."""
    from crowdpoint.methods.fidtm.peaks import knn_boxes

    picture = photo.copy()
    sides = np.max(np.asarray(knn_boxes(points, f=BOX_FACTOR).sizes), axis=1, initial=0)
    for (x, y), side in zip(points.xy, sides, strict=True):
        corners = [[round(float(v + half) - 0.5) for v in (x, y)] for half in (-side / 2, side / 2)]
        cv2.rectangle(picture, corners[0], corners[1], BOX, 2 if side > 20 else 1)
    return picture


def _dimmed(photo: Picture) -> Picture:
    """Grey and darker, so that colours on it are those of scores alone."""
    grey = cv2.convertScaleAbs(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), alpha=0.6)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


def _scored(photo: Picture, proposals: Points) -> Picture:
    """The photo with every proposal coloured by its score, of those at one place the surest."""
    height, width, _ = photo.shape
    scores = np.full((height, width), -1, np.float32)
    near = proposals.inside()
    columns, rows = np.floor(near.xy).astype(np.intp).T
    np.maximum.at(scores, (rows, columns), near.scores)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    wide = cv2.dilate(scores, disc)
    scores = np.where(wide > _SURE, wide, scores)  # the many unsure ones stay as small as a pixel
    opacity = np.where(scores < 0, 0, 0.3 + 0.7 * scores)[..., None]
    mixed: Picture = np.rint(photo * (1 - opacity) + colored(scores, "plasma") * opacity).astype(np.uint8)
    return mixed


def _densest(proposals: Points, size: tuple[int, int], side: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a square of at most `side` pixels with the largest sum of scores."""
    width, height = (min(side, length) for length in size)
    step = max(1, side // 8)
    columns, rows = (length // step + 1 for length in size)
    column, row_ = (np.minimum(proposals.xy / step, (columns - 1, rows - 1)).astype(np.intp)).T
    sums = np.zeros((rows, columns), np.float32)
    np.add.at(sums, (row_, column), proposals.scores)
    around = cv2.blur(sums, (9, 9), borderType=cv2.BORDER_CONSTANT)
    best_row, best_column = np.unravel_index(int(around.argmax()), around.shape)
    left = int(np.clip((best_column + 0.5) * step - width / 2, 0, size[0] - width))
    top = int(np.clip((best_row + 0.5) * step - height / 2, 0, size[1] - height))
    return left, top, left + width, top + height


def _framed(picture: Picture, size: tuple[int, int], window: tuple[int, int, int, int]) -> Picture:
    """The picture of an image of `size` with a frame around a window (left, top, right, bottom) of it."""
    factor = picture.shape[1] / size[0]
    left, top, right, bottom = (round(factor * edge) for edge in window)
    cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), _WHITE, 2)
    return picture
