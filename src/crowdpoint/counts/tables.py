"""Counts as a table with a row for each frame: CSV or, for `.parquet`, Parquet.

A zone adds the columns `NAME.count`, `NAME.smoothed`, `NAME.per_m2`, `NAME.people` and `NAME.dwell`, a line
`NAME.in` and `NAME.out`.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from crowdpoint.counts.held import HeldFile
from crowdpoint.counts.values import Count, Stay, iso
from crowdpoint.errors import ConfigError, requires, storing

if TYPE_CHECKING:
    import pyarrow

SUFFIXES = (".csv", ".parquet")

ROWS = 1000
"""Rows of a Parquet file that are kept in memory before they are written."""


class Table(Protocol):
    """A table that grows by a row for each frame."""

    def add(self, count: Count) -> None:
        """Appends a row."""
        ...

    def close(self) -> None:
        """Finishes the file."""
        ...


def check_suffix(path: Path) -> None:
    """Fails for a file that `open_table` would not start.

    Raises:
        ConfigError: if its ending is none of `SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{path}: expected a file that ends in {' or '.join(SUFFIXES)}")


def open_table(path: Path, zones: tuple[str, ...], lines: tuple[str, ...] = ()) -> Table:
    """Starts the table of a run; a file of that name is overwritten.

    Args:
        path: `.csv`, readable at any time; or `.parquet`, readable once it is closed.
        zones: names of the zones of every count.
        lines: names of its lines.

    Raises:
        ConfigError: if the ending is another.
        StorageError: if the file cannot be written.
        MissingExtraError: if the package that writes Parquet is not installed.
    """
    check_suffix(path)
    kind = ParquetTable if path.suffix.lower() == ".parquet" else CsvTable
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return kind(path, _names(zones, lines))


class CsvTable:
    """UTF-8 with a header. Each row is on disk before the next begins."""

    def __init__(self, path: Path, names: list[str]) -> None:
        self._file = path.open("w", newline="", encoding="utf-8", buffering=1)
        self._held = HeldFile(path)
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(names)

    def add(self, count: Count) -> None:
        """Appends a row; what is not known is empty."""
        row = _row(count)
        row["seconds"] = f"{count.seconds:.3f}"
        row["time"] = iso(count.time)
        self._held.check()
        self._rows.writerow(f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row.values())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        self._held.check()


class ParquetTable:
    """Parquet with `time` as a timestamp in UTC; written in groups of `ROWS` rows."""

    def __init__(self, path: Path, names: list[str]) -> None:
        with requires("Parquet", "video"):
            import pyarrow
            from pyarrow import parquet
        self._pyarrow: Any = pyarrow
        self._schema = _schema(names)
        self._writer: Any = parquet.ParquetWriter(path, self._schema)
        self._held = HeldFile(path)
        self._rows: list[dict[str, Any]] = []

    def add(self, count: Count) -> None:
        """Appends a row."""
        self._rows.append(_row(count))
        if len(self._rows) >= ROWS:
            self._write()

    def close(self) -> None:
        """Writes what is left and the footer, without which the file cannot be read."""
        self._write()
        self._writer.close()
        self._held.check()

    def _write(self) -> None:
        self._held.check()
        if self._rows:
            self._writer.write_table(self._pyarrow.Table.from_pylist(self._rows, self._schema))
            self._rows.clear()


class StayTable:
    """CSV with a row for each person and zone; the zone is empty for the whole picture.

    Raises:
        ConfigError: if the ending is not .csv.
        StorageError: if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        check_stays_suffix(path)
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", newline="", encoding="utf-8", buffering=1)
            self._rows = csv.writer(self._file, lineterminator="\n")
            self._rows.writerow(("person", "zone", "first", "last", "dwell"))
        self._held = HeldFile(path)

    def add(self, stays: Iterable[Stay]) -> None:
        """Appends a row for each stay."""
        for stay in stays:
            self._held.check()
            times = (f"{seconds:.3f}" for seconds in (stay.first, stay.last, stay.dwell))
            self._rows.writerow((stay.person, stay.zone, *times))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        self._held.check()


def check_stays_suffix(path: Path) -> None:
    """Fails for a file that `StayTable` would not write.

    Raises:
        ConfigError: if the ending is not .csv.
    """
    if path.suffix.lower() != ".csv":
        raise ConfigError(f"{path}: expected a file that ends in .csv")


def _names(zones: tuple[str, ...], lines: tuple[str, ...]) -> list[str]:
    figures = ("count", "smoothed", "per_m2", "people", "dwell")
    parts = [f"{zone}.{figure}" for zone in zones for figure in figures]
    parts += [f"{line}.{part}" for line in lines for part in ("in", "out")]
    return ["frame", "seconds", "time", "count", "smoothed", "people", *parts]


def _schema(names: list[str]) -> "pyarrow.Schema":
    import pyarrow

    whole = ("frame", "count", "people", "in", "out")
    kinds = dict.fromkeys(whole, pyarrow.int64()) | {"time": pyarrow.timestamp("us", "UTC")}
    return pyarrow.schema([(name, kinds.get(name.rpartition(".")[2], pyarrow.float64())) for name in names])


def _row(count: Count) -> dict[str, Any]:
    row: dict[str, Any] = {
        "frame": count.frame,
        "seconds": count.seconds,
        "time": count.time,
        "count": count.count,
        "smoothed": count.smoothed,
        "people": count.people,
    }
    for zone in count.zones:
        row[f"{zone.zone}.count"] = zone.count
        row[f"{zone.zone}.smoothed"] = zone.smoothed
        row[f"{zone.zone}.per_m2"] = zone.per_m2
        row[f"{zone.zone}.people"] = zone.people
        row[f"{zone.zone}.dwell"] = zone.dwell
    for line in count.lines:
        row[f"{line.line}.in"] = line.inward
        row[f"{line.line}.out"] = line.outward
    return row
