"""Decode frames of files, cameras and streams to upright RGB arrays."""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import ExitError, FFmpegError, InvalidDataError
from av.sidedata.sidedata import SideData
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from crowdpoint import images
from crowdpoint.errors import VideoError
from crowdpoint.opening.storage import is_url
from crowdpoint.points import Picture
from crowdpoint.redaction import redact

SOCKET_TIMEOUT = 10.0
"""Seconds without data after which a stream counts as disconnected."""

MAX_PIXEL_RATIO = 16
"""Largest plausible pixel aspect ratio; larger ones are ignored as damaged headers."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A video frame and its time."""

    index: int
    """Number of the frame in its source, from 0, including skipped frames."""
    seconds: float
    """Seconds since the first frame, by media time for files and by the local clock for live sources."""
    time: datetime | None
    """Time in UTC; None if unknown."""
    pixels: Picture
    """(H, W, 3) RGB in [0, 255], upright."""


class Pace:
    """Selection of the frames to count.

    Args:
        every: select one of `every` frames.
        fps: select the first frame of each 1/fps seconds instead.

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(self, every: int = 1, fps: float | None = None) -> None:
        if every < 1 or (fps is not None and not 0 < fps < math.inf):
            raise ValueError(f"expected every >= 1 and a finite fps > 0, found {every} and {fps}")
        self._every, self._fps = every, fps
        self._slot = -1

    def is_due(self, index: int, seconds: float) -> bool:
        """Decide whether to count a frame; call once per frame, in order."""
        # Rounding must not move a frame at exactly k / fps into the previous slot.
        slot = index // self._every if self._fps is None else int(seconds * self._fps + 1e-3)
        due = slot > self._slot
        self._slot = max(slot, self._slot)
        return due


def find_device(location: str) -> tuple[str, str] | None:
    """Return FFmpeg's file and format of a camera; None if `location` is not a camera.

    Raises:
        VideoError: for an index on Windows, where cameras have names.
    """
    if location.startswith("/dev/video"):
        return location, "v4l2"
    if location.startswith("video="):
        return location, "dshow"
    if not location.isdecimal() or Path(location).exists():
        return None
    if sys.platform == "win32":
        raise VideoError(f"{location}: expected a camera's name, as in 'video=Integrated Camera'")
    return (location, "avfoundation") if sys.platform == "darwin" else (f"/dev/video{location}", "v4l2")


def to_ffmpeg_path(location: str | Path) -> str:
    """Prefix a path so that FFmpeg does not parse part of it as a protocol, as in `12:30:00.mp4`."""
    return f"file:{location}"


def connect(location: str) -> InputContainer:
    """Open a file, a camera or a stream.

    Raises:
        VideoError: if it cannot be opened, or has no video stream.
    """
    file, kind = find_device(location) or (location if is_url(location) else to_ffmpeg_path(location), None)
    timeout = SOCKET_TIMEOUT if is_url(location) else None
    options = {"rtsp_transport": "tcp"}  # UDP loses packets, which causes artifacts
    try:
        container = av.open(file, "r", kind, options, timeout=(timeout, timeout), metadata_errors="replace")
    except (FFmpegError, OSError) as error:
        raise VideoError(
            f"{redact(location, path=True)}: cannot be opened as a video: {describe_error(error)}"
        ) from error
    if not _list_streams(container):
        found = "only a cover image" if container.streams.video else "no decodable video stream"
        container.close()
        raise VideoError(f"{redact(location, path=True)}: expected a video, found {found}")
    get_video_stream(container).thread_type = "AUTO" if kind is None else "SLICE"
    return container


def get_video_stream(container: InputContainer) -> VideoStream:
    """Return the first video stream that is not a cover image; an opened container has one."""
    return _list_streams(container)[0]


def _list_streams(container: InputContainer) -> list[VideoStream]:
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    return [s for s in container.streams.video if s.codec_context is not None and not s.disposition & still]


def decode(container: InputContainer) -> Iterator[VideoFrame]:
    """Decode the frames of the video stream, skipping damaged packets."""
    for packet in container.demux(get_video_stream(container)):
        try:
            yield from packet.decode()
        except InvalidDataError:
            continue


def get_pixel_ratio(stream: VideoStream) -> float:
    """Return the width of a pixel divided by its height; 1 if unknown."""
    ratio = float(stream.sample_aspect_ratio or 1)
    return ratio if 1 / MAX_PIXEL_RATIO <= ratio <= MAX_PIXEL_RATIO else 1.0


def to_upright(frame: VideoFrame, ratio: float = 1.0) -> Picture:
    """Convert a frame to the pixels that a player shows, (H, W, 3) RGB.

    Makes pixels square, then rotates and mirrors by the display matrix.
    """
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    if ratio != 1:
        size = (max(1, round(frame.width * ratio)), frame.height)
        pixels = images.resize(pixels, size, enlarge="linear")
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if isinstance(matrix, SideData):
        # Row vectors (x, y, 1) times this matrix give screen positions, in FFmpeg's fixed point.
        (a, b, _), (c, d, _), _ = np.frombuffer(bytes(matrix), np.int32).reshape(3, 3).astype(np.int64)
        if abs(a) + abs(d) < abs(b) + abs(c):
            pixels, a, d = pixels.transpose(1, 0, 2), c, b
        pixels = pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(pixels)


def describe_error(error: FFmpegError | OSError) -> str:
    """Return FFmpeg's message without the location, which may contain a password."""
    if isinstance(error, ExitError):
        return f"no data for {SOCKET_TIMEOUT:g} s"
    return error.strerror or type(error).__name__
