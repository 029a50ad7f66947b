"""GAME, the counting error over grids of increasing resolution (FIDTM, Eq. 13), and regions of interest."""

from collections.abc import Sequence

import numpy as np

from crowdpoint.estimate import Estimate, F, Found
from crowdpoint.points import BoolArray, IntArray, Points


def filter_by_region(found: F, region: BoolArray) -> F:
    """Keep the points, or the squares of an estimate, where a region of interest (H, W) of the image is True.

    >>> len(filter_by_region(Points([[0.5, 0.5], [1.5, 0.5]]), np.array([[True, False]])))
    1
    """
    height, width = region.shape
    column, row = np.floor(found.xy).astype(np.intp).T
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    inside[inside] = region[row[inside], column[inside]]
    return found.select(inside)


def game(predictions: Found, truth: Points, level: int) -> float:
    """Sum |predicted - true count| over a grid of 2^L x 2^L equal cells of one image (FIDTM, Eq. 13).

    Level 0 is the absolute counting error. Points outside the image count in the nearest cell.

    Args:
        predictions: predicted objects, or an estimate, whose mass is not rounded.
        truth: true objects, with `image_size`.
        level: L, at least 0.

    Raises:
        ValueError: if the level is negative or `truth.image_size` is None.

    >>> left, right = Points([[1, 1]], image_size=(8, 8)), Points([[7, 1]], image_size=(8, 8))
    >>> game(left, right, level=0), game(left, right, level=1)
    (0.0, 2.0)
    """
    if level < 0:
        raise ValueError(f"level: expected at least 0, found {level}")
    size = truth.require_size()
    side = 1 << level
    masses = predictions.masses if isinstance(predictions, Estimate) else None
    true = np.bincount(_find_cells(truth, side, size), minlength=side * side)
    predicted = np.bincount(_find_cells(predictions, side, size), masses, minlength=side * side)
    return float(np.abs(predicted - true).sum())


class GridError:
    """Accumulator of mean `game` by level, GAME(0) ... GAME(3)."""

    def __init__(self, levels: Sequence[int] = (0, 1, 2, 3)) -> None:
        self._errors: dict[int, list[float]] = {level: [] for level in levels}

    def update(self, predictions: Found, truth: Points) -> None:
        """Add one image; arguments and errors are those of `game`."""
        for level, errors in self._errors.items():
            errors.append(game(predictions, truth, level))

    def merge(self, other: "GridError") -> None:
        """Add the images of another accumulator of the same levels."""
        for level, errors in self._errors.items():
            errors += other._errors[level]

    def compute(self) -> dict[int, float]:
        """Compute GAME(L) by level, over at least one image."""
        if not all(self._errors.values()):
            raise ValueError("game: expected at least one image, found none")
        return {level: float(np.mean(errors)) for level, errors in self._errors.items()}


def _find_cells(points: Found, side: int, size: tuple[int, int]) -> IntArray:
    """Find the row-major cell index of each point."""
    # Multiplying by a power of two is exact, so points on cell borders do not round to the wrong cell.
    place = np.floor(points.xy.astype(np.float64) * side / np.asarray(size)).astype(np.intp)
    cell: IntArray = np.clip(place, 0, side - 1) @ (1, side)
    return cell
