"""Small videos that tests draw for themselves."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import draw_crowd
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

Picture = npt.NDArray[np.uint8]

RATE = 10
"""Frames a second."""


def dots(count: int, width: int = 96, height: int = 64) -> Picture:
    """Black with `count` white squares, each of which the tiny model finds as one point."""
    picture = np.zeros((height, width, 3), np.uint8)
    for index in range(count):
        row, column = divmod(index, width // 16)
        picture[16 * row + 2 : 16 * row + 6, 16 * column + 2 : 16 * column + 6] = 255
    return picture


def panned_crowd(frames: int, width: int = 96, height: int = 64) -> list[Picture]:
    """A camera that moves along a drawn crowd."""
    picture, _ = draw_crowd.draw(2 * width, height, people=30)
    steps = np.linspace(0, width, frames).astype(int)
    return [np.ascontiguousarray(picture[:, left : left + width]) for left in steps]


def write_video(
    path: Path,
    pictures: Iterable[Picture],
    *,
    rotation: int = 0,
    mirrored: bool = False,
    aspect: Fraction | None = None,
    seconds: Sequence[float] | None = None,
    created: str | None = None,
    codec: str = "libx264",
) -> Path:
    """Encodes pictures of one size.

    Args:
        path: the file to write.
        pictures: (H, W, 3) RGB with even sides.
        rotation: degrees counterclockwise by which a player turns them.
        mirrored: whether it mirrors them left to right before that.
        aspect: width of a pixel divided by its height.
        seconds: when each is shown; `RATE` a second by default.
        created: time of recording for the metadata.
        codec: the encoder.
    """
    with av.open(str(path), "w") as container:
        if created:
            container.metadata["creation_time"] = created
        stream = container.add_stream(codec, RATE, {"crf": "10", "preset": "ultrafast"})
        assert isinstance(stream, VideoStream)
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        ticks = RATE if seconds is None else 1000
        stream.codec_context.time_base = Fraction(1, ticks)
        for index, picture in enumerate(pictures):
            if not index:
                stream.height, stream.width, _ = picture.shape
                if rotation or mirrored:
                    stream.set_display_rotation(rotation, hflip=mirrored)
                if aspect:
                    stream.codec_context.sample_aspect_ratio = stream.sample_aspect_ratio = aspect
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts = index if seconds is None else round(ticks * seconds[index])
            frame.time_base = Fraction(1, ticks)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read_video(path: Path) -> tuple[list[Picture], list[float]]:
    """The pictures of a file, and when each is shown."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames], [
        f.time for f in frames
    ]
