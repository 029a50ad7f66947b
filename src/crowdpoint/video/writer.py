"""Write video files, in H.264 if the installed FFmpeg supports it, otherwise in MPEG-4."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import PictureType
from av.video.stream import VideoStream

from crowdpoint import images
from crowdpoint.errors import VideoError
from crowdpoint.outputs import WatchedFile, check_suffix
from crowdpoint.points import Picture
from crowdpoint.video.frames import describe_error, to_ffmpeg_path

SUFFIXES = (".mp4", ".mov", ".mkv")

TICKS = 60_000
"""Time base in units per second: divisible by 24, 25, 30, 50 and 60, and the finest that MPEG-4 allows."""

MAX_STEP = 8 * 3600 * TICKS
"""Ticks between pictures above which the last one is repeated: .mp4 and .mov hold steps below 2**31 ticks."""

KEY_FRAME_INTERVAL = 2.0
"""Seconds between key frames. A killed process loses the frames since the last one."""


class VideoWriter:
    """Writer of a video with a given time for each frame.

    Writes .mp4 and .mov files in fragments, so that the file of a killed process is playable; `close`
    converts them to regular files. In gaps of more than 8 hours, it repeats the last picture.

    An unsupported extension is a ConfigError; a file that cannot be written is a VideoError.

    Args:
        path: .mp4, .mov or .mkv file; overwritten if it exists.
        rate: approximate frame rate in frames per second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        check_suffix(path, SUFFIXES)
        self._path, self._rate = path, rate
        options = {"flush_packets": "1"}
        if path.suffix.lower() != ".mkv":
            options["movflags"] = "hybrid_fragmented+frag_keyframe"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")  # FFmpeg opens the file with the first frame, too late to report errors
            self._held = WatchedFile(path)
            self._container = av.open(to_ffmpeg_path(path), "w", container_options=options)
        except (FFmpegError, OSError) as error:
            raise VideoError(f"{path}: cannot be written: {describe_error(error)}") from error
        self._stream: VideoStream | None = None
        self._shown: av.VideoFrame | None = None
        self._last = -1
        self._key_due = 0.0

    def write(self, picture: Picture, seconds: float) -> None:
        """Append a picture (H, W, 3) RGB.

        The first one sets the size of the video; others are resized to it.
        """
        self._held.check()
        height, width, _ = picture.shape
        if self._stream is None:
            self._stream = self._start(width, height)
        size = (self._stream.width, self._stream.height)
        if (width - width % 2, height - height % 2) == size:
            picture = picture[: size[1], : size[0]]  # chroma subsampling needs even sides
        else:
            picture = images.resize(picture, size)
        ticks = max(self._last + 1, round(seconds * TICKS))
        while self._shown is not None and ticks - self._last > MAX_STEP:
            self._encode(self._stream, self._shown, self._last + MAX_STEP)
        self._shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture))
        self._encode(self._stream, self._shown, ticks)

    def close(self) -> None:
        """Flush the encoder and write the index."""
        try:
            if self._stream is not None:
                self._mux(self._stream.encode_lazy())
        finally:
            try:
                self._container.close()
            except (FFmpegError, OSError) as error:
                raise VideoError(f"{self._path}: cannot be finished: {describe_error(error)}") from error
            self._held.check()
            if self._stream is None:
                self._path.unlink()  # a video without frames is invalid

    def _start(self, width: int, height: int) -> VideoStream:
        if min(width, height) < 2:
            raise VideoError(
                f"{self._path}: expected pictures of at least 2x2 pixels, found {width}x{height}"
            )
        rate = Fraction(self._rate).limit_denominator(1001)
        codec, options = _choose_codec()
        stream = self._container.add_stream(codec, rate, options)
        assert isinstance(stream, VideoStream)  # both codecs encode video
        stream.width, stream.height = width - width % 2, height - height % 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        return stream

    def _encode(self, stream: VideoStream, frame: av.VideoFrame, ticks: int) -> None:
        frame.pts = self._last = ticks
        frame.time_base = Fraction(1, TICKS)
        # Set key frames by time, because live videos may have fewer frames than their rate implies.
        if ticks >= self._key_due:
            frame.pict_type = PictureType.I
            self._key_due = ticks + KEY_FRAME_INTERVAL * TICKS
        self._mux(stream.encode_lazy(frame))

    def _mux(self, packets: "Iterable[Packet[VideoStream]]") -> None:
        try:
            for packet in packets:
                self._container.mux(packet)
        except (FFmpegError, OSError) as error:
            raise VideoError(f"{self._path}: cannot be written: {describe_error(error)}") from error


def _choose_codec() -> tuple[str, dict[str, str]]:
    try:
        av.Codec("libx264", "w")
    except UnknownCodecError:
        return "mpeg4", {"q": "4"}
    return "libx264", {"crf": "23", "preset": "veryfast", "bf": "0"}  # B-frames would delay fragments
