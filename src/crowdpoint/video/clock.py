"""Convert the timestamps of a recording to strictly increasing times."""

import math

from av.format import Flags
from av.video.stream import VideoStream

RESTART_THRESHOLD = 1.0
"""Seconds: larger steps backwards are restarts, smaller ones are frames out of order."""

GAP_THRESHOLD = 10.0
"""Seconds: larger steps forwards are discontinuities in transport streams, as in FFmpeg; in other containers,
they are pauses, as in time lapses."""


class Clock:
    """Converter of frame timestamps to seconds since the first frame.

    Keeps the intervals of regular timestamps. A frame whose timestamp is missing, repeated or slightly lower
    follows the previous one after one period. At restarts and discontinuities, as in concatenated recordings,
    time advances by one period and continues from there.

    Args:
        period: seconds between frames without usable timestamps.
        longest: seconds; longer steps forwards are discontinuities.
    """

    def __init__(self, period: float, longest: float = math.inf) -> None:
        self._period, self._longest = period, longest
        self._offset: float | None = None
        self._timestamp = 0.0
        self._seconds = -period

    def tick(self, timestamp: float | None) -> float:
        """Convert the timestamp of the next frame, in seconds or None if missing, to its time."""
        following = max(self._seconds + self._period, 0.0)
        if timestamp is None:
            self._seconds = following
            return following
        step = timestamp - self._timestamp
        if self._offset is None or step < -RESTART_THRESHOLD or step > self._longest:
            self._offset = following - timestamp
        self._timestamp = timestamp
        seconds = timestamp + self._offset
        self._seconds = seconds if seconds > self._seconds else following
        return self._seconds


def estimate_frame_rate(stream: VideoStream) -> float:
    """Estimate the frame rate in frames per second."""
    # For raw streams, FFmpeg reports an average of 25 and guesses the true rate from the frames.
    bare = Flags.no_timestamps in Flags(stream.container.format.flags)
    rate = (None if bare else stream.average_rate) or stream.guessed_rate or 25
    return float(rate)


def start_clock(stream: VideoStream) -> Clock:
    """Create the clock of a recording."""
    discontinuous = Flags.ts_discont in Flags(stream.container.format.flags)
    return Clock(1 / estimate_frame_rate(stream), GAP_THRESHOLD if discontinuous else math.inf)
