"""Counts in a database: SQLite, PostgreSQL, or whatever else SQLAlchemy speaks to, in one schema.

Rows are written in batches, each of which is a transaction: a process that is killed leaves a sound
database that lacks at most the last batch.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

from crowdpoint.counts.held import HeldFile
from crowdpoint.counts.values import Alert, Count, Crossing, Run, Stay
from crowdpoint.errors import StorageError
from crowdpoint.redaction import redact

SCHEMA = sa.MetaData()

_TIME = sa.DateTime(timezone=True)  # SQLite has no time zones; what it holds is UTC


def _run_id() -> "sa.Column[int]":
    return sa.Column("run_id", sa.ForeignKey("crowdpoint_runs.id"), primary_key=True)


def _frame() -> "sa.Column[int]":
    return sa.Column("frame", sa.BigInteger, primary_key=True, autoincrement=False)


def _moment() -> "tuple[sa.Column[float], sa.Column[datetime]]":
    return sa.Column("seconds", sa.Double, nullable=False), sa.Column("time", _TIME)


RUNS = sa.Table(
    "crowdpoint_runs",
    SCHEMA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("live", sa.Boolean, nullable=False),
    sa.Column("started_at", _TIME, nullable=False),
    sa.Column("ended_at", _TIME),
)
"""A row for each run; `ended_at` is null while it goes, and if it was killed."""

COUNTS = sa.Table(
    "crowdpoint_counts",
    SCHEMA,
    _run_id(),
    _frame(),
    *_moment(),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("smoothed", sa.Double, nullable=False),
    sa.Column("people", sa.Integer, nullable=False),
)
"""A row for each frame that was counted; the columns are those of `Count`."""

ZONE_COUNTS = sa.Table(
    "crowdpoint_zone_counts",
    SCHEMA,
    _run_id(),
    _frame(),
    sa.Column("zone", sa.String(100), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("smoothed", sa.Double, nullable=False),
    sa.Column("per_m2", sa.Double),
    sa.Column("alert", sa.Boolean, nullable=False),
    sa.Column("people", sa.Integer, nullable=False),
    sa.Column("dwell", sa.Double, nullable=False),
)
"""A row for each zone of each frame that was counted; the columns are those of `ZoneCount`."""

LINE_COUNTS = sa.Table(
    "crowdpoint_line_counts",
    SCHEMA,
    _run_id(),
    _frame(),
    sa.Column("line", sa.String(100), primary_key=True),
    sa.Column("inward", sa.Integer, nullable=False),
    sa.Column("outward", sa.Integer, nullable=False),
)
"""A row for each line of each frame that was counted; the columns are those of `LineCount`."""

CROSSINGS = sa.Table(
    "crowdpoint_crossings",
    SCHEMA,
    _run_id(),
    _frame(),
    sa.Column("line", sa.String(100), primary_key=True),
    sa.Column("person", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("direction", sa.String(3), nullable=False),
)
"""A row for each person who crossed a line; the columns are those of `Crossing`."""

STAYS = sa.Table(
    "crowdpoint_stays",
    SCHEMA,
    _run_id(),
    sa.Column("person", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("zone", sa.String(100), primary_key=True),
    sa.Column("frame", sa.BigInteger, nullable=False),
    sa.Column("first", sa.Double, nullable=False),
    sa.Column("last", sa.Double, nullable=False),
    sa.Column("dwell", sa.Double, nullable=False),
)
"""A row for each person and zone, and with an empty zone for the whole picture, once the person has gone.

`frame` is the one on which the person was known to have gone; the other columns are those of `Stay`.
"""

ALERTS = sa.Table(
    "crowdpoint_alerts",
    SCHEMA,
    _run_id(),
    _frame(),
    sa.Column("zone", sa.String(100), primary_key=True),
    sa.Column("state", sa.String(7), nullable=False),
    sa.Column("measure", sa.String(7), nullable=False),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("level", sa.Double, nullable=False),
    *_moment(),
)
"""A row for each alarm that went on or off; the columns are those of `Alert`."""

BATCH_ROWS = 500
"""Rows that wait at most."""

BATCH_SECONDS = 2.0
"""How long a row waits at most, while rows come."""

LONGEST_WAIT = 60.0
"""Seconds between two tries to reach the database at most; each that fails doubles BATCH_SECONDS."""

WAITING_LIMIT = 200_000
"""Rows that are kept while the database cannot be reached."""


class Database:
    """The record of one run.

    Args:
        location: an SQLAlchemy URL, or the path of an SQLite file.
        run: what is watched.
        say: takes a line for people when the database cannot be reached, and when it can again.

    Raises:
        StorageError: if the database or its driver is not there, or its tables are others.
    """

    def __init__(self, location: str, run: Run, say: Callable[[str], None]) -> None:
        self._say = say
        self._engine = _engine(location)
        self._name = redact(self._engine.url.render_as_string(hide_password=True))
        self._waiting: list[tuple[sa.Table, dict[str, Any]]] = []
        self._wait = BATCH_SECONDS
        self._due = time.monotonic() + self._wait
        self._reached = True
        self._frame = 0
        try:
            SCHEMA.create_all(self._engine)
            with self._engine.begin() as connection:
                _check_columns(connection, f"--db {self._name}")
                values = {"source": run.source, "model": run.model, "live": run.live}
                added = connection.execute(RUNS.insert().values(**values, started_at=run.started_at))
                self._file = _held_file(connection, f"--db {self._name}")
        except SQLAlchemyError as error:
            raise StorageError(f"--db {self._name}: cannot be used: {_reason(error)}") from error
        key: tuple[int, ...] = tuple(added.inserted_primary_key or ())
        (self._run,) = key

    def add(
        self,
        count: Count,
        alerts: Iterable[Alert] = (),
        crossings: Iterable[Crossing] = (),
        stays: Iterable[Stay] = (),
    ) -> None:
        """Takes what was seen on a frame; it is in the database within a batch.

        Raises:
            StorageError: if the database refuses, cannot be reached for very long, or its file is gone.
        """
        self._frame = count.frame
        self._take(
            COUNTS,
            seconds=count.seconds,
            time=count.time,
            count=count.count,
            smoothed=count.smoothed,
            people=count.people,
        )
        for zone in count.zones:
            self._take(ZONE_COUNTS, **asdict(zone))
        for line in count.lines:
            self._take(LINE_COUNTS, **asdict(line))
        for crossing in crossings:
            self._take(CROSSINGS, **asdict(crossing))
        self.add_stays(stays)
        urgent = False
        for alert in alerts:
            self._take(ALERTS, **asdict(alert))
            urgent = True
        ready = urgent or len(self._waiting) >= BATCH_ROWS
        if (ready and self._reached) or time.monotonic() >= self._due:
            self._write()

    def add_stays(self, stays: Iterable[Stay]) -> None:
        """Takes the stays of people who have gone, or are still there at the end."""
        for stay in stays:
            self._take(STAYS, **asdict(stay))

    def close(self) -> None:
        """Writes what waits, and that the run has ended.

        Raises:
            StorageError: if the database cannot be reached, or its file is gone.
        """
        try:
            with self._engine.begin() as connection:
                self._insert(connection)
                ended = RUNS.update().where(RUNS.c.id == self._run).values(ended_at=datetime.now(UTC))
                connection.execute(ended)
            if self._file:
                self._file.check()
        except SQLAlchemyError as error:
            lost = len(self._waiting)
            raise StorageError(f"--db {self._name}: {lost} rows are lost: {_reason(error)}") from error
        finally:
            self._engine.dispose()

    def _take(self, table: sa.Table, **row: Any) -> None:
        self._waiting.append((table, {"run_id": self._run, "frame": self._frame, **row}))

    def _write(self) -> None:
        """Writes the batch; one that fails for want of a connection waits for the next."""
        try:
            with self._engine.begin() as connection:
                self._insert(connection)
        except OperationalError as error:
            if self._reached:
                self._say(f"--db {self._name}: cannot be reached, trying again: {_reason(error)}")
            self._reached = False
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            if len(self._waiting) > WAITING_LIMIT:
                raise StorageError(
                    f"--db {self._name}: cannot be reached; {WAITING_LIMIT} rows wait"
                ) from error
        except SQLAlchemyError as error:
            raise StorageError(f"--db {self._name}: {_reason(error)}") from error
        else:
            if not self._reached:
                self._say(f"--db {self._name}: can be reached again")
            self._reached, self._wait = True, BATCH_SECONDS
            self._waiting.clear()
        self._due = time.monotonic() + self._wait  # the try itself may have taken longer than the wait

    def _insert(self, connection: sa.Connection) -> None:
        """Add what waits, in place of rows of an attempt whose commit was never acknowledged."""
        if self._file:
            self._file.check()
        for table in (COUNTS, ZONE_COUNTS, LINE_COUNTS, CROSSINGS, STAYS, ALERTS):
            rows = [row for owner, row in self._waiting if owner is table]
            if not rows:
                continue
            if not self._reached:
                again = table.c.frame >= rows[0]["frame"]  # frames only rise
                connection.execute(table.delete().where(table.c.run_id == self._run, again))
            connection.execute(table.insert(), rows)


def _engine(location: str) -> sa.Engine:
    """An engine for a URL or the path of an SQLite file, whose folder is made.

    Raises:
        StorageError: if the URL is not one, its driver is not installed, or there can be no such folder.
    """
    try:
        is_url = "://" in location
        if not is_url:
            Path(location).parent.mkdir(parents=True, exist_ok=True)
        url = sa.make_url(location) if is_url else sa.URL.create("sqlite", database=location)
        engine = sa.create_engine(url, pool_pre_ping=True)
    except OSError as error:
        raise StorageError(f"--db {redact(location)}: cannot be used: {error}") from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise StorageError(
            "--db: expected the path of an SQLite file or a URL that SQLAlchemy knows, such as "
            f"postgresql+psycopg://user@host/name: {_reason(error)}"
        ) from error
    except ModuleNotFoundError as error:
        raise StorageError(
            f"--db {url.drivername}: its driver is not installed: pip install {error.name}"
        ) from error
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _make_crash_safe)
    return engine


def _check_columns(connection: sa.Connection, name: str) -> None:
    """Fail for tables that another version of crowdpoint has made.

    Raises:
        StorageError: if a column is missing.
    """
    inspector = sa.inspect(connection)
    for table in SCHEMA.sorted_tables:
        there = {column["name"] for column in inspector.get_columns(table.name)}
        if missing := [column.name for column in table.columns if column.name not in there]:
            raise StorageError(
                f"{name}: expected the tables of this version of crowdpoint, found {table.name} without "
                f"{', '.join(missing)}; give another file or database"
            )


def _held_file(connection: sa.Connection, name: str) -> HeldFile | None:
    """The file of an SQLite database, None for one in memory and for servers."""
    if connection.dialect.name != "sqlite":
        return None
    path = connection.exec_driver_sql("PRAGMA database_list").first()[2]  # type: ignore[index]
    return HeldFile(Path(path), name) if path else None


def _make_crash_safe(connection: Any, _record: object) -> None:
    """Lets SQLite append to a log, so that readers never wait for us and a kill costs no whole batch."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _reason(error: Exception) -> str:
    """The driver's own words in one line, without the statement and its values."""
    return " ".join(str(getattr(error, "orig", None) or error).split())
