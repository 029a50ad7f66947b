"""Choose working scales that follow the sizes of the heads, so that the cost depends on the crowd.

The first look shrinks the image to `FIRST_SIDE` pixels. Cells with small heads are predicted again, enlarged,
until their heads are large enough or the scale is `LARGEST_SCALE`. Reduced looks find the heads that are
larger than the network knows. Each head is taken from the look in which its size is the better one; if
another look sees it well, too, its score is a mean of both.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from crowdpoint import images
from crowdpoint.points import BoolArray, FloatArray, IntArray, Points
from crowdpoint.recipe import ScalesConfig
from crowdpoint.tiles import Box

Look = Callable[[float, Box | None], Points]
"""Finds candidates with sizes at a scale, in a box of the image or on all of it; in pixels of the image."""

FIRST_SIDE = 1024
"""Longest side of the first look in pixels; smaller images are not resized."""

CELL = 64
"""Side of a cell in pixels of the first look."""

WANTED = 14.0
"""Median side in pixels to which the next look enlarges small heads."""

STEPS = (1.25, 3.0)
"""Range of the factor from a look's scale to the next one's."""

LARGEST_SCALE = 1.5
"""Largest working scale; above 1, because enlarged crowds are counted better."""

SMALLEST_LOOK = 128
"""Longest side in pixels of a look that is not reduced further."""

LARGEST_SIDE = 60.0
"""Largest side in working pixels of heads in training, with some tolerance."""

SMALLEST_SIDE = 12.0
"""Median side in working pixels below which heads of held-out photos are often missed."""

COMFORTABLE_SIDE = 30.0
"""Side in working pixels at which the largest head is seen at the scale that the warning proposes."""

LARGE = 40.0
"""Heads with a larger side in pixels than this belong to the next smaller look."""

OVERLAP = 1.25
"""Both looks keep heads within this factor of `LARGE`, but of two that meet only the higher score."""

FEWEST = 3
"""Minimum number of heads in a cell and its neighbours to predict it again."""

MEETING = (0.5, 2.2)
"""Maximum distance of two candidates that meet, relative to the larger side, and ratio of their sides."""

KNOWN = (10.0, 50.0)
"""Range of sides in pixels of the heads that a look can confirm for another look."""


class Scales(NamedTuple):
    """Range of the working scales at which the network saw an image."""

    coarsest: float
    finest: float


class Grid(NamedTuple):
    """Square cells of `side` pixels that divide an image of `size` (width, height) pixels."""

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

    def is_near(self, group: BoolArray, points: Points) -> BoolArray:
        """Check which points (N,) are in the cells of a group, or nearer to it than an eighth of a cell."""
        margin = self.side / 8
        near = group[self.place(points)]
        for dx, dy in itertools.product((-margin, margin), repeat=2):
            near |= group[self.place(points.shift(dx, dy))]
        return near

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


def search_scales(size: tuple[int, int], look: Look, config: ScalesConfig) -> Points:
    """Find candidates with sizes on an image of (width, height) pixels, at scales that follow its heads."""
    sure = config.sure
    first = min(1.0, FIRST_SIDE / max(size))
    scales, looks = [first], [look(first, None)]
    while len(scales) == 1 or (
        max(size) * scales[0] > SMALLEST_LOOK
        and (_measure_sides(looks[0].threshold(sure)) * scales[0] > LARGEST_SIDE).any()
    ):
        scales.insert(0, scales[0] * config.reduced)
        looks.insert(0, look(scales[0], None))
    grid = Grid(size, CELL / first)
    owners = np.full(grid.shape, len(looks) - 1, np.intp)
    while True:
        cells, factor = choose_small_headed(looks[-1].threshold(sure), grid, scales[-1], config.small)
        if not cells.any():
            return merge(looks, scales, owners, grid, config)
        owners[cells] = len(looks)
        scales.append(scales[-1] * factor)
        found = [(group, look(scales[-1], box)) for group, box in grid.groups(cells)]
        looks.append(Points.concat([points.select(grid.is_near(group, points)) for group, points in found]))


def choose_small_headed(points: Points, grid: Grid, scale: float, small: float) -> tuple[BoolArray, float]:
    """Choose the cells in which the candidates of a look at a scale have a smaller median side than `small`.

    Returns:
        The cells (rows, columns), and the factor to the scale at which their heads have the wanted size,
        limited by `STEPS` and `LARGEST_SCALE`. No cell is chosen if that leaves less than the smallest step.
    """
    import cv2

    chosen = np.zeros(grid.shape, np.bool_)
    width, height = grid.size
    within = 0.999 * math.sqrt(images.PIXEL_LIMIT / (width * height))  # sides are rounded
    most = min(STEPS[1], min(LARGEST_SCALE, max(1.0, within)) / scale)
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
        if median < small:
            chosen[r, c] = True
            medians.append(median)
    if not medians:
        return chosen, 1.0
    return chosen, float(np.clip(WANTED / np.median(medians), STEPS[0], most))


def merge(
    looks: Sequence[Points],
    scales: Sequence[float],
    owners: IntArray,
    grid: Grid,
    config: ScalesConfig,
) -> Points:
    """Take each head from the look in which its size is the better one, and combine the scores of two looks.

    Args:
        looks: the candidates of two looks or more, in pixels of the image.
        scales: their scales, rising.
        owners: (rows, columns) the last look that covers each cell of `grid`.
        grid: the cells.
        config: minimum score of the candidates that are compared, and the weight of the other look's score.
    """
    sure, weight = config.sure, config.confirmation
    meetings = {
        (one, two): _find_meetings(looks[one], looks[two], sure)
        for one, two in itertools.combinations(range(len(looks)), 2)
    }
    scores, kept = [], []
    for number, points in enumerate(looks):
        other = number - 1 if number else 1
        ours, theirs = meetings[other, number][::-1] if number else meetings[0, 1]
        best = np.zeros(len(points), np.float32)
        np.maximum.at(best, ours, looks[other].scores[theirs])
        seen = _measure_sides(points) * scales[other]
        known = (seen >= KNOWN[0]) & (seen <= KNOWN[1]) & (points.scores >= sure)
        mean = (1 - weight) * points.scores + weight * best
        scores.append(np.where(known, mean, points.scores))
        owner = owners[grid.place(points)]
        if number:  # beside the cells of a look, its heads are those that the look before sees in them
            covered = owners[grid.place(looks[other])][theirs] >= number
            owner[ours[covered]] = np.maximum(owner[ours[covered]], number)
        kept.append(_choose_own(points, number, scales, owner))
    pairs = [
        (max(scores[coarse][one], scores[fine][two]), coarse, fine, one, two)
        for (coarse, fine), (ours, theirs) in meetings.items()
        for one, two in zip(ours, theirs, strict=True)
        if kept[coarse][one] and kept[fine][two]
    ]
    # From the highest score on, so that a candidate that another removes removes nobody.
    for _, coarse, fine, one, two in sorted(pairs, reverse=True):
        if kept[coarse][one] and kept[fine][two]:
            if scores[coarse][one] >= scores[fine][two]:
                kept[fine][two] = False
            else:
                kept[coarse][one] = False
    parts = zip(looks, scores, kept, strict=True)
    return Points.concat(replace(points, scores=score).select(own) for points, score, own in parts)


def warn(points: Points, coarsest: float, finest: float) -> str | None:
    """Warn of a count that may be far off, in one sentence with the remedy; None for heads of usual sizes.

    Takes the selected points, in pixels of the image, and its smallest and largest working scale.
    """
    if points.sizes is None or not len(points):
        return None
    sides = points.sizes.max(axis=1)
    largest, median = float(sides.max()), float(np.median(sides))
    if largest * coarsest > LARGEST_SIDE:
        return (
            f"some heads are larger than the model knows, up to {largest:.0f} pixels, and may be counted in "
            f"parts or missed; compare the count at a scale of {COMFORTABLE_SIDE / largest:.2g}"
        )
    if median * finest < SMALLEST_SIDE:
        return (
            f"half of the heads are smaller than {median:.0f} pixels, and such heads are often missed; a "
            "closer or larger photo gives a better count"
        )
    return None


def _find_meetings(coarse: Points, fine: Points, sure: float) -> tuple[IntArray, IntArray]:
    """Return the indices (M,) of the candidates of two looks that may be the same head."""
    from scipy.spatial import cKDTree

    reach, ratio = MEETING
    ours, theirs = np.flatnonzero(coarse.scores >= sure), np.flatnonzero(fine.scores >= sure)
    if not len(ours) or not len(theirs):
        return ours[:0], theirs[:0]
    sides = _measure_sides(coarse)
    near = cKDTree(fine.xy[theirs]).query_ball_point(coarse.xy[ours], reach * sides[ours])
    first = np.repeat(ours, [len(others) for others in near])
    second = theirs[np.concatenate(near).astype(np.intp)]
    factor = sides[first] / np.maximum(_measure_sides(fine)[second], 1e-6)
    alike = (factor > 1 / ratio) & (factor < ratio)
    return first[alike], second[alike]


def _choose_own(points: Points, number: int, scales: Sequence[float], owner: IntArray) -> BoolArray:
    """Choose the candidates (N,) whose size is best in this look; `owner` (N,) is the last look of each."""
    sides = _measure_sides(points)
    own: BoolArray = owner >= number
    if number:
        own &= sides * scales[number] < LARGE * OVERLAP
    if number + 1 < len(scales):
        own &= (owner == number) | (sides * scales[number + 1] >= LARGE / OVERLAP)
    return own


def _measure_sides(points: Points) -> FloatArray:
    """Return the sides (N,) of the square boxes in pixels; without points, there may be none."""
    return np.empty(0, np.float32) if points.sizes is None else points.sizes[:, 0]
