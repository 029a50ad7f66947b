import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import av
import numpy as np
import pytest
from av.container import InputContainer
from cameras import send_motion_jpeg, serve_camera
from drawn_videos import dots, write_video
from silence import expect_silence

from crowdpoint.errors import VideoError
from crowdpoint.video import sources
from crowdpoint.video.frames import Frame, Pace
from crowdpoint.video.sources import LiveSource, Recording, open_source


def _read(path: Path, pace: Pace | None = None) -> list[Frame]:
    source = open_source(str(path), pace or Pace(), 0, expect_silence)
    assert isinstance(source, Recording)
    return list(source.frames(threading.Event()))


def test_a_file_with_a_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    seconds = [0.0, 0.1, 0.5, 0.6, 2.0, 2.05]
    path = write_video(tmp_path / "variable.mp4", [dots(n) for n in range(6)], seconds=seconds)
    found = _read(path)
    assert [frame.seconds for frame in found] == pytest.approx(seconds, abs=0.002)
    assert [frame.time for frame in found] == [None] * 6
    assert [frame.index for frame in _read(path, Pace(fps=2))] == [0, 2, 4]
    for number, frame in enumerate(found):
        assert np.abs(frame.pixels.astype(int) - dots(number)).mean() < 3


def test_the_first_frame_is_at_zero_seconds(tmp_path: Path) -> None:
    path = write_video(tmp_path / "late.ts", [dots(1)] * 3, seconds=[7.0, 7.5, 8.0])
    assert [frame.seconds for frame in _read(path)] == pytest.approx([0, 0.5, 1], abs=0.01)


@pytest.mark.parametrize("ending", [".ts", ".h264"])
def test_time_continues_across_concatenated_recordings(tmp_path: Path, ending: str) -> None:
    """The timestamps of the second half begin again, or there are none."""
    half = write_video(tmp_path / f"half{ending}", [dots(1)] * 20).read_bytes()
    (tmp_path / f"joined{ending}").write_bytes(2 * half)
    times = [frame.seconds for frame in _read(tmp_path / f"joined{ending}")]
    assert times == pytest.approx([number / 10 for number in range(40)], abs=0.002)
    assert len(_read(tmp_path / f"joined{ending}", Pace(fps=2))) == 8
    source = open_source(str(tmp_path / f"joined{ending}"), Pace(), 0, expect_silence)
    assert len(list(source.frames(threading.Event(), duration=3.0))) == 30


def test_the_time_of_recording_is_known_where_the_file_says(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [dots(1)] * 2, created="2026-05-01T12:00:00.000000Z")
    begin = datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert [frame.time for frame in _read(path)] == [begin, begin + timedelta(seconds=0.1)]


@pytest.mark.parametrize(
    "created", ["1904-01-01T00:00:00Z", "1970-01-01T00:00:10Z", "1970-01-01T00:00:10", "noon"]
)
def test_an_unset_clock_is_no_time_of_recording(created: str) -> None:
    container = SimpleNamespace(metadata={"creation_time": created})
    assert sources._read_creation_time(cast(InputContainer, container)) is None
    container.metadata["creation_time"] = "2026-05-01T12:00:00"
    assert sources._read_creation_time(cast(InputContainer, container)) == datetime(
        2026, 5, 1, 12, tzinfo=UTC
    )


def test_a_truncated_file_yields_its_frames(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (64, 96, 3), np.uint8) for _ in range(20)]
    whole = write_video(tmp_path / "whole.mkv", pictures).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    assert 3 < len(_read(tmp_path / "cut.mkv")) < 18


def test_a_stopped_reader_gets_no_more_frames(tmp_path: Path) -> None:
    source = open_source(str(write_video(tmp_path / "a.mp4", [dots(1)] * 5)), Pace(), 0, expect_silence)
    stop, found = threading.Event(), []
    for frame in source.frames(stop):
        found.append(frame)
        if len(found) == 2:
            stop.set()
    assert len(found) == 2


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FIRST_RETRY_DELAY", 0.01)


def test_a_disconnected_stream_is_reopened() -> None:
    calls: list[int] = []

    def serve(handler: BaseHTTPRequestHandler) -> None:
        calls.append(len(calls))
        if len(calls) == 2:
            handler.send_error(503)
        else:
            send_motion_jpeg(handler, 0, 12)

    said: list[str] = []
    stop = threading.Event()
    found: list[Frame] = []
    begin = datetime.now(UTC)
    with serve_camera(serve) as url:
        source = open_source(url, Pace(), 3, said.append)
        assert isinstance(source, LiveSource)
        for frame in source.frames(stop):
            found.append(frame)
            if len(calls) > 3:
                stop.set()
    assert len(calls) > 3
    assert [frame.index for frame in found] == sorted({frame.index for frame in found})
    assert found[0].seconds == 0
    assert all(frame.time and begin <= frame.time <= datetime.now(UTC) for frame in found)
    assert "***@127.0.0.1" in said[0]
    assert "reconnecting in 0.01 s (attempt 1 of 3)" in said[0]
    assert "(attempt 2 of 3)" in said[1]
    assert "(attempt 1 of 3)" in said[2]  # frames had come in between
    assert not any("secret" in line for line in said)


def test_a_stream_is_given_up_after_its_retries() -> None:
    calls: list[int] = []

    def serve(handler: BaseHTTPRequestHandler) -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            send_motion_jpeg(handler, 0, 12)
        else:
            handler.send_error(404)

    said: list[str] = []
    with serve_camera(serve) as url:
        source = open_source(url, Pace(), 2, said.append)
        found: list[Frame] = []
        with pytest.raises(VideoError, match=r"\*\*\*@.*gave up after 2 attempts"):
            found.extend(source.frames(threading.Event()))
    assert found
    assert len(said) == 2
    assert said[1].partition(" in ")[2].startswith("0.02 s")  # the wait doubles


def test_delays_stay_finite_after_many_failures(tmp_path: Path) -> None:
    said: list[str] = []
    path = write_video(tmp_path / "a.mp4", [dots(1)])
    source = open_source(str(path), Pace(), 3000, said.append, live=True)
    assert isinstance(source, LiveSource)
    source._failures = 2000
    halt = threading.Event()
    halt.set()
    assert source._reconnect("gone", halt) is None
    assert "reconnecting in 60 s (attempt 2001 of 3000)" in said[0]


def test_a_stream_that_falls_silent_does_not_outlast_its_duration() -> None:
    over = threading.Event()

    def serve(handler: BaseHTTPRequestHandler) -> None:
        send_motion_jpeg(handler, 0, 12)
        over.wait(60)

    with serve_camera(serve) as url:
        source = open_source(url, Pace(), 0, expect_silence)
        begin = time.monotonic()
        found = [frame.seconds for frame in source.frames(threading.Event(), duration=1.0)]
        over.set()
    assert time.monotonic() - begin >= 1
    assert all(seconds < 1 for seconds in found)


@pytest.mark.parametrize(
    ("pace", "selected"), [(Pace(every=10), {0, 10, 20}), (Pace(fps=1e-3), {0})], ids=["every", "fps"]
)
def test_a_live_source_has_only_selected_frames(pace: Pace, selected: set[int]) -> None:
    with serve_camera(lambda handler: send_motion_jpeg(handler, 0, 25)) as url:
        source = open_source(url, pace, 0, expect_silence)
        indices: list[int] = []
        with pytest.raises(VideoError, match="gave up"):
            indices.extend(frame.index for frame in source.frames(threading.Event()))
    assert indices
    assert set(indices) <= selected


def test_a_live_source_ends_when_its_duration_after_the_first_frame_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "POLL_INTERVAL", 60.0)
    with serve_camera(lambda handler: send_motion_jpeg(handler, 0, 400)) as url:
        source = open_source(url, Pace(), 0, expect_silence)
        assert [frame.seconds for frame in source.frames(threading.Event(), duration=1e-6)] == [0]


def test_a_slow_reader_gets_the_newest_frame() -> None:
    stop = threading.Event()
    with serve_camera(lambda handler: send_motion_jpeg(handler, 0, 400)) as url:
        source = open_source(url, Pace(), 0, expect_silence)
        found: list[Frame] = []
        for frame in source.frames(stop):
            found.append(frame)
            time.sleep(0.2)
            if len(found) == 4:
                stop.set()
    assert found[-1].index - found[0].index > 6


def test_a_video_over_http_that_has_an_end_is_read_to_it(tmp_path: Path) -> None:
    content = write_video(tmp_path / "a.mkv", [dots(1)] * 7).read_bytes()

    def serve(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    with serve_camera(serve) as url:
        source = open_source(url, Pace(), 0, expect_silence)
        assert isinstance(source, Recording)
        assert len(list(source.frames(threading.Event()))) == 7


def test_a_stream_of_a_known_length_is_live_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = av.open(str(write_video(tmp_path / "a.mp4", [dots(1)] * 3)))
    monkeypatch.setattr(sources, "connect", lambda _: recording)
    assert recording.duration
    assert not open_source("https://host/a.mp4", Pace(), 0, expect_silence).live
    assert open_source("rtsp://camera/main", Pace(), 0, expect_silence).live
    assert not open_source("rtsp://camera/main", Pace(), 0, expect_silence, live=False).live
