import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from silence import expect_silence
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from crowdpoint.counts import Alert, Count, Crossing, LineCount, Run, Stay, ZoneCount, database
from crowdpoint.counts.database import Database
from crowdpoint.errors import StorageError

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RUN = Run("gate.mp4", "tiny", False, NOON)
ALERT = Alert("gate", "raised", "count", 60.0, 50.0, 1, 0.5, NOON)


def _count(frame: int) -> Count:
    zone = ZoneCount("gate", 3, 2, None, False, people=9, dwell=1.25)
    return Count(frame, frame / 2, NOON, 7, 6, (zone,), (LineCount("door", 4, 5),), people=11)


def _rows(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_two_runs_in_one_sqlite_file(tmp_path: Path) -> None:
    path = tmp_path / "counts.db"
    for _ in range(2):
        record = Database(str(path), RUN, expect_silence)
        record.add(_count(0))
        record.add(_count(1), [ALERT])
        record.close()
    runs = _rows(path, "SELECT id, source, model, live, started_at, ended_at > '2026' FROM crowdpoint_runs")
    assert runs == [(run, "gate.mp4", "tiny", 0, "2026-05-01 12:00:00.000000", 1) for run in (1, 2)]
    moment = "2026-05-01 12:00:00.000000"
    assert _rows(path, "SELECT * FROM crowdpoint_counts WHERE run_id = 2") == [
        (2, 0, 0.0, moment, 7, 6, 11),
        (2, 1, 0.5, moment, 7, 6, 11),
    ]
    assert _rows(path, "SELECT * FROM crowdpoint_zone_counts")[3] == (2, 1, "gate", 3, 2, None, 0, 9, 1.25)
    assert _rows(path, "SELECT * FROM crowdpoint_line_counts")[3] == (2, 1, "door", 4, 5)
    assert _rows(path, "SELECT zone, state, measure, value, level, time FROM crowdpoint_alerts") == 2 * [
        ("gate", "raised", "count", 60.0, 50.0, moment)
    ]


def test_rows_are_written_in_batches_and_alerts_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BATCH_ROWS", 9)
    monkeypatch.setattr(database, "BATCH_INTERVAL", 1e9)
    path = tmp_path / "counts.db"
    record = Database(str(path), RUN, expect_silence)
    written = []
    for frame in range(4):
        record.add(_count(frame), [ALERT] if frame == 3 else [])
        written += _rows(path, "SELECT count(*) FROM crowdpoint_counts")
    record.close()
    assert written == [(0,), (0,), (3,), (4,)]


def test_a_killed_process_leaves_what_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "counts.db"
    code = (
        "import os, signal, sys\n"
        f"sys.path[:0] = {list(map(str, Path(__file__).parents[:2]))!r}\n"
        "from test_database import RUN, _count\n"
        "from crowdpoint.counts import database\n"
        "database.BATCH_ROWS, database.BATCH_INTERVAL = 30, 1e9\n"
        f"record = database.Database({str(path)!r}, RUN, print)\n"
        "for frame in range(35): record.add(_count(frame))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert _rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert _rows(path, "SELECT count(*) FROM crowdpoint_counts") == [(30,)]
    assert _rows(path, "SELECT ended_at FROM crowdpoint_runs") == [(None,)]


def test_a_temporarily_unreachable_database_loses_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BATCH_INTERVAL", 0.0)
    path, said = tmp_path / "counts.db", list[str]()
    record = Database(f"sqlite:///{path}?timeout=0.01", RUN, said.append)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    record.add(_count(0))
    record.add(_count(1))
    other.execute("ROLLBACK")
    other.close()
    record.add(_count(2))
    record.close()
    assert _rows(path, "SELECT frame FROM crowdpoint_counts") == [(0,), (1,), (2,)]
    assert len(said) == 2
    assert "unreachable, retrying: database is locked" in said[0]
    assert "reachable again" in said[1]


def test_rows_of_an_unacknowledged_commit_are_not_written_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BATCH_INTERVAL", 0.0)
    path, said = tmp_path / "counts.db", list[str]()
    record = Database(str(path), RUN, said.append)
    record.add(_count(0))
    begin = record._engine.begin

    @contextmanager
    def unconfirmed() -> Iterator[sa.Connection]:
        with begin() as connection:
            yield connection
        raise sa.exc.OperationalError("", {}, ConnectionError("gone"))

    with monkeypatch.context() as patch:
        patch.setattr(record, "_engine", SimpleNamespace(begin=unconfirmed, dispose=list))
        record.add(_count(1), [ALERT])
    record.add(_count(2))
    record.close()
    assert _rows(path, "SELECT frame FROM crowdpoint_counts") == [(0,), (1,), (2,)]
    assert _rows(path, "SELECT frame FROM crowdpoint_zone_counts") == [(0,), (1,), (2,)]
    assert _rows(path, "SELECT frame FROM crowdpoint_alerts") == [(1,)]
    assert len(said) == 2


def test_slow_attempts_leave_time_to_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr(database, "time", SimpleNamespace(monotonic=lambda: clock))
    path, said, tries = tmp_path / "counts.db", list[str](), list[float]()
    record = Database(str(path), RUN, said.append)

    def away(connection: sa.Connection) -> None:
        nonlocal clock
        tries.append(clock)
        clock += 30  # until the driver gives up
        raise sa.exc.OperationalError("", {}, TimeoutError("no answer"))

    with monkeypatch.context() as patch:
        patch.setattr(record, "_insert", away)
        for frame in range(200):
            record.add(_count(frame), [ALERT] if frame == 10 else [])
            clock += 1
    pauses = [after - before - 30 for before, after in pairwise(tries)]
    assert pauses == [4, 8, 16, 32, 60, 60]
    clock += 60
    record.add(_count(200))
    assert _rows(path, "SELECT count(*) FROM crowdpoint_counts") == [(201,)]
    assert _rows(path, "SELECT count(*) FROM crowdpoint_alerts") == [(1,)]
    assert len(said) == 2
    clock += 2
    record.add(_count(201))
    assert _rows(path, "SELECT count(*) FROM crowdpoint_counts") == [(202,)]
    record.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps open files from being deleted")
@pytest.mark.parametrize("batch", [0.0, 1e9], ids=["at the next batch", "at the end"])
def test_a_file_that_goes_away_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: float
) -> None:
    monkeypatch.setattr(database, "BATCH_INTERVAL", batch)
    path = tmp_path / "counts.db"
    record = Database(str(path), RUN, expect_silence)
    record.add(_count(0))
    path.unlink()
    if batch:
        record.add(_count(1))
    with pytest.raises(StorageError, match=r"--db .*counts\.db: the file was deleted or replaced"):
        record.close() if batch else record.add(_count(1))
    record._engine.dispose()
    assert not path.exists()


def test_a_database_in_memory_has_no_file() -> None:
    record = Database("sqlite://", RUN, expect_silence)
    record.add(_count(0))
    record.close()


def test_crossings_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "counts.db"
    record = Database(str(path), RUN, expect_silence)
    stays = [Stay(3, "", 0.0, 2.0, 2.0), Stay(3, "gate", 0.5, 2.0, 1.0)]
    record.add(_count(4), crossings=[Crossing("door", 3, "in"), Crossing("door", 5, "out")], stays=stays)
    record.add_stays([Stay(5, "", 1.0, 2.0, 1.0)])
    record.close()
    assert _rows(path, "SELECT * FROM crowdpoint_crossings") == [
        (1, 4, "door", 3, "in"),
        (1, 4, "door", 5, "out"),
    ]
    assert _rows(path, "SELECT * FROM crowdpoint_stays ORDER BY person, zone") == [
        (1, 3, "", 4, 0.0, 2.0, 2.0),
        (1, 3, "gate", 4, 0.5, 2.0, 1.0),
        (1, 5, "", 4, 1.0, 2.0, 1.0),
    ]


def test_tables_of_another_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "counts.db"
    Database(str(path), RUN, expect_silence).close()
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE crowdpoint_counts DROP COLUMN people")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match="found crowdpoint_counts without people; use another file"):
        Database(str(path), RUN, expect_silence)


def test_the_folder_of_an_sqlite_file_is_made(tmp_path: Path) -> None:
    Database(str(tmp_path / "new" / "counts.db"), RUN, expect_silence).close()
    assert _rows(tmp_path / "new" / "counts.db", "SELECT count(*) FROM crowdpoint_runs") == [(1,)]


def test_rows_lost_at_the_end_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CLOSE_TIMEOUT", 0.0)
    path = tmp_path / "counts.db"
    record = Database(f"sqlite:///{path}?timeout=0.01", RUN, expect_silence)
    record.add(_count(0))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="3 rows are lost: database is locked"):
        record.close()
    other.close()


def _record(record: Database, frames: int) -> None:
    for frame in range(frames):
        record.add(_count(frame))
    record.close()


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        ("DROP TABLE crowdpoint_counts", "no such table"),
        ("PRAGMA max_page_count = 1", "database or disk is full"),
    ],
)
@pytest.mark.parametrize("batch", [0.0, 1e9], ids=["at the next batch", "at the end"])
def test_a_permanent_error_is_raised_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str, reason: str, batch: float
) -> None:
    monkeypatch.setattr(database, "BATCH_INTERVAL", batch)
    monkeypatch.setattr(database, "time", SimpleNamespace(monotonic=lambda: 0.0))  # without sleep
    record = Database(str(tmp_path / "counts.db"), RUN, expect_silence)
    with record._engine.begin() as connection:
        connection.exec_driver_sql(harm)
    with pytest.raises(StorageError, match=rf"--db .*counts\.db: [1-9]\d* rows are lost: {reason}"):
        _record(record, frames=160)
    record._engine.dispose()


def _fail(codes: dict[str, str] | tuple[object, ...], kind: type[sa.exc.DBAPIError], *, lost: bool) -> bool:
    """Decide on an error of a driver that has the code as an attribute, or first among its arguments."""
    attributes, arguments = (codes, ()) if isinstance(codes, dict) else ({}, codes)
    cause = type("DriverError", (Exception,), attributes)(*arguments)
    return database._may_pass(kind("", {}, cause, connection_invalidated=lost))


@pytest.mark.parametrize(
    ("codes", "kind", "lost", "passes"),
    [
        ({"sqlstate": "53100"}, sa.exc.OperationalError, False, False),
        ({"pgcode": "53100"}, sa.exc.OperationalError, False, False),
        ((1114, "The table is full"), sa.exc.OperationalError, False, False),
        ({"sqlstate": "57P01"}, sa.exc.OperationalError, False, True),
        ({"pgcode": "53300"}, sa.exc.OperationalError, False, True),
        ((2013, "Lost connection"), sa.exc.OperationalError, False, True),
        (("connection already closed",), sa.exc.InterfaceError, True, True),
        ({"sqlstate": "42P01"}, sa.exc.ProgrammingError, False, False),
        (({"C": "42P01", "M": "no such table"},), sa.exc.ProgrammingError, False, False),
        (({"C": "57P01", "M": "shutting down"},), sa.exc.OperationalError, False, True),
    ],
)
def test_a_lost_connection_is_retried_and_a_full_disk_is_not(
    codes: dict[str, str] | tuple[object, ...], kind: type[sa.exc.DBAPIError], lost: bool, passes: bool
) -> None:
    assert _fail(codes, kind, lost=lost) is passes


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
def test_io_errors_of_an_sqlite_file_are_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(database, "BATCH_INTERVAL", 0.0)
    path, said = tmp_path / "counts.db", list[str]()
    record = Database(str(path), RUN, said.append)
    record.add(_count(0))
    size = path.with_name("counts.db-wal").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        record.add(_count(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    record.add(_count(2))
    record.close()
    assert _rows(path, "SELECT frame FROM crowdpoint_counts") == [(0,), (1,), (2,)]
    assert [line.rpartition("counts.db: ")[2] for line in said] == [
        "unreachable, retrying: disk I/O error",
        "reachable again",
    ]


def test_an_end_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    record = Database(str(tmp_path / "counts.db"), RUN, expect_silence)
    with record._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE crowdpoint_runs")
    with pytest.raises(StorageError, match=r"counts\.db: its end is not recorded: no such table"):
        record.close()


def test_a_retry_at_the_end_keeps_the_rows_of_the_last_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person has left on the last frame, another one stays; the database is locked when the run ends."""
    monkeypatch.setattr(database, "BATCH_INTERVAL", 0.0)
    path = tmp_path / "counts.db"
    other = sqlite3.connect(path, isolation_level=None)

    def unlock(_: str) -> None:
        other.execute("ROLLBACK")

    record = Database(f"sqlite:///{path}?timeout=0.01", RUN, unlock)
    record.add(_count(0), stays=[Stay(1, "", 0.0, 2.0, 2.0)])
    record.add_stays([Stay(2, "", 0.0, 2.0, 2.0)])
    other.execute("BEGIN EXCLUSIVE")
    record.close()
    other.close()
    assert _rows(path, "SELECT person FROM crowdpoint_stays ORDER BY person") == [(1,), (2,)]


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("nosuch://host/name", "expected the path of an SQLite file or a URL"),
        ("postgresql+asyncpgx://host/name", "expected the path of an SQLite file or a URL"),
        ("oracle+cx_oracle://host/name", "its driver is not installed: pip install cx_oracle"),
        ("/dev/null/counts.db", "cannot be used"),
    ],
)
def test_databases_that_cannot_be_used(location: str, message: str) -> None:
    with pytest.raises(StorageError, match=f"(?i){message}"):
        Database(location, RUN, expect_silence)


def test_the_schema_is_valid_for_postgresql() -> None:
    texts = [
        str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
        for table in database.SCHEMA.sorted_tables
    ]
    assert "time TIMESTAMP WITH TIME ZONE" in texts[1]
    assert "frame BIGINT NOT NULL" in texts[1]
