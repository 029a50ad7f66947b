import math
from pathlib import Path

import pytest
from drawn_videos import RATE, dots, write_video

from crowdpoint.video.clock import GAP_THRESHOLD, Clock, estimate_frame_rate, start_clock
from crowdpoint.video.frames import connect, get_video_stream

A = [0.0, 0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("timestamps", "seconds"),
    [
        ([7.0, 7.5, 7.6, 9.0], [0, 0.5, 0.6, 2.0]),
        ([None] * 4, A),
        ([0.0, None, None, 0.3, 0.35], [*A, 0.35]),
        ([0.0] * 4, A),
        ([0.0, 0.1, 0.1, 0.3, 0.4], [*A, 0.4]),
        ([0.1, 0.4, 0.3, 0.2, 0.5], [0, 0.3, 0.4, 0.5, 0.6]),
        ([5.0, 5.5, 6.0, 0.0, 0.5, 1.5], [0, 0.5, 1.0, 1.1, 1.6, 2.6]),
        ([5.0, 95_444.0, 95_444.5], [0, 0.1, 0.6]),
        ([-2.0, -1.9, -90_000.0, -89_999.5], [0, 0.1, 0.2, 0.7]),
    ],
    ids=["own", "missing", "gaps", "same", "repeat", "disorder", "restart", "leap", "negative"],
)
def test_time_rises_whatever_the_timestamps_do(timestamps: list[float | None], seconds: list[float]) -> None:
    clock = Clock(0.1, GAP_THRESHOLD)
    assert [clock.tick(timestamp) for timestamp in timestamps] == pytest.approx(seconds)


def test_a_pause_is_kept_if_timestamps_are_continuous() -> None:
    clock = Clock(0.1)
    assert [clock.tick(timestamp) for timestamp in (0.0, 3600.0, 3600.1)] == [0, 3600, 3600.1]


@pytest.mark.parametrize(("name", "longest"), [("a.ts", GAP_THRESHOLD), ("a.mp4", math.inf)])
def test_only_transport_streams_have_discontinuities(tmp_path: Path, name: str, longest: float) -> None:
    with connect(str(write_video(tmp_path / name, [dots(1)] * 3))) as container:
        clock = start_clock(get_video_stream(container))
        assert (clock._period, clock._longest) == (1 / RATE, longest)


def test_the_rate_of_a_bare_stream_is_that_of_its_frames(tmp_path: Path) -> None:
    with connect(str(write_video(tmp_path / "a.h264", [dots(1)] * 3))) as container:
        assert get_video_stream(container).average_rate == 25
        assert estimate_frame_rate(get_video_stream(container)) == RATE
