"""Counts as a table with a row for each frame: CSV or, for `.parquet`, Parquet.

A zone adds the columns `NAME.count`, `NAME.smoothed` and `NAME.per_m2`.
"""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from crowdpoint.counts.held import HeldFile
from crowdpoint.counts.values import Count, iso
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


def open_table(path: Path, zones: tuple[str, ...]) -> Table:
    """Starts the table of a run; a file of that name is overwritten.

    Args:
        path: `.csv`, readable at any time; or `.parquet`, readable once it is closed.
        zones: names of the zones of every count.

    Raises:
        ConfigError: if the ending is another.
        StorageError: if the file cannot be written.
        MissingExtraError: if the package that writes Parquet is not installed.
    """
    check_suffix(path)
    kind = ParquetTable if path.suffix.lower() == ".parquet" else CsvTable
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return kind(path, zones)


class CsvTable:
    """UTF-8 with a header. Each row is on disk before the next begins."""

    def __init__(self, path: Path, zones: tuple[str, ...]) -> None:
        self._file = path.open("w", newline="", encoding="utf-8", buffering=1)
        self._held = HeldFile(path)
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(_names(zones))

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

    def __init__(self, path: Path, zones: tuple[str, ...]) -> None:
        with requires("Parquet", "video"):
            import pyarrow
            from pyarrow import parquet
        self._pyarrow: Any = pyarrow
        self._schema = _schema(zones)
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


def _names(zones: tuple[str, ...]) -> list[str]:
    parts = [f"{zone}.{part}" for zone in zones for part in ("count", "smoothed", "per_m2")]
    return ["frame", "seconds", "time", "count", "smoothed", *parts]


def _schema(zones: tuple[str, ...]) -> "pyarrow.Schema":
    import pyarrow

    kinds = {"frame": pyarrow.int64(), "time": pyarrow.timestamp("us", "UTC"), "count": pyarrow.int64()}
    fields = [(name, kinds.get(name.rpartition(".")[2], pyarrow.float64())) for name in _names(zones)]
    return pyarrow.schema(fields)


def _row(count: Count) -> dict[str, Any]:
    row: dict[str, Any] = {
        "frame": count.frame,
        "seconds": count.seconds,
        "time": count.time,
        "count": count.count,
        "smoothed": count.smoothed,
    }
    for zone in count.zones:
        row[f"{zone.zone}.count"] = zone.count
        row[f"{zone.zone}.smoothed"] = zone.smoothed
        row[f"{zone.zone}.per_m2"] = zone.per_m2
    return row
