"""Counts without the flicker of single frames."""

from collections import deque
from statistics import median


class TrailingMedian:
    """The median of what was seen in the last seconds.

    A median ignores the odd frame that is off, such as a blurred one, and moves with a true change after
    half the window. It looks only back, so it is the same live and from a file.

    Args:
        window: seconds; 0 for no smoothing.

    Raises:
        ValueError: if `window` is negative.
    """

    def __init__(self, window: float) -> None:
        if window < 0:
            raise ValueError(f"window: expected at least 0 seconds, found {window}")
        self._window = window
        self._seen: deque[tuple[float, float]] = deque()

    def add(self, seconds: float, value: float) -> float:
        """Takes a value at a time, and gives the median over (seconds - window, seconds]."""
        self._seen.append((seconds, value))
        while len(self._seen) > 1 and self._seen[0][0] <= seconds - self._window:
            self._seen.popleft()
        return float(median(value for _, value in self._seen))
