"""Store counts in SQLite, PostgreSQL or another database that SQLAlchemy supports.

Rows are written in batches, one transaction each, so a killed process loses at most the last batch.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import sqlalchemy as sa
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from crowdpoint.counts.values import Alert, Count, Crossing, LineCount, Run, Stay, ZoneCount, list_figures
from crowdpoint.errors import StorageError
from crowdpoint.outputs import WatchedFile
from crowdpoint.redaction import redact

SCHEMA = sa.MetaData()

_TIME = sa.DateTime(timezone=True)  # UTC, as SQLite has no time zones


def _build_table(name: str, value: type, keys: Sequence[str]) -> sa.Table:
    """Build the table of a value, with a column for the run, the frame and each of its figures."""
    fields = list_figures(value)
    kinds: dict[str, Any] = {"frame": sa.BigInteger(), "zone": sa.String(100), "line": sa.String(100)}
    columns: list[sa.Column[Any]] = [
        sa.Column("run_id", sa.ForeignKey("crowdpoint_runs.id"), primary_key=True)
    ]
    for column in dict.fromkeys((*keys, "frame", *fields)):
        kind = fields.get(column, int)
        columns.append(
            sa.Column(
                column,
                kinds.get(column) or _choose_type(kind),
                primary_key=column in keys,
                autoincrement=False,
                nullable=NoneType in get_args(kind),
            )
        )
    return sa.Table(f"crowdpoint_{name}", SCHEMA, *columns)


def _choose_type(kind: Any) -> Any:
    """Choose the column type of a field, which may be None or one of several words."""
    known: dict[Any, Any] = {bool: sa.Boolean(), int: sa.Integer(), float: sa.Double(), datetime: _TIME}
    if get_origin(kind) is Literal:
        return sa.String(max(map(len, get_args(kind))))
    return next(known[part] for part in (*get_args(kind), kind) if part in known)


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
"""One row per run; `ended_at` is null while it runs, and if it was killed."""

COUNTS = _build_table("counts", Count, ["frame"])
"""One row per frame."""

ZONE_COUNTS = _build_table("zone_counts", ZoneCount, ["frame", "zone"])
"""One row per zone and frame."""

LINE_COUNTS = _build_table("line_counts", LineCount, ["frame", "line"])
"""One row per line and frame."""

CROSSINGS = _build_table("crossings", Crossing, ["frame", "line", "person"])
"""One row per crossing of a line."""

STAYS = _build_table("stays", Stay, ["person", "zone"])
"""One row per finished stay of a person in a zone, or in the whole image (empty zone).

`frame` is the frame on which the person was found to have left.
"""

ALERTS = _build_table("alerts", Alert, ["frame", "zone"])
"""One row per alert raised or cleared."""

BATCH_ROWS = 500
"""Rows per batch."""

BATCH_INTERVAL = 2.0
"""Maximum seconds between batches."""

MAX_RETRY_INTERVAL = 60.0
"""Maximum seconds between attempts to reach the database; each failure doubles the interval."""

MAX_PENDING_ROWS = 200_000
"""Rows kept in memory while the database is unreachable."""

_PASSING_SQLITE_ERRORS = frozenset(
    {
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL),
        *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN),  # as when a network share is away
    }
)

_DISK_FULL: tuple[object, ...] = ("53100", 1021, 1114)
"""Codes of a full disk: PostgreSQL's SQLSTATE, and the first argument of the errors of MySQL's drivers."""

CLOSE_TIMEOUT = 30.0
"""Seconds for which `Database.close` tries to reach the database."""


class Database:
    """Storage of one run in a database.

    Every method raises a StorageError if the database rejects rows, has no space left or stays unreachable,
    its driver is missing, its tables have another layout, or its file is gone.

    Args:
        location: an SQLAlchemy URL, or the path of an SQLite file.
        run: description of the run.
        report: function called with a message when the database becomes unreachable, and when it recovers.
    """

    def __init__(self, location: str, run: Run, report: Callable[[str], None]) -> None:
        self._report = report
        self._location = location
        self._engine = _create_engine(location)
        self._name = redact(self._engine.url.render_as_string(hide_password=True))
        self._waiting: list[tuple[sa.Table, dict[str, Any]]] = []
        self._wait = BATCH_INTERVAL
        self._due = time.monotonic() + self._wait
        self._reached = True
        self._frame = 0
        try:
            _create_tables(self._engine)
            with self._engine.begin() as connection:
                _check_columns(connection, f"--db {self._name}")
                values = {"source": run.source, "model": run.model, "live": run.live}
                added = connection.execute(RUNS.insert().values(**values, started_at=run.started_at))
                self._file = _watch_file(connection, f"--db {self._name}")
        except StorageError:
            self._engine.dispose()
            raise
        except SQLAlchemyError as error:
            self._engine.dispose()
            reason = _describe_error(error, location)
            raise StorageError(f"--db {self._name}: cannot be used: {reason}") from error
        (self._run,) = tuple(added.inserted_primary_key or ())

    def add(
        self,
        count: Count,
        alerts: Iterable[Alert] = (),
        crossings: Iterable[Crossing] = (),
        stays: Iterable[Stay] = (),
    ) -> None:
        """Add the counts and events of a frame to the current batch."""
        self._frame = count.frame
        self._take(COUNTS, count)
        for zone in count.zones:
            self._take(ZONE_COUNTS, zone)
        for line in count.lines:
            self._take(LINE_COUNTS, line)
        for crossing in crossings:
            self._take(CROSSINGS, crossing)
        self.add_stays(stays)
        alerts = list(alerts)
        for alert in alerts:
            self._take(ALERTS, alert)
        ready = alerts or len(self._waiting) >= BATCH_ROWS
        if (ready and self._reached) or time.monotonic() >= self._due:
            self._write()

    def add_stays(self, stays: Iterable[Stay]) -> None:
        """Add finished stays, or unfinished ones at the end of the run."""
        for stay in stays:
            self._take(STAYS, stay)

    def close(self) -> None:
        """Write pending rows and the end of the run, retrying for `CLOSE_TIMEOUT` seconds what may pass."""
        until = time.monotonic() + CLOSE_TIMEOUT
        try:
            while not self._end(last=time.monotonic() >= until):
                time.sleep(BATCH_INTERVAL)
            if self._file:
                self._file.check()
        except SQLAlchemyError as error:
            raise self._report_loss(error) from error
        finally:
            self._engine.dispose()

    def _end(self, *, last: bool) -> bool:
        """Write pending rows and the end of the run; False if the connection fails before the last try."""
        try:
            with self._engine.begin() as connection:
                self._insert(connection)
                ended = RUNS.update().where(RUNS.c.id == self._run).values(ended_at=datetime.now(UTC))
                connection.execute(ended)
        except SQLAlchemyError as error:
            if last or not _may_pass(error):
                raise
            self._lose_connection(error)
            return False
        return True

    def _take(self, table: sa.Table, value: object) -> None:
        row: dict[str, Any] = {"run_id": self._run, "frame": self._frame}
        row |= {column: getattr(value, column) for column in table.columns.keys() - row.keys()}
        self._waiting.append((table, row))

    def _write(self) -> None:
        """Write the batch; if the connection fails, keep it for the next attempt."""
        try:
            with self._engine.begin() as connection:
                self._insert(connection)
        except SQLAlchemyError as error:
            if not _may_pass(error):
                raise self._report_loss(error) from error
            self._lose_connection(error)
            self._wait = min(2 * self._wait, MAX_RETRY_INTERVAL)
            if len(self._waiting) > MAX_PENDING_ROWS:
                raise StorageError(
                    f"--db {self._name}: unreachable, with {MAX_PENDING_ROWS} rows pending"
                ) from error
        else:
            if not self._reached:
                self._report(f"--db {self._name}: reachable again")
            self._reached, self._wait = True, BATCH_INTERVAL
            self._waiting.clear()
        self._due = time.monotonic() + self._wait  # measured from now: the attempt may have taken longer

    def _report_loss(self, error: SQLAlchemyError) -> StorageError:
        """Build the error of pending rows, or else of the end of the run, that cannot be written."""
        count = len(self._waiting)
        lost = f"{count} {'rows are' if count > 1 else 'row is'} lost" if count else "its end is not recorded"
        return StorageError(f"--db {self._name}: {lost}: {_describe_error(error, self._location)}")

    def _lose_connection(self, error: SQLAlchemyError) -> None:
        """Report that the database became unreachable, once, and close the connection."""
        if self._reached:
            reason = _describe_error(error, self._location)
            self._report(f"--db {self._name}: unreachable, retrying: {reason}")
        self._reached = False
        self._engine.dispose()  # the files of a share that was away stay unusable until they are reopened

    def _insert(self, connection: sa.Connection) -> None:
        """Insert pending rows, replacing rows of an attempt whose commit was never acknowledged."""
        if self._file:
            self._file.check()
        for table in (COUNTS, ZONE_COUNTS, LINE_COUNTS, CROSSINGS, STAYS, ALERTS):
            rows = [row for owner, row in self._waiting if owner is table]
            if not rows:
                continue
            if not self._reached:
                same = [key == sa.bindparam(key.name) for key in table.primary_key]
                connection.execute(table.delete().where(*same), rows)
            connection.execute(table.insert(), rows)


def _create_engine(location: str) -> sa.Engine:
    """Create the engine of a URL or of an SQLite file, including its folder."""
    try:
        if "://" in location:
            url = sa.make_url(location)
        else:
            Path(location).parent.mkdir(parents=True, exist_ok=True)
            url = sa.URL.create("sqlite", database=location)
        engine = sa.create_engine(url, pool_pre_ping=True)
    except OSError as error:
        raise StorageError(f"--db {location}: cannot be used: {error}") from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise StorageError(
            "--db: expected the path of an SQLite file or a URL that SQLAlchemy knows, such as "
            f"postgresql+psycopg://user@host/name: {_describe_error(error, location)}"
        ) from error
    except ModuleNotFoundError as error:
        raise StorageError(
            f"--db {url.drivername}: its driver is not installed: pip install {error.name}"
        ) from error
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _make_crash_safe)
    return engine


def _create_tables(engine: sa.Engine) -> None:
    """Create missing tables, also while another run creates them."""
    for table in SCHEMA.sorted_tables:
        try:
            table.create(engine, checkfirst=True)
        except SQLAlchemyError:  # perhaps another run created it after the check
            table.create(engine, checkfirst=True)


def _check_columns(connection: sa.Connection, name: str) -> None:
    """Reject tables created by another version of crowdpoint."""
    inspector = sa.inspect(connection)
    for table in SCHEMA.sorted_tables:
        present = {column["name"] for column in inspector.get_columns(table.name)}
        if missing := [column.name for column in table.columns if column.name not in present]:
            raise StorageError(
                f"{name}: expected the tables of this version of crowdpoint, found {table.name} without "
                f"{', '.join(missing)}; use another file or database"
            )


def _watch_file(connection: sa.Connection, name: str) -> WatchedFile | None:
    """Watch the file of an SQLite database; None for databases in memory and on servers."""
    if connection.dialect.name != "sqlite":
        return None
    path = connection.exec_driver_sql("PRAGMA database_list").first()[2]  # type: ignore[index]
    return WatchedFile(Path(path), name) if path else None


def _make_crash_safe(connection: Any, _record: object) -> None:
    """Enable write-ahead logging, so that writing never blocks readers and survives a kill."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _may_pass(error: SQLAlchemyError) -> bool:
    """Check whether waiting may help, as with a lost connection or a lock, and not with a full disk."""
    if not isinstance(error, DBAPIError):
        return False
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _PASSING_SQLITE_ERRORS
    if not isinstance(error, OperationalError) and not error.connection_invalidated:
        return False
    codes = [getattr(cause, name, None) for name in ("sqlstate", "pgcode")]
    codes += getattr(cause, "args", ())[:1]
    return not any(code in _DISK_FULL for code in codes)


def _describe_error(error: Exception, location: str) -> str:
    """Return the driver's message in one line, without the statement, its values and secrets."""
    return redact(" ".join(str(getattr(error, "orig", None) or error).split()), location)
