"""Write the tables of `crowdpoint predict` image by image, so that a killed run keeps its results."""

import csv
import io
from collections.abc import Callable, Iterable
from pathlib import Path

from crowdpoint.cli.results import Result
from crowdpoint.errors import wrap_write_errors
from crowdpoint.estimate import require_points
from crowdpoint.formats.growing import GrowingFile, append
from crowdpoint.names import escape, escape_cell
from crowdpoint.redaction import redact

_COUNTS: dict[str, Callable[[Result], object]] = {
    "name": lambda result: result.source.name,
    "width": lambda result: result.size[0],
    "height": lambda result: result.size[1],
    "count": lambda result: len(result.points),
    "low": lambda result: result.interval and result.interval[0],
    "high": lambda result: result.interval and result.interval[1],
    "warning": lambda result: result.warning,
    "scale": lambda result: f"{result.scale:.4g}",
    "seconds": lambda result: f"{result.seconds:.3f}",
}
"""Columns of `counts.csv` and their values, None if unknown; the column `error` follows."""

_ZONES = ("image", "zone", "count", "per_m2")


class Outputs:
    """Tables of a run, created at once to report a folder that is not writable.

    Args:
        folder: output folder.
        tables: `points`, `counts` or both; other names are ignored.
        zones: whether to write a table of zones.
        suffix: extension of the file of points.
        on_map: whether to write points in map coordinates.
    """

    def __init__(
        self, folder: Path, tables: Iterable[str], *, zones: bool, suffix: str, on_map: bool
    ) -> None:
        wanted = set(tables)
        self._points: GrowingFile | None = None
        if "points" in wanted:
            self._points = GrowingFile(folder / f"points{suffix}", on_map=on_map)
        self._counts = _CsvFile(folder / "counts.csv", (*_COUNTS, "error")) if "counts" in wanted else None
        self._zones = _CsvFile(folder / "zones.csv", _ZONES) if zones else None

    def add(self, result: Result) -> None:
        """Write an image to every table."""
        if self._points:
            points = require_points(result.points, result.source.name)
            self._points.add(result.source.name, points, result.place)
        if self._counts:
            self._counts.add([(*(value(result) for value in _COUNTS.values()), "")])
        if self._zones and result.zoned:
            self._zones.add(result.zoned.list_rows(result.source.name))

    def fail(self, name: str, error: str) -> None:
        """Write an image that failed to the table of counts."""
        if self._counts:
            shown, reason = (redact(escape(text)) for text in (name, error))
            self._counts.add([(shown, *[""] * (len(_COUNTS) - 1), reason)])


class _CsvFile:
    def __init__(self, path: Path, header: Iterable[str]) -> None:
        self._path = path
        with wrap_write_errors(path):
            path.write_bytes(_encode_rows([header]))

    def add(self, rows: Iterable[Iterable[object]]) -> None:
        append(self._path, _encode_rows(rows))


def _encode_rows(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO(newline="")
    safe = ([escape_cell(value) if isinstance(value, str) else value for value in row] for row in rows)
    csv.writer(text, lineterminator="\n").writerows(safe)
    return text.getvalue().encode()
