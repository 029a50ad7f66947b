"""The meaning of samples of more than 8 bits: which are black and white, in every kind of file.

Files rarely say it. Cameras store 10, 12 or 14 bits in samples of 16, and satellites store reflectances.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crowdpoint.points import FloatArray

Samples = npt.NDArray[Any]

SIDE = 1024
"""Width and height in pixels to which an image is reduced before its samples are judged."""

PERCENTILES = (1, 99)
"""The darkest and brightest samples that count; those beyond may be dead or glaring pixels."""

DEPTHS = (8, 10, 12, 14, 16, 32)
"""Bits of the integers whose largest value may be white."""

USED = 1 / 4
"""The part of a range that the samples must span for it to be theirs."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Levels:
    """The samples that are black and white.

    Attributes:
        black: the sample that becomes 0; smaller ones do, too.
        white: the sample that becomes 255; larger ones do, too.
        known: whether the kind of the samples tells, so that nothing had to be guessed.
    """

    black: float
    white: float
    known: bool

    @classmethod
    def of(cls, samples: Samples) -> "Levels":
        """Finds the levels of an image, for all its colours in common.

        The range begins at 0 and ends at the first of 1 (floats only), 255, 1023, 4095, 16383, 65535 and the
        largest value of the type that is not below the 99th percentile. It holds if the samples between the
        1st and the 99th percentile are not negative and span at least a quarter of it. Otherwise, these
        percentiles are black and white. Where they are equal, the least and the largest sample take their
        place.

        Args:
            samples: of any shape; those that are no data left out.
        """
        known = samples[np.isfinite(samples)] if samples.dtype.kind == "f" else samples
        kind = known.dtype
        limit = float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0
        if not known.size:
            return cls(0.0, limit, known=True)
        low, high = (float(value) for value in np.percentile(known, PERCENTILES))
        if low == high:  # a few samples are the whole picture
            low, high = float(known.min()), float(known.max())
        ranges = [float(2**bits - 1) for bits in DEPTHS]
        ranges = [1.0, *ranges] if kind.kind == "f" else [*(end for end in ranges if end < limit), limit]
        white = next((end for end in ranges if end >= high), max(high, limit))
        if low == high and 0 <= low <= limit:  # one colour, which tells nothing
            return cls(0.0, limit, known=True)
        if low >= 0 and high - low >= USED * white:
            return cls(0.0, white, known=white == limit)
        return cls(low, high, known=False)

    def eight_bits(self, samples: Samples) -> npt.NDArray[np.uint8]:
        """Samples of the image as uint8, in the same shape; what is not a number becomes black."""
        if samples.dtype == np.uint16:
            return self._scaled(np.arange(1 << 16))[samples]
        picture = np.empty(samples.shape, np.uint8)
        for index, row in enumerate(samples):  # row by row, to take little memory
            picture[index] = self._scaled(row)
        return picture

    def report(self, name: str) -> None:
        """Logs a line if the levels were guessed.

        Args:
            name: the image's.
        """
        if not self.known:
            _log.warning(
                "%s: does not say which samples are black and white; taking %g and %g, by the samples",
                name,
                self.black,
                self.white,
            )

    def _scaled(self, samples: Samples) -> npt.NDArray[np.uint8]:
        values: FloatArray = np.nan_to_num(samples.astype(np.float64), nan=self.black)
        span = self.white - self.black or 1.0
        return np.rint((values - self.black).clip(0, span) * (255 / span)).astype(np.uint8)


def reduced(samples: Samples) -> Samples:
    """An image (H, W, ...) of at most `SIDE` pixels in width and height, by its nearest pixels."""
    return samples[np.ix_(*(_nearest(length) for length in samples.shape[:2]))]


def _nearest(length: int) -> npt.NDArray[np.intp]:
    count = min(length, SIDE)
    return ((np.arange(count) + 0.5) * (length / count)).astype(np.intp)
