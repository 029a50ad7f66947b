"""Draw the panels of the papers' figures: FIDTM's maps, points and boxes, P2PNet's points and proposals.

No cell of a panel is wider or higher than `row.SIDE` pixels.
"""

import math

import cv2
import numpy as np

from crowdpoint.draw.photo import FILL, copy_image, draw_dot, draw_dots
from crowdpoint.draw.row import LEAST_SIDE, Cell, apply_colors, build_row, compute_cell_size
from crowdpoint.draw.text import Color
from crowdpoint.images import resize, scaled_size
from crowdpoint.neighbors import knn_boxes
from crowdpoint.points import FloatArray, Picture, Points

TRUTH: Color = (255, 196, 0)
"""Colour of annotated points."""

BOX: Color = (124, 252, 60)

BOX_FACTOR = 0.6
"""Factor f of drawn boxes (FIDTM, Eq. 4); the paper's 0.1 would give one or two pixels in a crowd."""

WINDOW_CELLS = 40
"""Side of the window that `proposal_panel` enlarges, in cells of the network's map."""

_ENLARGED_SCORE = 0.2  # scores above are drawn larger
_WHITE: Color = (255, 255, 255)


def map_panel(
    image: Picture,
    points: Points,
    predicted_map: FloatArray,
    truth: Points | None = None,
    true_map: FloatArray | None = None,
) -> Picture:
    """Draw the panel of FIDTM, Fig. 5: image, true map, predicted map, points and boxes (Eq. 4).

    Both maps share a colour scale from 0 to 1, of the square root, because FIDT maps are steep.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: predicted heads, in pixels of `image`.
        predicted_map: (H, W) predicted FIDT map.
        truth: annotated heads; without them, the panel has no ground truth.
        true_map: (H, W) map of `truth`; without it, the panel shows `truth` as points.
    """
    size, photo = _shrink(image, predicted_map, points, truth)
    scaled = _scale_points(photo, points, size)
    cells = _draw_photos(photo, size, truth if true_map is None else None)
    if truth is not None and true_map is not None:
        cells.append(Cell(_draw_map(photo, true_map), "Ground truth", f"{len(truth):,}"))
    cells.append(Cell(_draw_map(photo, predicted_map), "Predicted map", scale="inferno"))
    dark = np.zeros_like(photo)
    draw_dots(dark, scaled, _WHITE)
    cells.append(Cell(dark, "Points", f"{len(points):,}"))
    cells.append(Cell(_draw_boxes(photo, scaled), "Boxes", f"{len(points):,}"))
    return build_row(cells)


def density_panel(
    image: Picture, count: int, density_map: FloatArray, truth: Points | None = None
) -> Picture:
    """Draw the panel of a density map: image, true points, and the map with the predicted count.

    Args:
        image: (H, W, 3) uint8 RGB.
        count: integral of the map.
        density_map: (H, W) predicted map in any unit; its maximum has the brightest colour.
        truth: annotated heads; without them, the panel has no true points.
    """
    size, photo = _shrink(image, density_map, truth)
    density = Cell(_draw_map(photo, density_map, float(density_map.max())), "Predicted density", f"{count:,}")
    return build_row([*_draw_photos(photo, size, truth), density])


def point_panel(image: Picture, points: Points, truth: Points | None = None) -> Picture:
    """Draw the panel of P2PNet, Fig. 6: image, predicted points and, if known, true points, with counts."""
    size, photo = _shrink(image, None, points, truth)
    plain, *true = _draw_photos(photo, size, truth)
    return build_row([plain, _draw_points(photo, size, points, "Predicted", FILL), *true])


def proposal_panel(image: Picture, proposals: Points, stride: int, reference: FloatArray) -> Picture:
    """Draw P2PNet's proposals coloured by score (P2PNet, Fig. 5), and its reference points (Fig. 4).

    The first picture shows all proposals. The others enlarge the framed window with the largest sum of
    scores: its reference points and its proposals.

    Args:
        image: (H, W, 3) uint8 RGB.
        proposals: all proposals, in pixels of the image.
        stride: pixels per cell of the network's map.
        reference: (M, 2) reference points (x, y) of the image.
    """
    size, photo = _shrink(image, None, proposals)
    window = _find_densest_window(proposals, size, WINDOW_CELLS * stride)
    left, top, right, bottom = window
    factor = max(min(photo.shape[:2]), LEAST_SIDE) / max(right - left, bottom - top)
    enlarged = scaled_size((right - left, bottom - top), factor)
    part = _dim(resize(image[top:bottom, left:right], enlarged))
    scored = _draw_scores(_dim(photo), _scale_points(photo, proposals, size))
    corners = np.rint(photo.shape[1] / size[0] * np.reshape(window, (2, 2))).astype(int)
    cv2.rectangle(scored, corners[0].tolist(), (corners[1] - 1).tolist(), _WHITE, 2)
    cells = [Cell(scored, "Proposals", f"{len(proposals):,}")]
    picture = part.copy()
    near = Points(reference, image_size=size).crop(*window)
    for x, y in _scale_points(part, near, (right - left, bottom - top)).xy:
        draw_dot(picture, x, y, 0.1 * factor * stride, _WHITE)
    cells.append(Cell(picture, "Reference points", f"{len(reference):,}"))
    near = _scale_points(part, proposals.crop(*window), (right - left, bottom - top))
    order = np.argsort(near.scores, kind="stable")  # draw the highest scores last, on top
    colors = apply_colors(near.scores[None, order], "plasma")[0].tolist()
    for (x, y), score, color in zip(near.xy[order], near.scores[order], colors, strict=True):
        draw_dot(part, x, y, (0.16 + 0.16 * score) * factor * stride, (color[0], color[1], color[2]))
    cells.append(Cell(part, "Scores", scale="plasma"))
    return build_row(cells)


def _shrink(
    image: Picture, values: FloatArray | None, *heads: Points | None
) -> tuple[tuple[int, int], Picture]:
    """Check that a map and points have the size of an image; return the size, and the image as a cell."""
    height, width, _ = image.shape
    if values is not None and values.shape != (height, width):
        raise ValueError(f"map: expected shape {(height, width)}, found {values.shape}")
    return (width, height), resize(copy_image(image, *heads), compute_cell_size((width, height)))


def _draw_photos(photo: Picture, size: tuple[int, int], truth: Points | None) -> list[Cell]:
    """Draw the cells that do not depend on the model: the photo, and the true points if known."""
    plain = Cell(photo, "Image", f"{size[0]}x{size[1]}")
    return [plain] if truth is None else [plain, _draw_points(photo, size, truth, "Ground truth", TRUTH)]


def _draw_points(photo: Picture, size: tuple[int, int], points: Points, name: str, fill: Color) -> Cell:
    picture = photo.copy()
    draw_dots(picture, _scale_points(photo, points, size), fill)
    return Cell(picture, name, f"{len(points):,}")


def _scale_points(picture: Picture, points: Points, size: tuple[int, int]) -> Points:
    """Scale points on an image of `size` (width, height) to the size of a picture."""
    height, width, _ = picture.shape
    return points.scale(width / size[0], height / size[1], (width, height))


def _draw_map(photo: Picture, values: FloatArray, largest: float = 1.0) -> Picture:
    """Draw a map at the photo's size, shrinking it by the maximum of the cells of each pixel."""
    shrink = math.ceil(values.shape[0] / photo.shape[0])
    highest = cv2.dilate(values, np.ones((shrink, shrink), np.uint8)) if shrink > 1 else values
    # Not `images.resize`, whose mean over the cells of a pixel would dim their maximum.
    shown = cv2.resize(highest, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32)
    return apply_colors(np.sqrt(shown.clip(0) / max(largest, 1e-6)), "inferno")


def _draw_boxes(photo: Picture, points: Points) -> Picture:
    """Draw a square around every point (FIDTM, Eq. 4)."""
    picture = photo.copy()
    sides = np.max(np.asarray(knn_boxes(points, f=BOX_FACTOR).sizes), axis=1, initial=0)
    for (x, y), side in zip(points.xy, sides, strict=True):
        corners = [[round(float(v + half) - 0.5) for v in (x, y)] for half in (-side / 2, side / 2)]
        cv2.rectangle(picture, corners[0], corners[1], BOX, 2 if side > 20 else 1)
    return picture


def _dim(photo: Picture) -> Picture:
    grey = cv2.convertScaleAbs(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), alpha=0.6)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


def _draw_scores(photo: Picture, proposals: Points) -> Picture:
    height, width, _ = photo.shape
    scores = np.full((height, width), -1, np.float32)
    near = proposals.inside()
    columns, rows = np.floor(near.xy).astype(np.intp).T
    np.maximum.at(scores, (rows, columns), near.scores)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    wide = cv2.dilate(scores, disc)
    scores = np.where(wide > _ENLARGED_SCORE, wide, scores)  # low scores stay one pixel wide
    opacity = np.where(scores < 0, 0, 0.3 + 0.7 * scores)[..., None]
    colors = apply_colors(scores, "plasma")
    mixed: Picture = np.rint(photo * (1 - opacity) + colors * opacity).astype(np.uint8)
    return mixed


def _find_densest_window(proposals: Points, size: tuple[int, int], side: int) -> tuple[int, int, int, int]:
    """Find the square (left, top, right, bottom) of at most `side` pixels with the largest sum of scores."""
    width, height = (min(side, length) for length in size)
    step = max(1, side // 8)
    columns, rows = (length // step + 1 for length in size)
    column, row_ = np.clip(proposals.xy / step, 0, (columns - 1, rows - 1)).astype(np.intp).T
    sums = np.zeros((rows, columns), np.float32)
    np.add.at(sums, (row_, column), proposals.scores)
    around = cv2.blur(sums, (9, 9), borderType=cv2.BORDER_CONSTANT)
    best_row, best_column = np.unravel_index(int(around.argmax()), around.shape)
    left = int(np.clip((best_column + 0.5) * step - width / 2, 0, size[0] - width))
    top = int(np.clip((best_row + 0.5) * step - height / 2, 0, size[1] - height))
    return left, top, left + width, top + height
