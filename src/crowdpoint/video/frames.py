"""Frames of a video as upright RGB arrays: what files, cameras and streams have in common."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.error import ExitError, FFmpegError, InvalidDataError
from av.sidedata.sidedata import SideData
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from crowdpoint.errors import VideoError
from crowdpoint.redaction import redact

SILENCE_SECONDS = 10.0
"""How long a stream may say nothing before it counts as dropped."""

WIDEST_PIXEL = 16
"""Pixels wider or taller than this many times their other side are taken for a damaged header."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a video, and when it was taken."""

    index: int
    """Number of the frame in its source, from 0; frames that were passed over count."""
    seconds: float
    """Since the first frame: media time of a file, this machine's clock for a live source."""
    time: datetime | None
    """UTC, where it is known."""
    pixels: npt.NDArray[np.uint8]
    """(H, W, 3) RGB in [0, 255], upright."""


class Pace:
    """Which frames are counted.

    Args:
        every: the first of each `every` frames.
        fps: instead, the first frame of each 1/fps seconds.

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(self, every: int = 1, fps: float | None = None) -> None:
        if every < 1 or (fps is not None and fps <= 0):
            raise ValueError(f"expected every >= 1 and fps > 0, found {every} and {fps}")
        self._every, self._fps = every, fps
        self._slot = -1

    def due(self, index: int, seconds: float) -> bool:
        """Whether to count this frame; asked once for each frame, in order."""
        # rounding must not push a frame at exactly k / fps into the slot before
        slot = index // self._every if self._fps is None else int(seconds * self._fps + 1e-3)
        due = slot > self._slot
        self._slot = max(slot, self._slot)
        return due


def is_url(location: str) -> bool:
    """Whether a location is a URL, and not a file or a device."""
    return "://" in location


def device(location: str) -> tuple[str, str] | None:
    """The file and the format by which FFmpeg opens a camera, None if `location` is none.

    Raises:
        VideoError: for a bare index on Windows, where cameras have names.
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


def ffmpeg_path(location: str | Path) -> str:
    """Name a file so that FFmpeg takes no part of it for a protocol, such as that of `12:30:00.mp4`."""
    return f"file:{location}"


def connect(location: str) -> InputContainer:
    """Open a file, a camera or a stream that has pictures.

    Raises:
        VideoError: if there is no such thing, it cannot be read, or it has no video stream.
    """
    file, kind = device(location) or (location if is_url(location) else ffmpeg_path(location), None)
    timeout = SILENCE_SECONDS if is_url(location) else None
    options = {"rtsp_transport": "tcp"}  # UDP loses packets, and so smears pictures
    try:
        container = av.open(file, "r", kind, options, timeout=(timeout, timeout), metadata_errors="replace")
    except (FFmpegError, OSError) as error:
        raise VideoError(
            f"{redact(location, path=True)}: cannot be opened as a video: {reason(error)}"
        ) from error
    if not _moving(container):
        found = "only a cover picture" if container.streams.video else "no stream of pictures"
        container.close()
        raise VideoError(
            f"{redact(location, path=True)}: expected a video, found {found} that can be decoded"
        )
    moving_pictures(container).thread_type = "AUTO" if kind is None else "SLICE"
    return container


def moving_pictures(container: InputContainer) -> VideoStream:
    """The first video stream that is not a cover picture; an opened container has one."""
    return _moving(container)[0]


def _moving(container: InputContainer) -> list[VideoStream]:
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    return [s for s in container.streams.video if s.codec_context is not None and not s.disposition & still]


def decode(container: InputContainer) -> Iterator[VideoFrame]:
    """The frames of the moving pictures; packets that are damaged are passed over."""
    for packet in container.demux(moving_pictures(container)):
        try:
            yield from packet.decode()
        except InvalidDataError:
            continue


def pixel_ratio(stream: VideoStream) -> float:
    """Width of a pixel divided by its height, 1 where the stream does not say."""
    ratio = float(stream.sample_aspect_ratio or 1)
    return ratio if 1 / WIDEST_PIXEL <= ratio <= WIDEST_PIXEL else 1.0


def upright(frame: VideoFrame, ratio: float = 1.0) -> npt.NDArray[np.uint8]:
    """The pixels of a frame as a player shows them, (H, W, 3) RGB.

    Makes the pixels square, then turns and mirrors the picture by its display matrix.

    Args:
        frame: a decoded frame.
        ratio: width of a pixel divided by its height.
    """
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    if ratio != 1:
        size = (max(1, round(frame.width * ratio)), frame.height)
        method = cv2.INTER_LINEAR if ratio > 1 else cv2.INTER_AREA
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=method), np.uint8)
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if isinstance(matrix, SideData):
        # Row vectors (x, y, 1) times this matrix are places on the screen, in FFmpeg's fixed point.
        (a, b, _), (c, d, _), _ = np.frombuffer(bytes(matrix), np.int32).reshape(3, 3).astype(np.int64)
        if abs(a) + abs(d) < abs(b) + abs(c):
            pixels, a, d = pixels.transpose(1, 0, 2), c, b
        pixels = pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(pixels)


def reason(error: FFmpegError | OSError) -> str:
    """What went wrong, in FFmpeg's words and without the location, which may hold a password."""
    if isinstance(error, ExitError):
        return f"no answer for {SILENCE_SECONDS:g} s"
    return error.strerror or type(error).__name__
