"""Result of a method that counts and does not locate."""

from dataclasses import dataclass, replace
from typing import Self, TypeVar

import numpy as np

from crowdpoint.errors import ModelError
from crowdpoint.points import DoubleArray, FloatArray, IndexArray, Points


@dataclass(frozen=True, eq=False, slots=True)
class Estimate:
    """Estimated number of objects on one image, the mass of a density map; `len(estimate)` is the count.

    Attributes:
        xy: (N, 2) float32, centres (x, y) in pixels of the squares that the map is summed over.
        masses: (N,) float64, objects in each square; may be negative.
        image_size: (width, height) of the image in pixels.
    """

    xy: FloatArray
    masses: DoubleArray
    image_size: tuple[int, int]

    def __len__(self) -> int:
        return max(round(float(self.masses.sum())), 0)

    def select(self, index: IndexArray) -> Self:
        """Keep the squares at `index`: a boolean mask (N,) or integer positions."""
        return replace(self, xy=self.xy[index], masses=self.masses[index])

    def scale(self, sx: float, sy: float, image_size: tuple[int, int]) -> Self:
        """Scale the coordinates, as a resize of the image does; the masses stay."""
        return replace(self, xy=self.xy * np.array((sx, sy), np.float32), image_size=image_size)


COUNTS_ONLY = "its method counts and does not locate, so that it has no points; use its count"

Found = Points | Estimate
"""The result of any method on one image."""

F = TypeVar("F", Points, Estimate, Found)


def apply_threshold(found: F, minimum: float) -> F:
    """Keep the points whose score is at least `minimum`; an estimate has no scores and stays as it is."""
    return found.threshold(minimum) if isinstance(found, Points) else found


def require_points(found: Found, model: str) -> Points:
    """Return the points of a method that locates; for another, raise a ModelError that names `model`."""
    if isinstance(found, Points):
        return found
    raise ModelError(f"{model}: {COUNTS_ONLY}")
