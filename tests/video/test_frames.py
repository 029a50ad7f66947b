from pathlib import Path

import numpy as np
import pytest
from drawn_videos import dots, write_video

from crowdpoint.errors import VideoError
from crowdpoint.video.frames import Pace, connect, decode, device, upright


def test_every_nth_frame() -> None:
    pace = Pace(every=3)
    assert [index for index in range(8) if pace.due(index, 0.0)] == [0, 3, 6]
    pace = Pace(every=3)
    assert [index for index in (0, 2, 4, 5, 7, 8, 9) if pace.due(index, 0.0)] == [0, 4, 7, 9]


def test_frames_a_second() -> None:
    pace = Pace(fps=5)
    assert [index for index in range(30) if pace.due(index, index / 25)] == [0, 5, 10, 15, 20, 25]
    pace = Pace(fps=100)
    assert [index for index in range(3) if pace.due(index, index / 25)] == [0, 1, 2]
    with pytest.raises(ValueError, match="fps > 0"):
        Pace(fps=0)


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_turned_videos_are_upright(tmp_path: Path, rotation: int) -> None:
    picture = dots(1)
    path = write_video(tmp_path / "turned.mp4", [picture], rotation=rotation)
    with connect(str(path)) as container:
        (frame,) = decode(container)
        found = upright(frame)
    expected = np.rot90(picture, rotation // 90)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 3


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
    assert device(location) == expected


def test_a_camera_on_windows_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(VideoError, match="video=Integrated Camera"):
        device("0")


def test_what_is_no_video(tmp_path: Path) -> None:
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
    with pytest.raises(VideoError, match="found no stream of pictures"):
        connect(str(tmp_path / "sound.srt"))
