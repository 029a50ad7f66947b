"""Where frames come from: a recording, which is read to its end, or a live source, which is kept up with.

A live source is read by a thread of its own that keeps only the newest frame, so that a slow model counts
the present. If it drops it is opened again, with waits that double.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame

from crowdpoint.errors import VideoError
from crowdpoint.redaction import redact
from crowdpoint.video.clock import frame_rate, start_clock
from crowdpoint.video.frames import (
    Frame,
    Pace,
    connect,
    decode,
    device,
    is_url,
    moving_pictures,
    pixel_ratio,
    reason,
    upright,
)

FIRST_WAIT = 1.0
"""Seconds before a dropped stream is opened again; each try that fails doubles them."""

LONGEST_WAIT = 60.0
"""Seconds between two tries at most."""

POLL = 0.2
"""Seconds after which a wait looks whether it should stop."""


ENDING = ("http://", "https://", "file://")
"""URLs that may be of a recording; others, such as RTSP, have a pace of their own whatever their length."""


class Source(Protocol):
    """What frames come from."""

    @property
    def name(self) -> str:
        """The location, without a password."""
        ...

    @property
    def live(self) -> bool:
        """Whether frames pass whether they are read or not."""
        ...

    @property
    def duration(self) -> float | None:
        """Seconds of a recording, where it says."""
        ...

    @property
    def rate(self) -> float:
        """Frames a second, roughly."""
        ...

    def frames(self, stop: threading.Event, duration: float = math.inf) -> Iterator[Frame]:
        """The frames to count, until the end, until `stop` is set, or for so many seconds.

        Raises:
            VideoError: if the source fails; frames before it have come.
        """
        ...


def open_source(
    location: str, pace: Pace, retries: int, say: Callable[[str], None], live: bool | None = None
) -> Source:
    """Opens a video.

    Args:
        location: a file; a camera's index, `/dev/videoN` or `video=NAME`; or a URL (RTSP, HTTP, ...).
        pace: which frames to count.
        retries: how often in a row a live source that dropped is opened again.
        say: takes a line for people about each of these.
        live: whether it is; by default cameras and streams are, and files and HTTP videos that know
            their length are not.

    Raises:
        VideoError: if it cannot be opened or has no pictures.
    """
    container = connect(location)
    if live is None:
        ends = location.lower().startswith(ENDING) and container.duration is not None
        live = bool(device(location)) or (is_url(location) and not ends)
    if live:
        return LiveSource(location, container, pace, retries, say)
    return Recording(location, container, pace)


class Recording:
    """A video with an end: every frame that is due is counted, however long that takes."""

    live = False

    def __init__(self, location: str, container: InputContainer, pace: Pace) -> None:
        self.name = redact(location, path=True)
        self.rate = frame_rate(moving_pictures(container))
        self._container, self._pace = container, pace
        self._created = _creation_time(container)

    @property
    def duration(self) -> float | None:
        """Seconds, where the file says."""
        ticks = self._container.duration
        return None if ticks is None else ticks / 1e6  # AV_TIME_BASE

    def frames(self, stop: threading.Event, duration: float = math.inf) -> Iterator[Frame]:
        """The frames that are due, in the first `duration` seconds of the media.

        Raises:
            VideoError: if the file breaks off, or no frame of it can be decoded.
        """
        index = -1
        stream = moving_pictures(self._container)
        clock = start_clock(stream)
        try:
            for index, frame in enumerate(decode(self._container)):
                seconds = clock.tick(None if frame.pts is None else frame.time)
                if stop.is_set() or seconds >= duration:
                    return
                if self._pace.due(index, seconds):
                    at = self._created and self._created + timedelta(seconds=seconds)
                    yield Frame(index, seconds, at, upright(frame, pixel_ratio(stream)))
        except FFmpegError as error:
            raise VideoError(f"{self.name}: breaks off after {index + 1} frames: {reason(error)}") from error
        finally:
            self._container.close()
        if index < 0:
            raise VideoError(f"{self.name}: no frame of it can be decoded; the file is damaged")


class LiveSource:
    """A camera or a stream: the newest frame that is due, again and again."""

    live = True
    duration = None

    def __init__(
        self,
        location: str,
        container: InputContainer,
        pace: Pace,
        retries: int,
        say: Callable[[str], None],
    ) -> None:
        self.name = redact(location, path=True)
        self.rate = frame_rate(moving_pictures(container))
        self._location, self._container, self._pace = location, container, pace
        self._retries, self._say = retries, say
        self._failures = 0

    def frames(self, stop: threading.Event, duration: float = math.inf) -> Iterator[Frame]:
        """The newest frame each time, if it is due; for `duration` seconds from the first, or without one.

        Raises:
            VideoError: if the source dropped and could not be opened again.
        """
        newest = _Newest()
        halt = threading.Event()
        reader = threading.Thread(target=self._read, args=(newest, halt), name="reader", daemon=True)
        reader.start()
        begin: float | None = None
        end = time.monotonic() + duration
        try:
            while not stop.is_set():
                if arrived := newest.take():
                    index, moment, at, frame, ratio = arrived
                    if begin is None:
                        begin, end = moment, moment + duration
                    if moment >= end:
                        return
                    yield Frame(index, moment - begin, at, upright(frame, ratio))
                elif time.monotonic() >= end:
                    return
        finally:
            halt.set()
            reader.join(POLL)  # it may hang on the network; it is a daemon

    def _read(self, newest: "_Newest", halt: threading.Event) -> None:
        container: InputContainer | None = self._container
        index, begin = 0, time.monotonic()
        try:
            while container is not None:
                why = "the stream ended"
                ratio = pixel_ratio(moving_pictures(container))
                try:
                    for frame in decode(container):
                        if halt.is_set():
                            return
                        moment = time.monotonic()
                        if self._pace.due(index, moment - begin):
                            newest.put((index, moment, datetime.now(UTC), frame, ratio))
                        index += 1
                        self._failures = 0
                except FFmpegError as error:
                    why = reason(error)
                finally:
                    container.close()
                container = self._reconnect(why, halt)
        except Exception as error:  # the other thread raises it
            newest.fail(error)

    def _reconnect(self, why: str, halt: threading.Event) -> InputContainer | None:
        """The source opened again, None when it is no longer wanted.

        Raises:
            VideoError: after as many failures in a row as are allowed.
        """
        while self._failures < self._retries:
            wait = min(FIRST_WAIT * 2 ** min(self._failures, 16), LONGEST_WAIT)  # 2.0**1024 overflows
            self._failures += 1
            self._say(
                f"{self.name}: {why}; connecting again in {wait:g} s "
                f"(try {self._failures} of {self._retries})"
            )
            if halt.wait(wait):
                return None
            try:
                return connect(self._location)
            except VideoError as error:
                why = str(error).removeprefix(f"{self.name}: ")
        raise VideoError(f"{self.name}: {why}; gave up after {self._retries} tries")


# Index, monotonic seconds, UTC, frame, and the width of its pixels divided by their height.
_Arrived = tuple[int, float, datetime, VideoFrame, float]


class _Newest:
    """Hands the newest frame from one thread to another; older ones are forgotten."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._arrived: _Arrived | None = None
        self._error: Exception | None = None

    def put(self, arrived: _Arrived) -> None:
        with self._changed:
            self._arrived = arrived
            self._changed.notify()

    def fail(self, error: Exception) -> None:
        with self._changed:
            self._error = error
            self._changed.notify()

    def take(self) -> _Arrived | None:
        """What has arrived since the last time, None if nothing does for a while.

        Raises:
            Exception: what ended the other thread, after its last frame was taken.
        """
        with self._changed:
            if self._arrived is None and self._error is None:
                self._changed.wait(POLL)
            arrived, self._arrived = self._arrived, None
            if arrived is None and self._error is not None:
                raise self._error
            return arrived


def _creation_time(container: InputContainer) -> datetime | None:
    """When recording began, from the file's metadata."""
    try:
        created = datetime.fromisoformat(container.metadata.get("creation_time", ""))
    except ValueError:
        return None
    created = created.replace(tzinfo=created.tzinfo or UTC)
    return created if created.year > 1970 else None  # cameras that lost the time say 1904 or 1970
