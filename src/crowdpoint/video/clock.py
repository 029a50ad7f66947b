"""The one clock of a recording: seconds that only rise, whatever the timestamps in the file do."""

import math

from av.format import Flags
from av.video.stream import VideoStream

RESTART_SECONDS = 1.0
"""Timestamps that go back by more than this begin anew; smaller steps back are disorder between frames."""

GAP_SECONDS = 10.0
"""Timestamps of a transport stream that leap by more than this are discontinuous, as in FFmpeg; in other
containers a leap is a pause, such as between the frames of a time lapse."""


class Clock:
    """Turns the timestamps of frames into seconds since the first one.

    Regular timestamps keep their distances. A frame whose timestamp is missing, repeats, or goes back a
    little comes one period after the frame before it. Where timestamps restart or leap, as in a recording
    joined of two, time goes on by one period and the new timestamps count from there.

    Args:
        period: seconds from frame to frame where timestamps do not tell.
        longest: a longer step forward is a leap.
    """

    def __init__(self, period: float, longest: float = math.inf) -> None:
        self._period, self._longest = period, longest
        self._offset: float | None = None
        self._timestamp = 0.0
        self._seconds = -period

    def tick(self, timestamp: float | None) -> float:
        """Take the timestamp of the next frame in seconds, None if it has none, and return its time."""
        following = max(self._seconds + self._period, 0.0)
        if timestamp is None:
            self._seconds = following
            return following
        step = timestamp - self._timestamp
        if self._offset is None or step < -RESTART_SECONDS or step > self._longest:
            self._offset = following - timestamp
        self._timestamp = timestamp
        seconds = timestamp + self._offset
        self._seconds = seconds if seconds > self._seconds else following
        return self._seconds


def frame_rate(stream: VideoStream) -> float:
    """Frames a second, roughly."""
    # FFmpeg assumes an average of 25 for a stream without a container, and finds the true rate in the frames.
    bare = Flags.no_timestamps in Flags(stream.container.format.flags)
    rate = (None if bare else stream.average_rate) or stream.guessed_rate or 25
    return float(rate)


def start_clock(stream: VideoStream) -> Clock:
    """Start the clock of a recording."""
    discontinuous = Flags.ts_discont in Flags(stream.container.format.flags)
    return Clock(1 / frame_rate(stream), GAP_SECONDS if discontinuous else math.inf)
