import csv
import itertools
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from av.error import FFmpegError
from command_line import crowdpoint, interrupt
from drawn_videos import dots, panned_crowd, read_video, write_video

from crowdpoint.video import sources
from crowdpoint.video.frames import decode, to_upright

ZONES = """
image_size: [96, 64]
ground: {image: [[0, 0], [96, 0], [96, 64], [0, 64]], metres: [[0, 0], [12, 0], [12, 8], [0, 8]]}
zones:
  - {name: left, polygon: [[0, 0], [48, 0], [48, 64], [0, 64]], alert: {above: 2, for: 200ms}}
  - {name: top, polygon: [[0, 0], [96, 0], [96, 16], [0, 16]]}
"""


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """Two seconds: one person, then ten."""
    pictures = [dots(1)] * 10 + [dots(10)] * 10
    return write_video(tmp_path / "street.mp4", pictures, created="2026-05-01T12:00:00.000000Z")


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    path = tmp_path / "zones.yaml"
    path.write_text(ZONES)
    return path


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_all_outputs_at_once(tiny: Path, street: Path, zones: Path, tmp_path: Path) -> None:
    outcome = crowdpoint(
        *("video", street, "--model", tiny, "--zones", zones, "--smooth", 0, "--db", tmp_path / "counts.db"),
        *("--out", tmp_path / "seen.mp4", "--csv", tmp_path / "counts.csv"),
        *("--alert-file", tmp_path / "alerts.jsonl"),
    )
    assert (outcome.code, outcome.err) == (0, "")
    alert, summary = outcome.out.splitlines()
    assert json.loads(alert) == {
        "event": "alert",
        "source": str(street),
        "zone": "left",
        "state": "raised",
        "measure": "count",
        "value": 6.0,
        "level": 2.0,
        "frame": 12,
        "seconds": 1.2,
        "time": "2026-05-01T12:00:01.200Z",
    }
    assert (tmp_path / "alerts.jsonl").read_text() == alert + "\n"
    assert summary.startswith(
        f"{street}: 20 frames counted over 1.9 s: 5.5 on average, at most 10 smoothed, 10 different people ("
    )
    rows = _table(tmp_path / "counts.csv")
    assert [int(row["count"]) for row in rows] == [1] * 10 + [10] * 10
    assert rows[-1] == {
        "frame": "19",
        "seconds": "1.900",
        "time": "2026-05-01T12:00:01.900Z",
        "count": "10",
        "smoothed": "10",
        "people": "10",
        "left.count": "6",
        "left.smoothed": "6",
        "left.per_m2": "0.125",
        "left.people": "6",
        "left.dwell": rows[-1]["left.dwell"],
        "top.count": "6",
        "top.smoothed": "6",
        "top.per_m2": "0.25",
        "top.people": "6",
        "top.dwell": rows[-1]["top.dwell"],
    }
    assert float(rows[-1]["left.dwell"]) == pytest.approx((1.8 + 5 * 0.8) / 6, abs=0.1)
    pictures, seconds = read_video(tmp_path / "seen.mp4")
    assert [picture.shape for picture in pictures] == [(64, 96, 3)] * 20
    assert seconds[-1] == pytest.approx(1.9, abs=0.01)
    with sqlite3.connect(tmp_path / "counts.db") as connection:
        sums = connection.execute("SELECT count(*), sum(count) FROM crowdpoint_counts").fetchone()
        alerts = connection.execute("SELECT zone, state FROM crowdpoint_alerts").fetchall()
    connection.close()
    assert (sums, alerts) == ((20, 110), [("left", "raised")])


def test_json_lines_and_smoothing(tiny: Path, street: Path) -> None:
    outcome = crowdpoint("video", street, "--model", tiny, "--every", 3, "--smooth", 0.9, "--json")
    *counts, summary = map(json.loads, outcome.out.splitlines())
    assert [(count["frame"], count["count"], count["smoothed"]) for count in counts] == [
        (0, 1, 1),
        (3, 1, 1),
        (6, 1, 1),
        (9, 1, 1),
        (12, 10, 1),
        (15, 10, 1),
        (18, 10, 10),
    ]
    assert counts[1]["time"] == "2026-05-01T12:00:00.300Z"
    assert (summary["event"], summary["frames"], summary["mean"]) == ("summary", 7, 4.857)
    assert "need at least 4 frames per second, found 3.33" in outcome.err


def test_the_highest_count_is_the_smoothed_one(tiny: Path, tmp_path: Path) -> None:
    flash = write_video(tmp_path / "flash.mp4", [*[dots(2)] * 15, dots(12), *[dots(2)] * 5])
    outcome = crowdpoint("video", flash, "--model", tiny, "--json")
    records = [json.loads(line) for line in outcome.out.splitlines()]
    assert max(record["count"] for record in records[:-1]) == 12
    assert records[-1]["highest_smoothed"] == 2


@pytest.fixture
def walkers(tmp_path: Path) -> Path:
    """Three people who walk from left to right, one after the other, and one who stands."""
    pictures = []
    for frame in range(60):
        picture = dots(0, 320, 240)
        picture[200:204, 300:304] = 255
        for person in range(3):
            left = 8 * frame - 48 * person + 2  # in one cell of the tiny model
            if 0 <= left < 316:
                picture[48 * person + 2 : 48 * person + 6, left : left + 4] = 255
        pictures.append(picture)
    return write_video(tmp_path / "walkers.mp4", pictures)


def test_people_who_walk_over_a_line(tiny: Path, walkers: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts.yaml"
    parts.write_text(
        "zones: [{name: right, polygon: [[160, 0], [320, 0], [320, 240], [160, 240]]}]\n"
        "lines: [{name: door, line: [[120, 0], [120, 240]]}]\n"
    )
    files = {name: tmp_path / name for name in ("people.csv", "counts.csv", "counts.db", "seen.mp4")}
    outcome = crowdpoint(
        *("video", walkers, "--model", tiny, "--zones", parts, "--json", "--people", files["people.csv"]),
        *("--csv", files["counts.csv"], "--db", files["counts.db"], "--out", files["seen.mp4"]),
    )
    assert (outcome.code, outcome.err) == (0, "")
    records = [json.loads(line) for line in outcome.out.splitlines()]
    crossed = [record for record in records if record["event"] == "crossing"]
    assert [(record["line"], record["direction"]) for record in crossed] == [("door", "in")] * 3
    assert len({record["person"] for record in crossed}) == 3
    summary = records[-1]
    assert (summary["people"], summary["lines"]) == (4, {"door": {"in": 3, "out": 0}})
    last = _table(files["counts.csv"])[-1]
    assert (last["people"], last["door.in"], last["door.out"], last["right.people"]) == ("4", "3", "0", "4")
    stays = _table(files["people.csv"])
    assert sum(stay["zone"] == "" for stay in stays) == sum(stay["zone"] == "right" for stay in stays) == 4
    longest = max(float(stay["dwell"]) for stay in stays if stay["zone"] == "right")
    assert longest == pytest.approx(5.8, abs=0.15)  # who stands there
    with sqlite3.connect(files["counts.db"]) as connection:
        directions = connection.execute("SELECT direction FROM crowdpoint_crossings").fetchall()
        stored = connection.execute("SELECT count(*) FROM crowdpoint_stays").fetchone()
        highest = connection.execute("SELECT max(inward) FROM crowdpoint_line_counts").fetchone()
    connection.close()
    assert (directions, stored, highest) == ([("in",)] * 3, (len(stays),), (3,))


def test_who_is_beyond_a_line_on_the_last_frame_of_a_recording_has_crossed(
    tiny: Path, walkers: Path, tmp_path: Path
) -> None:
    parts, table = tmp_path / "parts.yaml", tmp_path / "counts.csv"
    parts.write_text("lines: [{name: door, line: [[120, 0], [120, 240]]}]\n")
    outcome = crowdpoint(
        *("video", walkers, "--model", tiny, "--zones", parts, "--csv", table, "--duration", 1.55)
    )
    assert outcome.out.splitlines()[-1] == "door: 1 in, 0 out"
    assert [row["door.in"] for row in _table(table)[-2:]] == ["0", "1"]


def test_a_recording_that_fails_ends_with_the_frame_before(
    tiny: Path, walkers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(container: Any) -> Iterator[Any]:
        yield from itertools.islice(decode(container), 16)
        raise FFmpegError(5, "Input/output error")

    monkeypatch.setattr(sources, "decode", fail)
    parts, table = tmp_path / "parts.yaml", tmp_path / "counts.csv"
    parts.write_text("lines: [{name: door, line: [[120, 0], [120, 240]]}]\n")
    outcome = crowdpoint("video", walkers, "--model", tiny, "--zones", parts, "--csv", table)
    assert outcome.code == 1
    error = f"{walkers}: ends unexpectedly after 16 frames: Input/output error"
    assert outcome.err.splitlines()[-1] == f"crowdpoint: {error}"
    assert [row["door.in"] for row in _table(table)[-2:]] == ["0", "1"]


def test_a_frame_rate_too_low_for_lines_is_reported(tiny: Path, walkers: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts.yaml"
    parts.write_text("lines: [{name: door, line: [[120, 0], [120, 240]]}]\n")
    outcome = crowdpoint("video", walkers, "--model", tiny, "--zones", parts, "--fps", 2, "--duration", 1)
    assert "different people, dwell times and lines need at least 4 frames per second, found 2" in outcome.err
    assert outcome.out.splitlines()[-1] == "door: 0 in, 0 out"


def test_a_panned_crowd_by_time(tiny: Path, tmp_path: Path) -> None:
    path = write_video(tmp_path / "pan.mp4", panned_crowd(12))
    options = ("--model", tiny, "--threshold", 0.7, "--fps", 5, "--duration", 0.9)
    assert crowdpoint("video", path, *options, "--csv", tmp_path / "c.csv").code == 0
    rows = _table(tmp_path / "c.csv")
    assert [row["seconds"] for row in rows] == ["0.000", "0.200", "0.400", "0.600", "0.800"]
    assert len({row["count"] for row in rows}) > 1
    assert {row["time"] for row in rows} == {""}


def test_ctrl_c_leaves_files_that_can_be_read(tiny: Path, zones: Path, tmp_path: Path) -> None:
    long = write_video(tmp_path / "long.mp4", [dots(n % 12) for n in range(3000)])
    table, seen = tmp_path / "counts.csv", tmp_path / "seen.mp4"
    arguments = ["--model", tiny, "--zones", zones, "--out", seen, "--csv", table, "--db", tmp_path / "c.db"]
    code, out, err = interrupt(
        *("video", long, *arguments),
        when=lambda: table.is_file() and len(table.read_text().splitlines()) > 5,
    )
    assert code == 130, err
    assert "stopped before the end; the counts so far are written" in err
    rows = _table(table)
    pictures, _ = read_video(seen)
    connection = sqlite3.connect(tmp_path / "c.db")
    stored, ended = connection.execute(
        "SELECT count(*), max(ended_at) FROM crowdpoint_counts, crowdpoint_runs"
    ).fetchone()
    connection.close()
    assert 5 <= len(rows) == len(pictures) == stored < 3000
    assert ended
    assert f"{len(rows)} frames counted" in out


def test_a_broken_file_is_one_error(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"\0" * 5000)
    outcome = crowdpoint("video", tmp_path / "bad.mp4", "--model", tiny, "--csv", tmp_path / "c.csv")
    assert outcome.code == 1
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"crowdpoint: {tmp_path / 'bad.mp4'}: cannot be opened as a video")
    assert not (tmp_path / "c.csv").exists()


def test_a_misspelt_file_is_not_found_before_the_model_is_loaded(tmp_path: Path) -> None:
    outcome = crowdpoint("video", tmp_path / "nosuch.mp4", "--model", "no-such-model")
    assert (outcome.code, outcome.out) == (2, "")
    assert "nosuch.mp4: not found; expected a video file, a camera such as 0, or a URL" in " ".join(
        outcome.err.split()
    )
    for source in ("0", "/dev/video99", "rtsp://nowhere.invalid/a", "file:///nosuch.mp4"):
        assert "no-such-model" in crowdpoint("video", source, "--model", "no-such-model").err


def test_an_invalid_url_is_one_error(tiny: Path) -> None:
    outcome = crowdpoint("video", "rtsp://[::1", "--model", tiny)
    assert outcome.code == 1
    (line,) = outcome.err.splitlines()
    assert line.startswith("crowdpoint: rtsp://[::1: cannot be opened as a video")


def test_a_larger_scale_shows_the_network_more(tiny: Path, street: Path) -> None:
    options = ("--model", tiny, "--duration", 0.1, "--json")
    for scale, count in ((1, 1), (2, 4)):  # twice as large, a dot fills four of the model's cells
        outcome = crowdpoint("video", street, *options, "--scale", scale)
        assert json.loads(outcome.out.splitlines()[0])["count"] == count


def test_wrong_usage_is_reported_before_a_file_is_changed(
    tiny: Path, street: Path, zones: Path, tmp_path: Path
) -> None:
    table, store, video = tmp_path / "counts.csv", tmp_path / "counts.db", street.read_bytes()
    calm = tmp_path / "calm.yaml"
    calm.write_text("zones: [{name: all, polygon: [[0, 0], [96, 0], [96, 64]]}]")
    for options, message in (
        (("--every", 2, "--fps", 2), "exclude each other"),
        (("--scale", 0), "or a factor above 0"),
        (("--out", street), "--out: "),
        (("--csv", street), "--csv: "),
        (("--zones", zones, "--alert-file", street), "is the video to read"),
        (("--alert-webhook", "http://x"), "need --zones"),
        (("--zones", calm, "--alert-file", tmp_path / "a.jsonl"), "with an `alert` in one of its zones"),
        (("--zones", zones, "--alert-webhook", "http://a b"), "expected an http(s) URL"),
        (("--out", tmp_path / "a.gif"), "expected a file name ending in .mp4"),
        (("--csv", tmp_path / "a.txt"), "expected a file name ending in .csv"),
        (("--people", tmp_path / "a.parquet"), "expected a file name ending in .csv"),
        (("--people", table), "is the file of --csv"),
        (("--people", street), "--people: "),
        (("--zones", zones, "--alert-file", table), "is the file of --csv"),
        (("--zones", zones, "--alert-file", zones), "is the file of --zones"),
        (("--zones", zones, "--alert-file", tiny), "is the model"),
        (("--db", table), "is the file of --csv"),
        (("--db", f"sqlite:///{street}"), "is the video to read"),
        (("--db", ""), "--db: expected a file or a database URL, found nothing"),
        (("--zones", zones, "--alert-webhook", ""), "expected an http(s) URL"),
        (("--fps", "inf"), "expected a finite number"),
        (("--smooth", "inf"), "expected a finite number"),
        (("--duration", "inf"), "expected a finite number"),
        (("--duration", 0), "--duration"),
    ):
        table.write_text("counted before")
        outcome = crowdpoint(
            *("video", street, "--model", tiny, "--csv", table, "--db", store, *options),
        )
        assert (outcome.code, table.read_text(), store.exists()) == (2, "counted before", False)
        assert message in " ".join(outcome.err.replace("│", " ").split())
    outcome = crowdpoint("video", f"file://{street}", "--model", tiny, "--out", street)
    assert outcome.code == 2
    assert "is the video to read" in " ".join(outcome.err.replace("│", " ").split())
    assert (street.read_bytes(), zones.read_text()) == (video, ZONES)


@pytest.mark.parametrize("fault", ["zones", "frames"])
def test_a_first_frame_that_fails_leaves_outputs_unchanged(
    tiny: Path, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    parts = tmp_path / "parts.yaml"
    parts.write_text(ZONES.replace("[96, 64]", "[400, 400]"))
    outputs = {"--csv": "c.csv", "--people": "p.csv", "--out": "seen.mp4", "--db": "c.db"}
    options = [part for flag, name in outputs.items() for part in (flag, tmp_path / name)]
    for name in ("c.csv", "p.csv", "seen.mp4"):
        (tmp_path / name).write_text("counted before")
    if fault == "zones":
        options += ["--zones", parts]
    else:
        monkeypatch.setattr(sources, "decode", lambda _: iter(()))
    outcome = crowdpoint("video", street, "--model", tiny, *options)
    message = "with another aspect ratio" if fault == "zones" else "no frame can be decoded"
    assert (outcome.code, message in outcome.err) == (2 if fault == "zones" else 1, True)
    for name in ("c.csv", "p.csv", "seen.mp4"):
        assert (tmp_path / name).read_text() == "counted before"
    assert not (tmp_path / "c.db").exists()


def test_a_recording_whose_shape_changes_fails_if_there_are_zones(
    tiny: Path, street: Path, zones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = itertools.count()

    def crop(frame: Any, ratio: float) -> Any:
        picture = to_upright(frame, ratio)
        return picture if next(number) < 5 else picture[:, :64].copy()

    monkeypatch.setattr(sources, "to_upright", crop)
    outcome = crowdpoint("video", street, "--model", tiny, "--zones", zones, "--csv", tmp_path / "c.csv")
    assert outcome.code == 1
    (line,) = outcome.err.splitlines()
    assert line.startswith(
        f"crowdpoint: {street}: frame 5: expected the shape of the first frame, 96x64 pixels"
    )
    assert [row["frame"] for row in _table(tmp_path / "c.csv")] == list("01234")


def test_an_unusable_database_leaves_tables_unchanged(tiny: Path, street: Path, tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_text("counted before")
    options = ("--csv", tmp_path / "counts.csv", "--db", "nosuch://host/name")
    assert crowdpoint("video", street, "--model", tiny, *options).code == 1
    assert (tmp_path / "counts.csv").read_text() == "counted before"
