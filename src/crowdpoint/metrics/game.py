"""GAME: the counting error over ever finer grids, which sees what a single count hides (FIDTM, Eq. 13).

It is the metric of TRANCOS, whose images come with a region of interest outside which nothing counts.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from crowdpoint.estimate import Estimate, F, Found
from crowdpoint.points import Points

Region = npt.NDArray[np.bool_]


def within_region(found: F, region: Region) -> F:
    """Keep the points, or the squares of an estimate, that lie on pixels where objects count.

    Args:
        found: a result; what lies outside the image is left out.
        region: (H, W) True where objects count.
    """
    height, width = region.shape
    column, row = np.floor(found.xy).astype(np.intp).T
    on = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    on[on] = region[row[on], column[on]]
    return found.select(on)


def game(predictions: Found, truth: Points, level: int) -> float:
    """Sum over a grid of 2^L x 2^L equal cells of |predicted - true count|, for one image (FIDTM, Eq. 13).

    Level 0 is the absolute counting error. A point outside the image counts in the nearest cell.

    Args:
        predictions: the points taken for objects, or an estimate, whose mass is not rounded.
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
    masses = predictions.masses if isinstance(predictions, Estimate) else None
    true = np.bincount(_cells(truth, side, size), minlength=side * side)
    predicted = np.bincount(_cells(predictions, side, size), masses, minlength=side * side)
    return float(np.abs(predicted - true).sum())


class GridError:
    """Accumulates `game` image by image into its mean per level, GAME(0) ... GAME(3)."""

    def __init__(self, levels: Sequence[int] = (0, 1, 2, 3)) -> None:
        self._errors: dict[int, list[float]] = {level: [] for level in levels}

    def update(self, predictions: Found, truth: Points) -> None:
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


def _cells(points: Found, side: int, size: tuple[int, int]) -> npt.NDArray[np.intp]:
    """The cell of each point (row-major)."""
    # The product with a power of two is exact, and so is the quotient where it is whole: on a cell's border.
    place = np.floor(points.xy.astype(np.float64) * side / np.asarray(size)).astype(np.intp)
    cell: npt.NDArray[np.intp] = np.clip(place, 0, side - 1) @ (1, side)
    return cell
