"""Counts in a real PostgreSQL, whose connections are killed, which is restarted, and which two runs share."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from drawn_videos import dots, write_video
from silence import expect_silence

from crowdpoint.counts import Alert, Count, Run, ZoneCount, database
from crowdpoint.counts.database import Database

if os.name == "nt":
    pytest.skip("Windows has no account that a server could have", allow_module_level=True)

import postgres

pytestmark = pytest.mark.skipif(not postgres.INITDB, reason="no PostgreSQL: apt-get install postgresql")

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RUN = Run("gate.mp4", "tiny", False, NOON)
COMMAND = [sys.executable, "-c", "from crowdpoint.cli import main; main()", "video"]


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.running() as server:
        yield server


@pytest.fixture
def location(server: postgres.Server, request: pytest.FixtureRequest) -> str:
    """An empty database."""
    name = re.sub(r"\W+", "_", request.node.name)
    _ask(server.url(), f"CREATE DATABASE {name}")
    return server.url(name)


def _ask(location: str, query: str) -> list[tuple[Any, ...]]:
    engine = sa.create_engine(location, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        result = connection.exec_driver_sql(query)
        return [tuple(row) for row in result] if result.returns_rows else []


def _kill_connections(location: str) -> None:
    killed = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    assert (True,) in _ask(location, f"{killed} AND datname = current_database()")


def _count(frame: int) -> Count:
    zone = ZoneCount("gate", 3, 2, None, False, people=9, dwell=1.25)
    return Count(frame, frame / 2, NOON, 7, 6, (zone,), people=11)


def _alert(frame: int) -> Alert:
    return Alert("gate", "raised", "count", 60.0, 50.0, frame, frame / 2, NOON)


def _wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    assert condition()


def test_rows_round_trip(location: str) -> None:
    record = Database(location, RUN, expect_silence)
    record.add(_count(0))
    record.add(_count(1), [_alert(1)])
    record.close()
    assert _ask(location, "SELECT * FROM crowdpoint_counts ORDER BY frame") == [
        (1, 0, 0.0, NOON, 7, 6, 11),
        (1, 1, 0.5, NOON, 7, 6, 11),
    ]
    assert _ask(location, "SELECT zone, state, value, level, time FROM crowdpoint_alerts") == [
        ("gate", "raised", 60.0, 50.0, NOON)
    ]
    assert _ask(location, "SELECT live, started_at, ended_at > started_at FROM crowdpoint_runs") == [
        (False, NOON, True)
    ]


@pytest.mark.parametrize("moment", ["between batches", "before_cursor_execute", "commit"])
def test_a_killed_connection_loses_and_duplicates_no_row(
    location: str, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(database, "BATCH_INTERVAL", 0.0)
    said: list[str] = []
    record = Database(location, RUN, said.append)
    record.add(_count(0), [_alert(0)])
    if moment == "between batches":
        _kill_connections(location)
    else:
        sa.event.listen(record._engine, moment, lambda *_: _kill_connections(location), once=True)
    record.add(_count(1), [_alert(1)])
    record.add(_count(2))
    record.close()
    for table in ("counts", "zone_counts"):
        rows = _ask(location, f"SELECT frame FROM crowdpoint_{table} ORDER BY frame")
        assert rows == [(0,), (1,), (2,)]
    assert _ask(location, "SELECT frame FROM crowdpoint_alerts ORDER BY frame") == [(0,), (1,)]
    if moment == "between batches":
        assert said == []  # a connection is tried before it is used
    else:
        assert [line.split(": ")[1].split(",")[0] for line in said] == ["unreachable", "reachable again"]


def test_two_runs_create_the_tables_at_once(location: str) -> None:
    first = sa.create_engine(location, poolclass=sa.NullPool)
    faults: list[Exception] = []

    def start() -> None:
        try:
            Database(location, RUN, expect_silence).close()
        except Exception as fault:
            faults.append(fault)

    with first.begin() as connection:
        database.SCHEMA.create_all(connection)
        second = threading.Thread(target=start)
        second.start()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        _wait_for(lambda: _ask(location, waiting))
    second.join()
    assert faults == []
    assert _ask(location, "SELECT count(*) FROM crowdpoint_runs") == [(1,)]


def _runs(location: str) -> bool:
    return bool(_ask(location, "SELECT 1 FROM pg_tables WHERE tablename = 'crowdpoint_alerts'"))


def _frames(location: str, run: int) -> list[int]:
    query = f"SELECT frame FROM crowdpoint_counts WHERE run_id = {run} ORDER BY frame"
    return [frame for (frame,) in _ask(location, query)]


def _start(source: Path, model: Path, location: str) -> "subprocess.Popen[str]":
    arguments = [str(source), "--model", str(model), "--smooth", "0", "--db", location]
    return subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True)


def test_a_server_restart_during_a_run_loses_no_row(
    server: postgres.Server, location: str, tiny: Path, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe.ts"
    os.mkfifo(pipe)
    pictures = [dots(number % 3) for number in range(1800)]
    content = write_video(tmp_path / "street.ts", pictures, codec="mpeg2video").read_bytes()
    third = len(content) // 3
    process = _start(pipe, tiny, location)
    try:
        with pipe.open("wb", buffering=0) as video:
            video.write(content[:third])
            _wait_for(lambda: _runs(location) and _frames(location, 1))  # 500 rows, or 2 seconds
            with server.stopped():
                video.write(content[third : 2 * third])
                assert process.stderr
                said = next(line for line in process.stderr if "unreachable" in line)
            video.write(content[2 * third :])
        rest = process.communicate()[1]
    finally:
        process.kill()
    assert "retrying" in said
    assert process.returncode == 0, rest
    assert _frames(location, 1) == list(range(1800))
    assert _ask(location, "SELECT count(*) FROM crowdpoint_runs WHERE ended_at IS NOT NULL") == [(1,)]


def test_a_server_that_returns_at_the_end_gets_the_last_rows(
    server: postgres.Server, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    record = Database(location, RUN, said.append)
    record.add(_count(0))
    with server.stopped():
        monkeypatch.setattr(database, "CLOSE_TIMEOUT", 600.0)
        closing = threading.Thread(target=record.close)
        closing.start()
        _wait_for(lambda: said)
    closing.join()
    assert "unreachable, retrying" in said[0]
    assert _frames(location, 1) == [0]
    assert _ask(location, "SELECT count(*) FROM crowdpoint_runs WHERE ended_at IS NOT NULL") == [(1,)]


def test_two_commands_write_at_once(location: str, tiny: Path, tmp_path: Path) -> None:
    pictures = [dots(number % 3) for number in range(700)]
    video = write_video(tmp_path / "street.ts", pictures, codec="mpeg2video")
    processes = [_start(video, tiny, location) for _ in range(2)]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert [_frames(location, run) for run in (1, 2)] == [list(range(700))] * 2
