"""Estimate the black and white levels of images of more than 8 bits.

Files rarely store them. Cameras store 10, 12 or 14 bits in 16-bit samples, and satellites store reflectances.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crowdpoint.points import FloatArray, Picture

Samples = npt.NDArray[Any]

SIDE = 1024
"""Maximum width and height in pixels of the subsampled image from which levels are estimated."""

PERCENTILES = (1, 99)
"""Percentiles taken as the darkest and brightest samples, to ignore dead and saturated pixels."""

DEPTHS = (8, 10, 12, 14, 16, 32)
"""Bit depths whose largest value may be white."""

MIN_SPAN = 1 / 4
"""Smallest part of a range that the samples must span for the range to be accepted."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Levels:
    """Black and white levels.

    Attributes:
        black: sample value mapped to 0; smaller values are clipped.
        white: sample value mapped to 255; larger values are clipped.
        known: whether the levels follow from the sample type, not from a guess.
    """

    black: float
    white: float
    known: bool

    @classmethod
    def estimate(cls, samples: Samples) -> "Levels":
        """Estimate the levels of samples of any shape, without those of no data, shared by all channels.

        The range starts at 0 and ends at the first of 1 (floats only), 255, 1023, 4095, 16383, 65535 and the
        maximum of the type that is at least the 99th percentile. It is accepted if the 1st percentile is not
        negative and the samples between the percentiles span at least a quarter of the range. Otherwise, the
        percentiles become black and white. If they are equal, the minimum and the maximum replace them.
        """
        known = samples[np.isfinite(samples)] if samples.dtype.kind == "f" else samples
        kind = known.dtype
        limit = float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0
        if not known.size:
            return cls(0.0, limit, known=True)
        low, high = (float(value) for value in np.percentile(known, PERCENTILES))
        if low == high:  # nearly all samples are equal
            low, high = float(known.min()), float(known.max())
        ranges = [float(2**bits - 1) for bits in DEPTHS]
        ranges = [1.0, *ranges] if kind.kind == "f" else [*(end for end in ranges if end < limit), limit]
        white = next((end for end in ranges if end >= high), max(high, limit))
        if low == high and 0 <= low <= limit:  # a single colour gives no estimate
            return cls(0.0, limit, known=True)
        if low >= 0 and high - low >= MIN_SPAN * white:
            return cls(0.0, white, known=white == limit)
        return cls(low, high, known=False)

    def to_uint8(self, samples: Samples) -> Picture:
        """Map samples to uint8, in the same shape; NaN becomes black."""
        if samples.dtype == np.uint16:
            return self._rescale(np.arange(1 << 16))[samples]
        picture = np.empty(samples.shape, np.uint8)
        for index, row in enumerate(samples):  # row by row, to bound memory
            picture[index] = self._rescale(row)
        return picture

    def report(self, name: str) -> None:
        """Log a warning about the image of this name if the levels were guessed."""
        if not self.known:
            _log.warning(
                "%s: does not store its black and white levels; using %g and %g, estimated from its samples",
                name,
                self.black,
                self.white,
            )

    def _rescale(self, samples: Samples) -> Picture:
        values: FloatArray = np.nan_to_num(samples.astype(np.float64), nan=self.black)
        span = self.white - self.black or 1.0
        return np.rint((values - self.black).clip(0, span) * (255 / span)).astype(np.uint8)


def subsample(samples: Samples) -> Samples:
    """Subsample an image (H, W, ...) to at most `SIDE` pixels in width and height, by nearest neighbour."""
    counts = [(length, min(length, SIDE)) for length in samples.shape[:2]]
    centers = [(np.arange(count) + 0.5) * (length / count) for length, count in counts]
    return samples[np.ix_(*(center.astype(np.intp) for center in centers))]
