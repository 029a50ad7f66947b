"""`Points`: the scored points of one image, predicted or annotated.

Coordinates are pixels of the original image, x right and y down, with the origin at the top-left
corner of the top-left pixel: pixel (column c, row r) covers [c, c + 1) x [r, r + 1).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
RealArray = FloatArray | DoubleArray
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]
IndexArray = BoolArray | IntArray
Picture = npt.NDArray[np.uint8]
"""Pixels of an image: (H, W, 3) RGB, or (H, W) of one channel."""

_PREVIEW_SIDE = 320  # longer side of the notebook preview, in pixels


@dataclass(frozen=True, eq=False, slots=True)
class Points:
    """Immutable, validated points on one image; `len(points)` is the count.

    Attributes:
        xy: (N, 2) float32, (x, y) in pixels of the original image. Finite; may lie outside the image.
        scores: (N,) float32 in [0, 1]; 1 for annotations. Defaults to ones.
        sizes: (N, 2) float32, width and height in pixels of a box centred on each point; None without boxes.
        image_size: (width, height) of the image in pixels; None if unknown.

    Raises:
        ValueError: if a shape is wrong or a value is out of range or not finite.
        TypeError: if `xy` is a `Points`, whose scores and sizes would be lost.

    >>> points = Points([[10, 20], [30.5, 40]], scores=[0.9, 0.4], image_size=(64, 48))
    >>> len(points), len(points.threshold(0.5))
    (2, 1)
    """

    xy: FloatArray
    scores: FloatArray = None  # type: ignore[assignment]  # None means ones
    sizes: FloatArray | None = None
    image_size: tuple[int, int] | None = None

    if TYPE_CHECKING:  # the fields are made of whatever NumPy makes arrays of

        def __init__(
            self,
            xy: npt.ArrayLike,
            scores: npt.ArrayLike | None = None,
            sizes: npt.ArrayLike | None = None,
            image_size: tuple[int, int] | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        xy = _freeze(self.xy)
        xy = xy if xy.size else xy.reshape(0, 2)
        if xy.ndim != 2 or xy.shape[1] != 2:
            raise ValueError(f"xy: expected shape (N, 2), found {xy.shape}")
        if not np.isfinite(xy).all():
            raise ValueError("xy: expected finite coordinates, found NaN, infinity or beyond float32")
        scores = _freeze(np.ones(len(xy)) if self.scores is None else self.scores)
        if scores.shape != (len(xy),):
            raise ValueError(f"scores: expected shape ({len(xy)},), found {scores.shape}")
        if not ((scores >= 0) & (scores <= 1)).all():
            raise ValueError("scores: expected values in [0, 1]")
        object.__setattr__(self, "xy", xy)
        object.__setattr__(self, "scores", scores)
        if self.sizes is not None:
            sizes = _freeze(self.sizes)
            sizes = sizes if sizes.size else sizes.reshape(0, 2)
            if sizes.shape != xy.shape:
                raise ValueError(f"sizes: expected shape {xy.shape}, found {sizes.shape}")
            if not (np.isfinite(sizes) & (sizes >= 0)).all():
                raise ValueError("sizes: expected finite values of at least 0")
            object.__setattr__(self, "sizes", sizes)
        if self.image_size is not None:
            width, height = (int(side) for side in self.image_size)
            if min(width, height) <= 0 or (width, height) != tuple(self.image_size):
                raise ValueError(
                    f"image_size: expected positive (width, height) in whole pixels, found {self.image_size}"
                )
            object.__setattr__(self, "image_size", (width, height))

    def __reduce__(self) -> tuple[Any, ...]:
        # Rebuild through the constructor: unpickled arrays are writable.
        return type(self), (self.xy, self.scores, self.sizes, self.image_size)

    @classmethod
    def empty(cls, image_size: tuple[int, int] | None = None) -> Self:
        """Return zero points on an image of `image_size` (width, height)."""
        return cls(np.empty((0, 2), np.float32), image_size=image_size)

    def __len__(self) -> int:
        return len(self.xy)

    def __getitem__(self, index: SupportsIndex | slice | Sequence[int] | IndexArray) -> Self:
        """Return the points at a position, a slice, a sequence of positions or a mask (N,) as `Points`.

        >>> points = Points(np.array([[1, 2], [3, 4], [5, 6]]))
        >>> points[-1].xy.tolist(), len(points[:2]), len(points[points.xy[:, 0] > 1])
        ([[5.0, 6.0]], 2, 2)
        """
        if isinstance(index, slice):
            return self.select(np.arange(len(self))[index])
        chosen = np.atleast_1d(np.asarray(index))
        if not chosen.size:
            chosen = chosen.astype(np.intp)
        if chosen.ndim != 1 or chosen.dtype.kind not in "biu":
            raise TypeError(
                f"index: expected a position, a slice, positions or a mask (N,), found {type(index).__name__}"
            )
        return self.select(chosen)

    def __iter__(self) -> Iterator[Self]:
        """Iterate over the points, each as `Points` of length 1."""
        return (self[position] for position in range(len(self)))

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return the coordinates (N, 2), for functions that accept arrays."""
        return np.array(self.xy, dtype, copy=copy)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Points):
            return NotImplemented
        return self.image_size == other.image_size and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("xy", "scores", "sizes")
        )

    def _repr_html_(self) -> str:
        """Render the count and an SVG scatter plot for notebooks."""
        (left, top), (right, bottom) = (0, 0), self.image_size or (1, 1)
        if self.image_size is None and len(self):
            (left, top), (right, bottom) = self.xy.min(axis=0) - 1, self.xy.max(axis=0) + 1
        width, height = right - left, bottom - top
        scale = _PREVIEW_SIDE / max(width, height)
        places = np.round((self.xy - (left, top)) * scale, 1).tolist()
        dot = np.clip(0.3 * _PREVIEW_SIDE / max(len(self), 1) ** 0.5, 1.5, 7)
        size = f"width='{max(1, width * scale):.0f}' height='{max(1, height * scale):.0f}'"
        about = f" on {self.image_size[0]}x{self.image_size[1]} pixels" if self.image_size else ""
        return (
            f"<div><b>{len(self):,}</b> point{'s' * (len(self) != 1)}{about}<br>"
            f"<svg {size} style='background:#14202c' role='img' aria-label='{len(self)} points'>"
            f"<path d='{''.join(f'M{x:g} {y:g}h0' for x, y in places)}' stroke='#00e5ff' "
            f"stroke-width='{dot:.1f}' stroke-linecap='round'/></svg></div>"
        )

    def select(self, index: IndexArray) -> Self:
        """Return the points at `index`, a boolean mask (N,) or integer positions."""
        sizes = None if self.sizes is None else self.sizes[index]
        return replace(self, xy=self.xy[index], scores=self.scores[index], sizes=sizes)

    def threshold(self, minimum: float) -> Self:
        """Keep points whose score is at least `minimum`.

        >>> Points([[1, 2], [3, 4]], scores=[0.2, 0.8]).threshold(0.5).xy.tolist()
        [[3.0, 4.0]]
        """
        if math.isnan(minimum):
            raise ValueError("minimum: expected a number, found NaN")
        return self.select(self.scores >= np.float32(minimum))  # a float64 0.7 is above float32's

    def inside(self) -> Self:
        """Keep points on the image: 0 <= x < width and 0 <= y < height.

        >>> len(Points([[1, 2], [9, 2]], image_size=(8, 8)).inside())
        1
        """
        return self.crop(0, 0, *self.require_size())

    def crop(self, left: int, top: int, right: int, bottom: int) -> Self:
        """Crop to the half-open window [left, right) x [top, bottom); its top-left corner is the new origin.

        >>> Points([[5, 6], [50, 60]]).crop(4, 4, 12, 12).xy.tolist()
        [[1.0, 2.0]]
        """
        cropped = self.select(np.all((self.xy >= (left, top)) & (self.xy < (right, bottom)), axis=1))
        offset = np.array((left, top), np.float32)
        return replace(cropped, xy=cropped.xy - offset, image_size=(right - left, bottom - top))

    def shift(self, dx: float, dy: float, image_size: tuple[int, int] | None = None) -> Self:
        """Translate by (dx, dy) pixels, onto an image of another (width, height) if `image_size` is given.

        >>> Points([[1, 2]]).shift(10, -1).xy.tolist()
        [[11.0, 1.0]]
        """
        return replace(
            self, xy=self.xy + np.array((dx, dy), np.float32), image_size=image_size or self.image_size
        )

    def scale(self, sx: float, sy: float | None = None, image_size: tuple[int, int] | None = None) -> Self:
        """Multiply coordinates and sizes by (sx, sy), as resizing the image does.

        `sy` is `sx` by default, and `image_size`, the new (width, height), the scaled size, rounded.

        >>> half = Points([[10, 20]], image_size=(100, 50)).scale(0.5)
        >>> half.xy.tolist(), half.image_size
        ([[5.0, 10.0]], (50, 25))
        """
        factors = np.array((sx, sx if sy is None else sy), np.float32)
        if not (np.isfinite(factors) & (factors > 0)).all():
            raise ValueError(f"scale: expected finite factors above 0, found {sx}, {sy}")
        if image_size is None and self.image_size is not None:
            width, height = self.image_size
            image_size = (max(1, round(width * float(factors[0]))), max(1, round(height * float(factors[1]))))
        sizes = None if self.sizes is None else self.sizes * factors
        return replace(self, xy=self.xy * factors, sizes=sizes, image_size=image_size)

    def flip(self) -> Self:
        """Mirror left to right: x becomes width - x.

        >>> Points([[10, 20]], image_size=(100, 50)).flip().xy.tolist()
        [[90.0, 20.0]]
        """
        width, _ = self.require_size()
        return replace(self, xy=np.stack((width - self.xy[:, 0], self.xy[:, 1]), axis=1))

    def within(self, polygon: npt.ArrayLike) -> Self:
        """Keep points inside a simple polygon of at least three (x, y) vertices (even-odd rule).

        A point exactly on an edge may fall on either side.

        >>> len(Points([[1, 1], [9, 9]]).within([(0, 0), (5, 0), (0, 5)]))
        1
        """
        vertices = np.asarray(polygon, np.float64)
        if vertices.ndim != 2 or vertices.shape[1:] != (2,) or len(vertices) < 3:
            raise ValueError(f"polygon: expected three or more (x, y) vertices, found shape {vertices.shape}")
        x, y = self.xy.astype(np.float64).T
        inside = np.zeros(len(self), np.bool_)
        for (x0, y0), (x1, y1) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
            if y0 != y1:
                crossing = (y0 > y) != (y1 > y)
                inside ^= crossing & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
        return self.select(inside)

    @classmethod
    def concat(cls, parts: Iterable["Points"]) -> Self:
        """Concatenate points of the same image, in order.

        >>> len(Points.concat([Points([[1, 1]]), Points([[2, 2], [3, 3]])]))
        3
        """
        parts = list(parts)
        if not parts:
            return cls.empty()
        image_size = parts[0].image_size
        if any(part.image_size != image_size for part in parts):
            raise ValueError("concat: expected points of one image size")
        sizes = [part.sizes for part in parts if part.sizes is not None]
        if sizes and any(len(part) and part.sizes is None for part in parts):
            raise ValueError("concat: expected sizes on every part or on none")
        return cls(
            np.concatenate([part.xy for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate(sizes) if sizes else None,
            image_size,
        )

    def require_size(self) -> tuple[int, int]:
        """Return the (width, height) of the image in pixels; raises a ValueError if it is unknown."""
        if self.image_size is None:
            raise ValueError("points: needs image_size, found None; pass image_size to Points")
        return self.image_size


def _freeze(values: npt.ArrayLike) -> FloatArray:
    """Copy to read-only float32, so that callers cannot modify a `Points` through their arrays."""
    if isinstance(values, Points):  # an array-like of its coordinates alone
        raise TypeError(
            "xy: expected coordinates (N, 2), found Points, which are immutable; use them as they are, or "
            "dataclasses.replace to change them"
        )
    with np.errstate(over="ignore"):  # too large values become infinite, which is refused
        array = np.array(values, dtype=np.float32)
    array.flags.writeable = False
    return array
