"""Write counts as CSV or Parquet tables with one row per frame.

A zone adds the columns `NAME.count`, `NAME.smoothed`, `NAME.per_m2`, `NAME.people` and `NAME.dwell`; a line
adds `NAME.in` and `NAME.out`.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from crowdpoint.counts.held import WatchedFile
from crowdpoint.counts.values import Count, Stay, format_time
from crowdpoint.errors import ConfigError, requires, wrap_write_errors
from crowdpoint.names import escape_cell

if TYPE_CHECKING:
    import pyarrow

SUFFIXES = (".csv", ".parquet")

_FIGURES = ("frame", "seconds", "time", "count", "smoothed", "people")
_ZONE_FIGURES = ("count", "smoothed", "per_m2", "people", "dwell")

ROWS = 1000
"""Rows per row group of a Parquet file, buffered in memory."""


class Table(Protocol):
    """A table with one row per frame."""

    def add(self, count: Count) -> None:
        """Append a row."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


def check_suffix(path: Path) -> None:
    """Check that `open_table` supports the extension."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{path}: expected a file name ending in {' or '.join(SUFFIXES)}")


def open_table(path: Path, zones: tuple[str, ...], lines: tuple[str, ...] = ()) -> Table:
    """Create or overwrite the table of a run.

    Args:
        path: `.csv`, readable at any time, or `.parquet`, readable once closed.
        zones: names of the zones.
        lines: names of the lines.

    Raises:
        ConfigError: if the extension is not supported.
        StorageError: if the file cannot be written.
        MissingExtraError: if pyarrow is needed and not installed.
    """
    check_suffix(path)
    kind = ParquetTable if path.suffix.lower() == ".parquet" else CsvTable
    with wrap_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return kind(path, _build_header(zones, lines))


class CsvTable:
    """CSV table in UTF-8 with a header. Flushes every row."""

    def __init__(self, path: Path, names: list[str]) -> None:
        self._file = path.open("w", newline="", encoding="utf-8", buffering=1)
        self._held = WatchedFile(path)
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(map(escape_cell, names))

    def add(self, count: Count) -> None:
        """Append a row; unknown values are empty."""
        row = _build_row(count)
        row["seconds"] = f"{count.seconds:.3f}"
        row["time"] = format_time(count.time)
        self._held.check()
        self._rows.writerow(f"{value:.6g}" if isinstance(value, float) else value for value in row.values())

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._held.check()


class ParquetTable:
    """Parquet table with `time` as a UTC timestamp, in row groups of `ROWS` rows."""

    def __init__(self, path: Path, names: list[str]) -> None:
        with requires("Parquet", "video"):
            import pyarrow
            from pyarrow import parquet
        self._pyarrow: Any = pyarrow
        self._schema = _build_schema(names)
        self._writer: Any = parquet.ParquetWriter(path, self._schema)
        self._held = WatchedFile(path)
        self._rows: list[dict[str, Any]] = []

    def add(self, count: Count) -> None:
        """Append a row."""
        self._rows.append(_build_row(count))
        if len(self._rows) >= ROWS:
            self._write()

    def close(self) -> None:
        """Write the remaining rows and the footer, without which the file is unreadable."""
        self._write()
        self._writer.close()
        self._held.check()

    def _write(self) -> None:
        self._held.check()
        if self._rows:
            self._writer.write_table(self._pyarrow.Table.from_pylist(self._rows, self._schema))
            self._rows.clear()


class StayTable:
    """CSV table with one row per person and zone; the zone is empty for the whole image."""

    def __init__(self, path: Path) -> None:
        check_stays_suffix(path)
        with wrap_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", newline="", encoding="utf-8", buffering=1)
            self._rows = csv.writer(self._file, lineterminator="\n")
            self._rows.writerow(("person", "zone", "first", "last", "dwell"))
        self._held = WatchedFile(path)

    def add(self, stays: Iterable[Stay]) -> None:
        """Append one row per stay."""
        for stay in stays:
            self._held.check()
            times = (f"{seconds:.3f}" for seconds in (stay.first, stay.last, stay.dwell))
            self._rows.writerow((stay.person, escape_cell(stay.zone), *times))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._held.check()


def check_stays_suffix(path: Path) -> None:
    """Check that `StayTable` supports the extension."""
    if path.suffix.lower() != ".csv":
        raise ConfigError(f"{path}: expected a file name ending in .csv")


def _build_header(zones: tuple[str, ...], lines: tuple[str, ...]) -> list[str]:
    parts = [f"{zone}.{figure}" for zone in zones for figure in _ZONE_FIGURES]
    parts += [f"{line}.{part}" for line in lines for part in ("in", "out")]
    return [*_FIGURES, *parts]


def _build_schema(names: list[str]) -> "pyarrow.Schema":
    import pyarrow

    whole = ("frame", "count", "people", "in", "out")
    kinds = dict.fromkeys(whole, pyarrow.int64()) | {"time": pyarrow.timestamp("us", "UTC")}
    return pyarrow.schema([(name, kinds.get(name.rpartition(".")[2], pyarrow.float64())) for name in names])


def _build_row(count: Count) -> dict[str, Any]:
    row = {figure: getattr(count, figure) for figure in _FIGURES}
    for zone in count.zones:
        row |= {f"{zone.zone}.{figure}": getattr(zone, figure) for figure in _ZONE_FIGURES}
    for line in count.lines:
        row[f"{line.line}.in"] = line.inward
        row[f"{line.line}.out"] = line.outward
    return row
