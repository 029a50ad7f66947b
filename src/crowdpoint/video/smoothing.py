"""Smooth counts over time."""

from collections import deque
from statistics import median_low

FEWEST = 3
"""Minimum number of consecutive counts that change the value, for low frame rates."""


class HeldMedian:
    """Count that changes only when the change lasts.

    In the first `window` seconds, it is the median of the counts so far. Then it is held until all counts of
    the last `window` seconds, and at least `FEWEST` of them, are above it, or all are below it, and becomes
    their median. So it ignores outliers, such as blurred frames, and the flicker of a static scene, and
    follows a lasting change after `window`. It is causal, so results are the same for live sources and files.

    Args:
        window: length in seconds; 0 disables smoothing.

    Raises:
        ValueError: if `window` is negative.
    """

    def __init__(self, window: float) -> None:
        if window < 0:
            raise ValueError(f"window: expected at least 0 seconds, found {window}")
        self._window = window
        self._fewest = FEWEST if window else 1
        self._seen: deque[tuple[float, int]] = deque()
        self._value = 0
        self._started = False

    def add(self, seconds: float, count: int) -> int:
        """Add the count of a frame, and return the value."""
        self._seen.append((seconds, count))
        while len(self._seen) > self._fewest and self._seen[0][0] <= seconds - self._window:
            self._seen.popleft()
            self._started = True
        counts = [count for _, count in self._seen]
        if not self._started or not min(counts) <= self._value <= max(counts):
            self._value = median_low(counts)
        return self._value
