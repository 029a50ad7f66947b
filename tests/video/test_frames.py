import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.stream import Disposition
from av.video.stream import VideoStream
from drawn_videos import dots, write_video

from crowdpoint.errors import VideoError
from crowdpoint.video.frames import (
    Pace,
    connect,
    decode,
    find_device,
    get_pixel_ratio,
    get_video_stream,
    to_upright,
)

Pair = tuple[int, int]


def test_every_nth_frame() -> None:
    pace = Pace(every=3)
    assert [index for index in range(8) if pace.is_due(index, 0.0)] == [0, 3, 6]
    pace = Pace(every=3)
    assert [index for index in (0, 2, 4, 5, 7, 8, 9) if pace.is_due(index, 0.0)] == [0, 4, 7, 9]


def test_frames_a_second() -> None:
    pace = Pace(fps=5)
    assert [index for index in range(30) if pace.is_due(index, index / 25)] == [0, 5, 10, 15, 20, 25]
    pace = Pace(fps=100)
    assert [index for index in range(3) if pace.is_due(index, index / 25)] == [0, 1, 2]
    for fps in (0, math.inf, math.nan):
        with pytest.raises(ValueError, match="a finite fps > 0"):
            Pace(fps=fps)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_rotated_and_mirrored_videos_are_upright(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    picture = dots(1)
    path = write_video(tmp_path / "turned.mp4", [picture], rotation=rotation, mirrored=mirrored)
    with connect(str(path)) as container:
        (frame,) = decode(container)
        found = to_upright(frame)
    expected = np.rot90(picture, rotation // 90)
    if mirrored:
        expected = expected[:, ::-1]
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 3


@pytest.mark.parametrize(
    ("aspect", "rotation", "size"),
    [
        (Fraction(2), 0, (192, 64)),
        (Fraction(1, 2), 0, (48, 64)),
        (Fraction(16, 15), 90, (64, 102)),
        (Fraction(16), 0, (1536, 64)),
        (Fraction(17), 0, (96, 64)),
        (Fraction(1, 250), 0, (96, 64)),
        (Fraction(250), 0, (96, 64)),
    ],
)
def test_pixels_are_made_square(tmp_path: Path, aspect: Fraction, rotation: int, size: Pair) -> None:
    path = write_video(tmp_path / "wide.mp4", [dots(5)], aspect=aspect, rotation=rotation)
    with connect(str(path)) as container:
        ratio = get_pixel_ratio(get_video_stream(container))
        (frame,) = decode(container)
        height, width, _ = to_upright(frame, ratio).shape
    assert (width, height) == size


def _with_cover(path: Path, pictures: int) -> Path:
    """Sound and its cover, which is the first stream of pictures, and a video of so many pictures."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", 48_000)
        cover = container.add_stream("mjpeg", 1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        streams: list[AudioStream | VideoStream] = [sound, cover]
        if pictures:
            video = container.add_stream("libx264", 10)
            video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
            streams.append(video)
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        silence.sample_rate, silence.pts = 48_000, 0
        container.mux(sound.encode(silence))
        container.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        for _ in range(pictures):
            container.mux(video.encode(av.VideoFrame.from_ndarray(dots(3))))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def test_a_cover_image_is_not_a_video(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"song\.mp4: expected a video, found only a cover image"):
        connect(str(_with_cover(tmp_path / "song.mp4", 0)))
    with connect(str(_with_cover(tmp_path / "clip.mp4", 3))) as container:
        assert [frame.width for frame in decode(container)] == [96] * 3


def test_a_name_may_have_colons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "noon.mp4", [dots(1)] * 2).rename("12:30:00.mp4")
    with connect("12:30:00.mp4") as container:
        assert len(list(decode(container))) == 2


@pytest.mark.parametrize(
    ("location", "platform", "expected"),
    [
        ("0", "linux", ("/dev/video0", "v4l2")),
        ("1", "darwin", ("1", "avfoundation")),
        ("/dev/video2", "linux", ("/dev/video2", "v4l2")),
        ("video=Integrated Camera", "win32", ("video=Integrated Camera", "dshow")),
        ("street.mp4", "linux", None),
    ],
)
def test_cameras(
    location: str, platform: str, expected: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.platform", platform)
    assert find_device(location) == expected


def test_a_camera_on_windows_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(VideoError, match="video=Integrated Camera"):
        find_device("0")


def test_files_that_are_not_videos(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"none\.mp4: cannot be opened as a video: No such file"):
        connect(str(tmp_path / "none.mp4"))
    (tmp_path / "text.mp4").write_text("no video at all\n" * 99)
    with pytest.raises(VideoError, match=r"text\.mp4: cannot be opened as a video: Invalid data"):
        connect(str(tmp_path / "text.mp4"))
    whole = write_video(tmp_path / "whole.mp4", [dots(1)] * 3).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VideoError, match=r"cut\.mp4: (cannot be opened|expected a video)"):
        connect(str(tmp_path / "cut.mp4"))
    (tmp_path / "sound.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    with pytest.raises(VideoError, match="found no decodable video stream"):
        connect(str(tmp_path / "sound.srt"))
