"""Smooth counts over time."""

from collections import deque
from statistics import median


class TrailingMedian:
    """Trailing median of a value.

    Ignores outliers, such as blurred frames, and follows a change after half the window. It is causal, so
    results are the same for live sources and files.

    Args:
        window: length in seconds; 0 disables smoothing.

    Raises:
        ValueError: if `window` is negative.
    """

    def __init__(self, window: float) -> None:
        if window < 0:
            raise ValueError(f"window: expected at least 0 seconds, found {window}")
        self._window = window
        self._seen: deque[tuple[float, float]] = deque()

    def add(self, seconds: float, value: float) -> float:
        """Add a value, and return the median over (seconds - window, seconds]."""
        self._seen.append((seconds, value))
        while len(self._seen) > 1 and self._seen[0][0] <= seconds - self._window:
            self._seen.popleft()
        return float(median(value for _, value in self._seen))
