"""Sources of frames: recordings and live sources.

A live source is read by a background thread that keeps only the latest frame, so that a slow model stays up
to date. After a disconnection, it is reopened with exponential backoff.
"""

import math
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame

from crowdpoint.errors import VideoError
from crowdpoint.opening.storage import is_url
from crowdpoint.redaction import redact
from crowdpoint.video.clock import estimate_frame_rate, start_clock
from crowdpoint.video.frames import (
    Frame,
    Pace,
    connect,
    decode,
    describe_error,
    find_device,
    get_pixel_ratio,
    get_video_stream,
    to_upright,
)

FIRST_RETRY_DELAY = 1.0
"""Seconds before a disconnected stream is reopened; doubles with each failed attempt."""

MAX_RETRY_DELAY = 60.0
"""Maximum seconds between attempts."""

POLL_INTERVAL = 0.2
"""Seconds between checks of the stop flag."""

RECORDING_SCHEMES = ("http://", "https://", "file://")
"""URL schemes of possible recordings; others, such as RTSP, are always live."""


class Source(ABC):
    """A source of frames.

    Attributes:
        name: the location, without password.
        live: whether the source is live, so that unread frames are lost.
        duration: length of a recording in seconds; None if unknown.
        rate: approximate frame rate in frames per second.
    """

    live: ClassVar[bool]
    duration: float | None = None

    def __init__(self, location: str, container: InputContainer, pace: Pace) -> None:
        self.name = redact(location, path=True)
        self.rate = estimate_frame_rate(get_video_stream(container))
        self._container, self._pace = container, pace

    @abstractmethod
    def frames(self, stop: threading.Event, duration: float = math.inf) -> Iterator[Frame]:
        """Yield the frames to count, until the end, until `stop` is set, or for `duration` seconds.

        Raises:
            VideoError: if the source fails, after yielding the frames before the failure.
        """


def open_source(
    location: str, pace: Pace, retries: int, report: Callable[[str], None], live: bool | None = None
) -> Source:
    """Open a video.

    Args:
        location: a file; a camera's index, `/dev/videoN` or `video=NAME`; or a URL (RTSP, HTTP, ...).
        pace: selection of the frames to count.
        retries: maximum number of consecutive attempts to reopen a live source.
        report: function called with a message on each attempt.
        live: whether the source is live; by default, true for cameras and streams, and false for files and
            HTTP videos of known length.

    Raises:
        VideoError: if it cannot be opened, or has no video stream.
    """
    container = connect(location)
    if live is None:
        is_recording = location.lower().startswith(RECORDING_SCHEMES) and container.duration is not None
        live = bool(find_device(location)) or (is_url(location) and not is_recording)
    if live:
        return LiveSource(location, container, pace, retries, report)
    return Recording(location, container, pace)


class Recording(Source):
    """A recording, of which every selected frame is counted."""

    live = False

    def __init__(self, location: str, container: InputContainer, pace: Pace) -> None:
        super().__init__(location, container, pace)
        self._created = _read_creation_time(container)
        if container.duration is not None:
            self.duration = container.duration / 1e6  # AV_TIME_BASE

    def frames(self, stop: threading.Event, duration: float = math.inf) -> Iterator[Frame]:
        """Yield the selected frames of the first `duration` seconds of the media."""
        index = -1
        stream = get_video_stream(self._container)
        clock = start_clock(stream)
        try:
            for index, frame in enumerate(decode(self._container)):
                seconds = clock.tick(None if frame.pts is None else frame.time)
                if stop.is_set() or seconds >= duration:
                    return
                if self._pace.is_due(index, seconds):
                    taken = self._created and self._created + timedelta(seconds=seconds)
                    yield Frame(index, seconds, taken, to_upright(frame, get_pixel_ratio(stream)))
        except FFmpegError as error:
            raise VideoError(
                f"{self.name}: ends unexpectedly after {index + 1} frames: {describe_error(error)}"
            ) from error
        finally:
            self._container.close()
        if index < 0:
            raise VideoError(f"{self.name}: no frame can be decoded; the file is damaged")


class LiveSource(Source):
    """A camera or a stream, of which the latest selected frame is counted."""

    live = True

    def __init__(
        self,
        location: str,
        container: InputContainer,
        pace: Pace,
        retries: int,
        report: Callable[[str], None],
    ) -> None:
        super().__init__(location, container, pace)
        self._location = location
        self._retries, self._report = retries, report
        self._failures = 0

    def frames(self, stop: threading.Event, duration: float = math.inf) -> Iterator[Frame]:
        """Yield the latest selected frames, for `duration` seconds from the first one."""
        newest: _Newest = queue.SimpleQueue()
        halt = threading.Event()
        reader = threading.Thread(target=self._read, args=(newest, halt), name="reader", daemon=True)
        reader.start()
        begin: float | None = None
        end = time.monotonic() + duration
        try:
            while not stop.is_set():
                try:
                    arrived = newest.get(timeout=POLL_INTERVAL)
                except queue.Empty:
                    if time.monotonic() >= end:
                        return
                    continue
                if isinstance(arrived, Exception):
                    raise arrived
                index, moment, taken, frame, ratio = arrived
                if begin is None:
                    begin, end = moment, moment + duration
                if moment >= end:
                    return
                yield Frame(index, moment - begin, taken, to_upright(frame, ratio))
        finally:
            halt.set()
            reader.join(POLL_INTERVAL)  # a daemon, which may hang on the network

    def _read(self, newest: "_Newest", halt: threading.Event) -> None:
        """Replace the frame in the queue by each new one; append the error that ends the source."""
        container: InputContainer | None = self._container
        index, begin = 0, time.monotonic()
        try:
            while container is not None:
                why = "the stream ended"
                ratio = get_pixel_ratio(get_video_stream(container))
                try:
                    for frame in decode(container):
                        if halt.is_set():
                            return
                        moment = time.monotonic()
                        if self._pace.is_due(index, moment - begin):
                            with suppress(queue.Empty):
                                newest.get_nowait()
                            newest.put((index, moment, datetime.now(UTC), frame, ratio))
                        index += 1
                        self._failures = 0
                except FFmpegError as error:
                    why = describe_error(error)
                finally:
                    container.close()
                container = self._reconnect(why, halt)
        except Exception as error:  # raised by the consuming thread
            newest.put(error)

    def _reconnect(self, why: str, halt: threading.Event) -> InputContainer | None:
        """Reopen the source; None if `halt` is set."""
        while self._failures < self._retries:
            # Limit the exponent, because 2.0**1024 overflows.
            wait = min(FIRST_RETRY_DELAY * 2 ** min(self._failures, 16), MAX_RETRY_DELAY)
            self._failures += 1
            self._report(
                f"{self.name}: {why}; reconnecting in {wait:g} s "
                f"(attempt {self._failures} of {self._retries})"
            )
            if halt.wait(wait):
                return None
            try:
                return connect(self._location)
            except VideoError as error:
                why = str(error).removeprefix(f"{self.name}: ")
        raise VideoError(f"{self.name}: {why}; gave up after {self._retries} attempts")


# Index, monotonic seconds, UTC, frame, pixel aspect ratio; or the error that ended the reader.
_Newest = queue.SimpleQueue[tuple[int, float, datetime, VideoFrame, float] | Exception]


def _read_creation_time(container: InputContainer) -> datetime | None:
    try:
        created = datetime.fromisoformat(container.metadata.get("creation_time", ""))
    except ValueError:
        return None
    created = created.replace(tzinfo=created.tzinfo or UTC)
    return created if created.year > 1970 else None  # cameras with an unset clock write 1904 or 1970
