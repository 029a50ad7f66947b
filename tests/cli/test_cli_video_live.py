import base64
import json
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cameras import send_motion_jpeg, serve_camera
from command_line import crowdpoint, interrupt
from drawn_videos import dots, write_video

from crowdpoint.video.frames import Frame
from crowdpoint.video.sources import LiveSource

ZONES = """
image_size: [96, 64]
zones: [{name: left, polygon: [[0, 0], [48, 0], [48, 64], [0, 64]], alert: {above: 1}}]
"""


@pytest.fixture
def street(tmp_path: Path) -> Path:
    return write_video(tmp_path / "street.mp4", [dots(3)] * 5)


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    path = tmp_path / "zones.yaml"
    path.write_text(ZONES)
    return path


def _frames(count: int, step: float) -> list[Frame]:
    return [Frame(index, index * step, datetime.now(UTC), dots(3)) for index in range(count)]


def _replay(monkeypatch: pytest.MonkeyPatch, frames: list[Frame], stop_after: int | None = None) -> None:
    """Let every live source yield these frames, as far as its duration."""

    def replay(_source: LiveSource, stop: threading.Event, duration: float) -> Iterator[Frame]:
        for number, frame in enumerate(frames, start=1):
            if frame.seconds >= duration:
                return
            yield frame
            if number == stop_after:
                stop.set()
                return

    monkeypatch.setattr(LiveSource, "frames", replay)


def test_a_camera_is_counted_until_ctrl_c(tiny: Path, zones: Path, tmp_path: Path) -> None:
    posted: list[tuple[dict[str, Any], str | None]] = []

    def serve(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "GET":
            send_motion_jpeg(handler, 5, 100_000)
            return
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        posted.append((body, handler.headers["Authorization"]))
        handler.send_response(204)
        handler.end_headers()

    store = tmp_path / "counts.db"
    with serve_camera(serve) as url:
        hook = url.replace("user:secret", "hook:hidden")
        options = ("--zones", zones, "--smooth", 0.3, "--db", store, "--alert-webhook", hook)
        code, out, err = interrupt("video", url, "--model", tiny, *options, when=lambda: posted)
    assert code == 0, err
    alert, authorization = posted[0]
    assert (alert["zone"], alert["state"]) == ("left", "raised")
    assert authorization == f"Basic {base64.b64encode(b'hook:hidden').decode()}"
    safe = url.replace("user:secret", "***")
    connection = sqlite3.connect(store)
    ((source, live, ended),) = connection.execute("SELECT source, live, ended_at FROM crowdpoint_runs")
    (raised,) = connection.execute("SELECT max(alert) FROM crowdpoint_zone_counts").fetchone()
    connection.close()
    assert (alert["source"], source, live, raised) == (safe, safe, 1, 1)
    assert ended
    assert f"{safe}: " in out
    for text in (out, err, store.read_bytes().decode(errors="replace")):
        assert "secret" not in text
        assert "hidden" not in text


def test_a_stopped_live_source_is_a_success(
    tiny: Path, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _replay(monkeypatch, _frames(5, 0.1), stop_after=2)
    outcome = crowdpoint("video", street, "--model", tiny, "--live", "--csv", tmp_path / "counts.csv")
    assert (outcome.code, outcome.err) == (0, "")
    assert len((tmp_path / "counts.csv").read_text().splitlines()) == 3


def test_a_live_source_is_counted_for_the_duration(
    tiny: Path, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _replay(monkeypatch, _frames(5, 0.125))
    table = tmp_path / "counts.csv"
    outcome = crowdpoint(
        "video", street, "--model", tiny, "--live", "--duration", 0.25, "--csv", table, "--json"
    )
    assert (outcome.code, outcome.err) == (0, "")
    events = [json.loads(line)["event"] for line in outcome.out.splitlines()]
    assert events == ["count", "count", "summary"]
    assert len(table.read_text().splitlines()) == 3


def test_a_recording_may_be_followed_as_a_live_source(tiny: Path, street: Path) -> None:
    outcome = crowdpoint("video", street, "--model", tiny, "--live", "--retries", 0)
    assert outcome.code == 1
    assert f"{street}: the stream ended; gave up after 0 attempts" in outcome.err


def test_a_model_that_cannot_follow_a_camera_is_reported_once(
    tiny: Path, street: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step, warnings in ((0.625, 1), (0.1, 0)):
        frames = _frames(50, step)
        _replay(monkeypatch, frames)
        outcome = crowdpoint("video", street, "--model", tiny, "--live")
        assert outcome.code == 0
        assert outcome.err.count("need at least 4 frames per second, found 1.6") == warnings


def test_frames_of_another_shape_are_skipped_if_there_are_zones(
    tiny: Path, street: Path, zones: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = _frames(6, 0.1)
    for index in (2, 3):
        frames[index] = Frame(index, index * 0.1, None, dots(3)[:, :64].copy())
    _replay(monkeypatch, frames)
    outcome = crowdpoint("video", street, "--model", tiny, "--live", "--zones", zones, "--json")
    assert outcome.code == 0
    records = [json.loads(line) for line in outcome.out.splitlines()]
    assert [record["frame"] for record in records if record["event"] == "count"] == [0, 1, 4, 5]
    (line,) = outcome.err.splitlines()
    assert line.endswith("96x64 pixels, which the zones fit, found 64x64; such frames are skipped")


def test_a_source_without_a_frame_leaves_outputs_unchanged(
    tiny: Path, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "counts.csv"
    table.write_text("counted before")
    _replay(monkeypatch, [])
    outcome = crowdpoint("video", street, "--model", tiny, "--live", "--csv", table)
    assert (outcome.code, table.read_text()) == (0, "counted before")
    assert "no frame was counted" in outcome.err
