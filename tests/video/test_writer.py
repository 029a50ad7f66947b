from pathlib import Path

import av
import numpy as np
import pytest
from drawn_videos import dots, read_video

from crowdpoint.errors import ConfigError, VideoError
from crowdpoint.video.writer import KEY_FRAME_INTERVAL, VideoWriter


@pytest.mark.parametrize("name", ["new/a.mp4", "a.mov", "a.mkv"])
def test_pictures_and_times_round_trip(tmp_path: Path, name: str) -> None:
    video = VideoWriter(tmp_path / name, 10)
    times = [0.0, 0.1, 0.5, 0.5, 3.0]
    for number, seconds in enumerate(times):
        video.write(dots(number), seconds)
    video.close()
    pictures, found = read_video(tmp_path / name)
    assert found == pytest.approx(times, abs=0.002)
    for number, picture in enumerate(pictures):
        assert np.abs(picture.astype(int) - dots(number)).mean() < 6


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_the_last_picture_is_repeated_in_long_gaps(tmp_path: Path, name: str) -> None:
    day, hours = 86_400, 3600
    video = VideoWriter(tmp_path / name, 10)
    for number, seconds in enumerate((0, day, day + 0.1)):
        video.write(dots(number + 1), seconds)
    video.close()
    pictures, found = read_video(tmp_path / name)
    assert found == pytest.approx([0, 8 * hours, 16 * hours, day, day + 0.1], abs=0.002)
    for picture, number in zip(pictures, (1, 1, 1, 2, 3), strict=True):
        assert np.abs(picture.astype(int) - dots(number)).mean() < 6


def test_a_name_may_have_colons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    video = VideoWriter(Path("12:30:00.mp4"), 10)
    video.write(dots(1), 0)
    video.close()
    Path("12:30:00.mp4").rename("noon.mp4")
    assert len(read_video(tmp_path / "noon.mp4")[0]) == 1


def test_odd_sides_and_a_size_that_changes(tmp_path: Path) -> None:
    video = VideoWriter(tmp_path / "a.mp4", 5)
    video.write(dots(1, 97, 65), 0)
    video.write(dots(1, 192, 128), 1)
    video.close()
    pictures, _ = read_video(tmp_path / "a.mp4")
    assert [picture.shape for picture in pictures] == [(64, 96, 3)] * 2


@pytest.mark.parametrize("rate", [2, 25])
def test_a_file_that_was_not_closed_is_readable(tmp_path: Path, rate: float) -> None:
    """Also where fewer frames come than the rate promises, as from a camera that the model cannot follow."""
    path = tmp_path / "a.mp4"
    video = VideoWriter(path, rate)
    for number in range(60):
        video.write(dots(number % 20), number / 2)
    (tmp_path / "killed.mp4").write_bytes(path.read_bytes())
    video.close()
    _, times = read_video(tmp_path / "killed.mp4")
    held_back = 12 / 2  # the encoder looks ten frames ahead
    assert times[-1] >= 29.5 - KEY_FRAME_INTERVAL - held_back


def test_without_h264_it_is_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str, mode: str) -> None:
        raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr("av.Codec", none)
    video = VideoWriter(tmp_path / "a.mp4", 10)
    video.write(dots(3), 0)
    video.write(dots(4), 0.1)
    video.close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert read_video(tmp_path / "a.mp4")[1] == pytest.approx([0, 0.1])


def test_a_video_without_frames_is_removed(tmp_path: Path) -> None:
    VideoWriter(tmp_path / "a.mp4", 10).close()
    assert not (tmp_path / "a.mp4").exists()


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.mp4 or \.mov or \.mkv"):
        VideoWriter(tmp_path / "a.gif", 10)
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(VideoError, match="cannot be written: Is a directory"):
        VideoWriter(tmp_path / "a.mp4", 10)
