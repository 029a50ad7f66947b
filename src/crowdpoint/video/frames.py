"""Frames of a video as upright RGB arrays: what files, cameras and streams have in common."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.error import ExitError, FFmpegError, InvalidDataError
from av.video.frame import VideoFrame

from crowdpoint.errors import VideoError
from crowdpoint.redaction import redact

SILENCE_SECONDS = 10.0
"""How long a stream may say nothing before it counts as dropped."""


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


def connect(location: str) -> InputContainer:
    """Opens a file, a camera or a stream that has pictures.

    Raises:
        VideoError: if there is no such thing, it cannot be read, or it has no video stream.
    """
    file, kind = device(location) or (location, None)
    timeout = SILENCE_SECONDS if is_url(location) else None
    options = {"rtsp_transport": "tcp"}  # UDP loses packets, and so smears pictures
    try:
        container = av.open(file, "r", kind, options, timeout=(timeout, timeout), metadata_errors="replace")
    except (FFmpegError, OSError) as error:
        raise VideoError(
            f"{redact(location, path=True)}: cannot be opened as a video: {reason(error)}"
        ) from error
    if not container.streams.video or container.streams.video[0].codec_context is None:
        container.close()
        shown = redact(location, path=True)
        raise VideoError(f"{shown}: expected a video, found no stream of pictures that can be decoded")
    container.streams.video[0].thread_type = "AUTO" if kind is None else "SLICE"
    return container


def decode(container: InputContainer) -> Iterator[VideoFrame]:
    """The frames of the first video stream; packets that are damaged are passed over."""
    for packet in container.demux(container.streams.video[0]):
        try:
            yield from packet.decode()
        except InvalidDataError:
            continue


def upright(frame: VideoFrame) -> npt.NDArray[np.uint8]:
    """The pixels of a frame, (H, W, 3) RGB, turned by its display matrix."""
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def reason(error: FFmpegError | OSError) -> str:
    """What went wrong, in FFmpeg's words and without the location, which may hold a password."""
    if isinstance(error, ExitError):
        return f"no answer for {SILENCE_SECONDS:g} s"
    return error.strerror or type(error).__name__
