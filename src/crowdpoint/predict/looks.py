"""A working scale that follows the crowd.

The first look shrinks the image to `FIRST_SIDE` pixels. Cells whose heads are small there are looked at
again, enlarged, until their heads are large enough or the scale is `LARGEST_SCALE`. A reduced look finds
the heads that are larger than the network knows. Each head is taken from the look that sees it at the better
size. So the cost follows the crowd and not the number of pixels.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from crowdpoint.points import BoolArray, FloatArray, IntArray, Points
from crowdpoint.tiles import Box

Look = Callable[[float, Box | None], Points]
"""Finds the candidates at a scale, in a box of the image or on all of it, with their sizes; in pixels of the
image."""

FIRST_SIDE = 1024
"""Longest side of the first look in pixels; smaller images are looked at as they are."""

CELL = 64
"""Side of a cell in pixels of the first look."""

SMALL = 9.0
"""Cells whose heads have a smaller median side in pixels than this are looked at again."""

WANTED = 14.0
"""Median side in pixels that the next look enlarges these heads to."""

STEPS = (1.25, 3.0)
"""Range of the factor from a look's scale to the next one's."""

LARGEST_SCALE = 1.5
"""Largest working scale: a little beyond the image's own pixels, as enlarged crowds count better."""

REDUCED = 0.35
"""Scale of the reduced look as a part of the first one's."""

LARGE = 40.0
"""Heads with a larger side in pixels than this belong to the next smaller look."""

OVERLAP = 1.25
"""Both looks keep the heads within this factor of `LARGE`; the surer of two that meet is kept."""

FEWEST = 3
"""Heads in a cell and its neighbours without which it is not looked at again."""

MEETING = (0.5, 2.2)
"""Two candidates meet if they are nearer than the first times the larger side, and their sides differ by less
than the second as a factor."""

DOUBTFUL = 0.1
"""Candidates with a smaller score than this are not compared with those of another look."""


class Scales(NamedTuple):
    """Range of the working scales at which the network saw an image."""

    coarsest: float
    finest: float


class Grid(NamedTuple):
    """Square cells that divide an image.

    Attributes:
        size: (width, height) of the image in pixels.
        side: side of a cell in pixels of the image.
    """

    size: tuple[int, int]
    side: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        width, height = self.size
        return max(1, -int(-height // self.side)), max(1, -int(-width // self.side))

    def place(self, points: Points) -> tuple[IntArray, IntArray]:
        """Find the row and column of each point's cell, the nearest one for points outside the image."""
        rows, columns = self.shape
        column, row = np.floor(points.xy / self.side).astype(np.intp).T
        return row.clip(0, rows - 1), column.clip(0, columns - 1)

    def groups(self, cells: BoolArray) -> list[tuple[BoolArray, Box]]:
        """Group adjacent cells, each group with its bounding box in pixels of the image."""
        import cv2

        count, labels = cv2.connectedComponents(cells.astype(np.uint8), connectivity=8)
        width, height = self.size
        groups = []
        for label in range(1, count):
            rows, columns = np.nonzero(labels == label)
            left, top = (int(first * self.side) for first in (columns.min(), rows.min()))
            right, bottom = (math.ceil((last + 1) * self.side) for last in (columns.max(), rows.max()))
            groups.append((labels == label, (left, top, min(right, width), min(bottom, height))))
        return groups


def search_scales(size: tuple[int, int], look: Look, sure: float) -> Points:
    """Find the candidates on an image at scales that follow the sizes of its heads.

    Args:
        size: (width, height) of the image in pixels.
        look: runs the network.
        sure: least score of the candidates that decide where to look again.

    Returns:
        Scored candidates with sizes, in pixels of the image.
    """
    first = min(1.0, FIRST_SIDE / max(size))
    scales = [first * REDUCED, first]
    looks = [look(scale, None) for scale in scales]
    grid = Grid(size, CELL / first)
    owners = np.ones(grid.shape, np.intp)
    while True:
        cells, factor = choose_small_headed(looks[-1].threshold(sure), grid, scales[-1])
        cells &= owners == len(looks) - 1
        if not cells.any():
            return merge(looks, scales, owners, grid)
        owners[cells] = len(looks)
        scales.append(scales[-1] * factor)
        found = [(group, look(scales[-1], box)) for group, box in grid.groups(cells)]
        looks.append(Points.concat([points.select(group[grid.place(points)]) for group, points in found]))


def choose_small_headed(points: Points, grid: Grid, scale: float) -> tuple[BoolArray, float]:
    """Choose the cells whose heads are too small at a scale.

    Args:
        points: candidates with sizes, in pixels of the image.
        grid: the cells.
        scale: of the look that found them.

    Returns:
        The cells (rows, columns), and the factor to the scale at which their heads have the wanted size,
        limited by `STEPS` and `LARGEST_SCALE`. No cell is chosen if that leaves less than the smallest step.
    """
    import cv2

    chosen = np.zeros(grid.shape, np.bool_)
    most = min(STEPS[1], LARGEST_SCALE / scale)
    if most < STEPS[0] or not len(points):
        return chosen, 1.0
    sides = _measure_sides(points) * scale
    row, column = grid.place(points)
    counts = np.zeros(grid.shape, np.float32)
    np.add.at(counts, (row, column), 1)
    around = cv2.boxFilter(counts, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    medians = []
    for r, c in zip(*np.nonzero((around >= FEWEST) & (counts > 0)), strict=True):
        median = float(np.median(sides[(row == r) & (column == c)]))
        if median < SMALL:
            chosen[r, c] = True
            medians.append(median)
    if not medians:
        return chosen, 1.0
    return chosen, float(np.clip(WANTED / np.median(medians), STEPS[0], most))


def merge(looks: Sequence[Points], scales: Sequence[float], owners: IntArray, grid: Grid) -> Points:
    """Take each head from the look that sees it at the better size.

    Args:
        looks: the candidates of each look with sizes, in pixels of the image.
        scales: their scales, rising.
        owners: (rows, columns) the last look that covers each cell.
        grid: the cells.
    """
    kept = []
    for number, (points, scale) in enumerate(zip(looks, scales, strict=True)):
        if not len(points):
            continue
        owner = owners[grid.place(points)]
        sides = _measure_sides(points)
        own = owner >= number
        if number:
            own &= sides * scale < LARGE * OVERLAP
        if number + 1 < len(scales):
            own &= (owner == number) | (sides * scales[number + 1] >= LARGE / OVERLAP)
        kept.append(points.select(own))
    for number in range(len(kept) - 1):
        kept[number : number + 2] = _remove_doubles(*kept[number : number + 2])
    return Points.concat(kept) if kept else Points.empty(grid.size)


def _remove_doubles(coarse: Points, fine: Points) -> tuple[Points, Points]:
    """Keep the surer of two candidates of different looks that meet."""
    from scipy.spatial import cKDTree

    reach, ratio = MEETING
    doubtless = np.flatnonzero(coarse.scores >= DOUBTFUL), np.flatnonzero(fine.scores >= DOUBTFUL)
    if not all(map(len, doubtless)):
        return coarse, fine
    sides = _measure_sides(coarse), _measure_sides(fine)
    tree = cKDTree(fine.xy[doubtless[1]])
    near = tree.query_ball_point(coarse.xy[doubtless[0]], reach * sides[0][doubtless[0]])
    keep = np.ones(len(coarse), np.bool_), np.ones(len(fine), np.bool_)
    for one, others in zip(doubtless[0], near, strict=True):
        for other in doubtless[1][others]:
            alike = 1 / ratio < sides[0][one] / max(sides[1][other], 1e-6) < ratio
            if alike and keep[0][one] and keep[1][other]:
                surer = coarse.scores[one] >= fine.scores[other]
                keep[int(surer)][other if surer else one] = False
    return coarse.select(keep[0]), fine.select(keep[1])


def _measure_sides(points: Points) -> FloatArray:
    """Return the sides (N,) of the square boxes in pixels."""
    if points.sizes is None:
        raise ValueError("points: expected the sizes that the network predicts, found none")
    return points.sizes[:, 0]
