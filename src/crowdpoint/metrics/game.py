"""GAME: the counting error over ever finer grids, which sees what a single count hides (FIDTM, Eq. 13).

It is the metric of TRANCOS, whose images come with a region of interest outside which nothing counts.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from crowdpoint.points import Points

Region = npt.NDArray[np.bool_]


def within_region(points: Points, region: Region) -> Points:
    """The points on pixels where objects count.

    Args:
        points: any points; those outside the image are left out.
        region: (H, W) True where objects count.
    """
    height, width = region.shape
    column, row = np.floor(points.xy).astype(np.intp).T
    on = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    on[on] = region[row[on], column[on]]
    return points.select(on)


def game(predictions: Points, truth: Points, level: int) -> int:
    """Sum over a grid of 2^L x 2^L equal cells of |predicted - true count|, for one image (FIDTM, Eq. 13).

    Level 0 is the absolute counting error. A point outside the image counts in the nearest cell.

    Args:
        predictions: the points taken for objects.
        truth: the objects; it must know the image's size.
        level: L, at least 0.

    Raises:
        ValueError: if the level is negative or the image's size is unknown.
    """
    if level < 0:
        raise ValueError(f"level: expected at least 0, found {level}")
    size = truth.image_size
    if size is None:
        raise ValueError("game: the true points do not know their image's size; give image_size")
    side = 1 << level
    cells = _cells(truth, side, size), _cells(predictions, side, size)
    true, predicted = (np.bincount(cell, minlength=side * side) for cell in cells)
    return int(np.abs(predicted - true).sum())


class GridError:
    """Accumulates `game` image by image into its mean per level, GAME(0) ... GAME(3)."""

    def __init__(self, levels: Sequence[int] = (0, 1, 2, 3)) -> None:
        self._errors: dict[int, list[int]] = {level: [] for level in levels}

    def update(self, predictions: Points, truth: Points) -> None:
        """Adds one image; arguments and errors as `game`."""
        for level, errors in self._errors.items():
            errors.append(game(predictions, truth, level))

    def compute(self) -> dict[int, float]:
        """GAME(L) by level.

        Raises:
            ValueError: if there was no image.
        """
        if not all(self._errors.values()):
            raise ValueError("game: expected at least one image, found none")
        return {level: float(np.mean(errors)) for level, errors in self._errors.items()}


def _cells(points: Points, side: int, size: tuple[int, int]) -> npt.NDArray[np.intp]:
    """The cell of each point (row-major)."""
    # The product with a power of two is exact, and so is the quotient where it is whole: on a cell's border.
    place = np.floor(points.xy.astype(np.float64) * side / np.asarray(size)).astype(np.intp)
    cell: npt.NDArray[np.intp] = np.clip(place, 0, side - 1) @ (1, side)
    return cell
