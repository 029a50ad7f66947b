"""Write counts as CSV or Parquet tables with one row per frame, and stays as a CSV table.

A zone adds the columns `NAME.count`, `NAME.smoothed`, `NAME.per_m2`, `NAME.people` and `NAME.dwell`; a line
adds `NAME.in` and `NAME.out`.
"""

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from crowdpoint.counts.values import Count, Stay, ZoneCount, format_time, list_figures
from crowdpoint.errors import wrap_write_errors
from crowdpoint.names import escape_cell
from crowdpoint.outputs import WatchedFile, check_suffix

SUFFIXES = (".csv", ".parquet")
STAY_SUFFIXES = (".csv",)

_FIGURES = list_figures(Count)
_ZONE_FIGURES = {
    name: kind for name, kind in list_figures(ZoneCount).items() if name not in ("zone", "alert")
}
_LINE_FIGURES = {"in": int, "out": int}

ROWS = 1000
"""Rows per row group of a Parquet file, buffered in memory."""


def open_table(path: Path, zones: tuple[str, ...], lines: tuple[str, ...] = ()) -> "CsvTable | ParquetTable":
    """Create or overwrite the table of a run, `.csv` or, readable once it is closed, `.parquet`.

    Another extension is a ConfigError, and a file that cannot be written a StorageError of every method.
    """
    check_suffix(path, SUFFIXES)
    kind = ParquetTable if path.suffix.lower() == ".parquet" else CsvTable
    parts = [f"{zone}.{figure}" for zone in zones for figure in _ZONE_FIGURES]
    parts += [f"{line}.{part}" for line in lines for part in _LINE_FIGURES]
    return kind(path, [*_FIGURES, *parts])


class _CsvFile:
    """CSV file in UTF-8 with a header. Flushes every row."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._path = path
        with wrap_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", newline="", encoding="utf-8", buffering=1)
            self._rows = csv.writer(self._file, lineterminator="\n")
            self._rows.writerow(map(escape_cell, names))
        self._held = WatchedFile(path)

    def close(self) -> None:
        """Close the file."""
        with wrap_write_errors(self._path):
            self._file.close()
        self._held.check()

    def _write(self, row: Iterable[object]) -> None:
        self._held.check()
        with wrap_write_errors(self._path):
            self._rows.writerow(row)


class CsvTable(_CsvFile):
    """CSV table with one row per frame."""

    def add(self, count: Count) -> None:
        """Append a row; unknown values are empty."""
        row = _build_row(count)
        row["seconds"] = f"{count.seconds:.3f}"
        row["time"] = format_time(count.time)
        self._write(f"{value:.6g}" if isinstance(value, float) else value for value in row.values())


class ParquetTable:
    """Parquet table with `time` as a UTC timestamp, in row groups of `ROWS` rows."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        import pyarrow
        from pyarrow import parquet

        known = {int: pyarrow.int64(), float: pyarrow.float64(), datetime: pyarrow.timestamp("us", "UTC")}
        types = {
            figure: next(known[part] for part in (*get_args(kind), kind) if part in known)
            for figure, kind in (_FIGURES | _ZONE_FIGURES | _LINE_FIGURES).items()  # equal where they meet
        }
        columns = [(name, types[name.rpartition(".")[2]]) for name in names]
        self._path, self._schema = path, pyarrow.schema(columns)
        with wrap_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
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
        with wrap_write_errors(self._path):
            self._writer.close()
        self._held.check()

    def _write(self) -> None:
        self._held.check()
        if self._rows:
            import pyarrow

            with wrap_write_errors(self._path):
                self._writer.write_table(pyarrow.Table.from_pylist(self._rows, self._schema))
            self._rows.clear()


class StayTable(_CsvFile):
    """CSV table with one row per person and zone; the zone is empty for the whole image."""

    def __init__(self, path: Path) -> None:
        check_suffix(path, STAY_SUFFIXES)
        super().__init__(path, ("person", "zone", "first", "last", "dwell"))

    def add(self, stays: Iterable[Stay]) -> None:
        """Append one row per stay."""
        for stay in stays:
            times = (f"{seconds:.3f}" for seconds in (stay.first, stay.last, stay.dwell))
            self._write((stay.person, escape_cell(stay.zone), *times))


def _build_row(count: Count) -> dict[str, Any]:
    row = {figure: getattr(count, figure) for figure in _FIGURES}
    for zone in count.zones:
        row |= {f"{zone.zone}.{figure}": getattr(zone, figure) for figure in _ZONE_FIGURES}
    for line in count.lines:
        row[f"{line.line}.in"] = line.inward
        row[f"{line.line}.out"] = line.outward
    return row
