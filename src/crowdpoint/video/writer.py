"""Pictures in, a video file out: H.264 where the installed FFmpeg has it, MPEG-4 elsewhere."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import PictureType
from av.video.stream import VideoStream

from crowdpoint.counts.held import HeldFile
from crowdpoint.draw import Picture
from crowdpoint.errors import ConfigError, VideoError
from crowdpoint.video.frames import ffmpeg_path, reason

SUFFIXES = (".mp4", ".mov", ".mkv")

TICKS = 60_000
"""Units of time a second: whole for 24, 25, 30, 50 and 60 frames a second, and as fine as MPEG-4 allows."""

KEY_SECONDS = 2.0
"""Seconds between key frames. A kill costs what came since the last one, and what the encoder holds back."""


def check_suffix(path: Path) -> None:
    """Fails for a file that `VideoWriter` would not write.

    Raises:
        ConfigError: if its ending is none of `SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{path}: expected a file that ends in {', '.join(SUFFIXES)}")


class VideoWriter:
    """A video whose frames have the times that they are given.

    While it is written an .mp4 or .mov is in fragments, so that the file of a killed process still plays;
    `close` makes it an ordinary one.

    Args:
        path: .mp4, .mov or .mkv; overwritten if it is there.
        rate: frames a second, roughly.

    Raises:
        ConfigError: if the ending is another.
        VideoError: if the file cannot be written.
    """

    def __init__(self, path: Path, rate: float) -> None:
        check_suffix(path)
        self._path, self._rate = path, rate
        options = {"flush_packets": "1"}
        if path.suffix.lower() != ".mkv":
            options["movflags"] = "hybrid_fragmented+frag_keyframe"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")  # FFmpeg itself opens it with the first picture, which is late to complain
            self._held = HeldFile(path)
            self._container = av.open(ffmpeg_path(path), "w", container_options=options)
        except (FFmpegError, OSError) as error:
            raise VideoError(f"{path}: cannot be written: {reason(error)}") from error
        self._stream: VideoStream | None = None
        self._last = -1
        self._key_due = 0.0

    def write(self, picture: Picture, seconds: float) -> None:
        """Appends a picture (H, W, 3), RGB.

        The first one sets the size of the video; others are scaled to it.

        Raises:
            VideoError: if the disk is full or the file cannot be written.
            StorageError: if the file was deleted or replaced.
        """
        self._held.check()
        height, width, _ = picture.shape
        if self._stream is None:
            self._stream = self._start(width, height)
        size = (self._stream.width, self._stream.height)
        if (width - width % 2, height - height % 2) == size:
            picture = picture[: size[1], : size[0]]  # H.264 halves the colours, so sides are even
        else:
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture))
        frame.pts = self._last = max(self._last + 1, round(seconds * TICKS))
        frame.time_base = Fraction(1, TICKS)
        if seconds >= self._key_due:  # a live video may have a fraction of the frames that its rate promises
            frame.pict_type = PictureType.I
            self._key_due = seconds + KEY_SECONDS
        self._mux(self._stream.encode_lazy(frame))

    def close(self) -> None:
        """Writes what the encoder holds back, and the index.

        Raises:
            VideoError: if that cannot be written.
            StorageError: if the file was deleted or replaced.
        """
        try:
            if self._stream is not None:
                self._mux(self._stream.encode_lazy())
        finally:
            try:
                self._container.close()
            except (FFmpegError, OSError) as error:
                raise VideoError(f"{self._path}: cannot be finished: {reason(error)}") from error
            self._held.check()
            if self._stream is None:
                self._path.unlink()  # a video without a picture is none

    def _start(self, width: int, height: int) -> VideoStream:
        if min(width, height) < 2:
            raise VideoError(f"{self._path}: cannot hold pictures of {width}x{height} pixels")
        rate = Fraction(self._rate).limit_denominator(1001)
        codec, options = _codec()
        stream = self._container.add_stream(codec, rate, options)
        if not isinstance(stream, VideoStream):
            raise VideoError(f"{self._path}: {codec} does not encode pictures")
        stream.width, stream.height = width - width % 2, height - height % 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        return stream

    def _mux(self, packets: "Iterable[Packet[VideoStream]]") -> None:
        try:
            for packet in packets:
                self._container.mux(packet)
        except (FFmpegError, OSError) as error:
            raise VideoError(f"{self._path}: cannot be written: {reason(error)}") from error


def _codec() -> tuple[str, dict[str, str]]:
    """The encoder that this FFmpeg has, and its options."""
    try:
        av.Codec("libx264", "w")
    except UnknownCodecError:
        return "mpeg4", {"q": "4"}
    return "libx264", {"crf": "23", "preset": "veryfast", "bf": "0"}  # else fragments begin late
