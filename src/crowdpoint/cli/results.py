"""Print the results of `crowdpoint predict` as lines, JSON or a table, and write its tables of them.

Tables grow image by image, so that a killed run keeps its results.
"""

import csv
import io
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer
from rich.console import Console

from crowdpoint.cli.sources import ImageLocation
from crowdpoint.console import print_table
from crowdpoint.counts.values import round_figure
from crowdpoint.errors import ConfigError, wrap_write_errors
from crowdpoint.estimate import Found, require_points
from crowdpoint.formats import geopackage, table
from crowdpoint.formats.growing import GrowingFile, append
from crowdpoint.formats.records import to_prediction
from crowdpoint.names import escape, escape_cell
from crowdpoint.rasters import Georeference
from crowdpoint.redaction import redact
from crowdpoint.zones import Zones

_log = logging.getLogger(__name__)

PointFormat = Literal["csv", "json", "geojson", "gpkg"]

ON_MAP = ("geojson", "gpkg")
"""Formats with map coordinates; the others have pixels."""


@dataclass(frozen=True, slots=True)
class ZoneResult:
    """The people in each zone of one image.

    Attributes:
        zones: the zones in the image's pixels.
        counts: people, by the zone's name.
        per_m2: people per square metre; None without ground calibration.
    """

    zones: Zones
    counts: Mapping[str, int]
    per_m2: Mapping[str, float | None]

    def to_record(self) -> dict[str, dict[str, float | None]]:
        """Convert to a JSON object: figures by name of the zone."""
        rounded = {name: None if per is None else round_figure(per) for name, per in self.per_m2.items()}
        return {name: {"count": count, "per_m2": rounded[name]} for name, count in self.counts.items()}

    def list_rows(self, digits: str = ".2f") -> list[tuple[str, int, str]]:
        """List name, count and formatted people per square metre, empty if unknown, of each zone."""
        densities = {name: "" if per is None else f"{per:{digits}}" for name, per in self.per_m2.items()}
        return [(name, count, densities[name]) for name, count in self.counts.items()]

    def format_line(self) -> str:
        """Format as `gate: 31 (0.42 per m²), stairs: 4 (0.10 per m²)`."""
        return ", ".join(
            f"{name}: {count}" + (f" ({per_m2} per m²)" if per_m2 else "")
            for name, count, per_m2 in self.list_rows()
        )


@dataclass(frozen=True, slots=True)
class Result:
    """Result of one image, with the interval and the warning of `Predictor`."""

    source: ImageLocation
    points: Found
    place: Georeference | None
    """Georeference, if requested."""
    zoned: ZoneResult | None
    interval: tuple[int, int] | None
    warning: str | None
    scale: float
    """Finest working scale at which the points were found."""
    seconds: float
    """Time to open and predict the image."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the image in pixels."""
        return self.points.image_size or (0, 0)

    def format_cells(self) -> tuple[str, str, str, str]:
        """Format image, size, count with its interval, and milliseconds."""
        width, height = self.size
        count = str(len(self.points))
        if self.interval:
            count += " [{}, {}]".format(*self.interval)
        return self.source.shown, f"{width}x{height}", count, f"{1000 * self.seconds:.0f}"


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

_COUNTS_HEADER = (*_COUNTS, "error")

_BEGINNINGS = {
    ".json": re.compile(r'\[\n(\n\]|\{"image": )'),
    ".geojson": re.compile(
        r'\{"type": "FeatureCollection", "features": \[(\]|\{"type": "Feature", '
        r'"geometry": (null|\{[^{}]*\}), "properties": \{"image": )'
    ),
}
"""Extension -> beginning of a file of points as `GrowingFile` writes it."""

_ZONES_HEADER = ("image", "zone", "count", "per_m2")


class Outputs:
    """Tables of a run, created at once to report a folder that is not writable.

    Of `tables`, it writes `points`, in `format_`, and `counts`; and on request `zones`. Replaces tables of
    earlier runs.

    Raises:
        ConfigError: if a table would replace another file, such as the counts of a video, or the ground
            `truth`, or lie in the folder of the latter.
    """

    def __init__(
        self,
        folder: Path,
        tables: Sequence[str],
        format_: PointFormat,
        *,
        zones: bool,
        truth: Path | None = None,
    ) -> None:
        points = folder / f"points.{format_}" if "points" in tables else None
        counts = folder / "counts.csv" if "counts" in tables else None
        zoned = folder / "zones.csv" if zones else None
        for path, headers in (points, table.HEADERS), (counts, [_COUNTS_HEADER]), (zoned, [_ZONES_HEADER]):
            if path:
                _require_replaceable(path, headers, truth)
        self._points = GrowingFile(points, on_map=format_ in ON_MAP) if points else None
        self._counts = _create_table(counts, _COUNTS_HEADER) if counts else None
        self._zones = _create_table(zoned, _ZONES_HEADER) if zoned else None

    def add(self, result: Result) -> None:
        """Write an image to every table."""
        if self._points:
            points = require_points(result.points, result.source.name)
            self._points.add(result.source.name, points, result.place)
        if self._counts:
            _append(self._counts, [(*(value(result) for value in _COUNTS.values()), "")])
        if self._zones and result.zoned:
            rows = result.zoned.list_rows(digits=".6g")
            _append(self._zones, [(result.source.name, *row) for row in rows])

    def fail(self, name: str, error: str) -> None:
        """Write an image that failed to the table of counts."""
        if self._counts:
            shown, reason = (redact(escape(text)) for text in (name, error))
            _append(self._counts, [(shown, *[""] * (len(_COUNTS) - 1), reason)])


def _require_replaceable(path: Path, headers: Iterable[Sequence[str]], truth: Path | None) -> None:
    if truth and truth.resolve() in (path.resolve(), path.resolve().parent):
        raise ConfigError(f"{path}: is part of --gt {truth}, which stays as it is; give another --out")
    if path.is_file() and path.stat().st_size and not _is_own(path, headers):
        raise ConfigError(f"{path}: was not written by predict, and would be replaced; give another --out")


def _is_own(path: Path, headers: Iterable[Sequence[str]]) -> bool:
    if path.suffix == ".gpkg":
        return geopackage.has_only_points(path)
    with path.open(encoding="utf-8", errors="replace") as file:
        if path.suffix == ".csv":
            return file.readline().rstrip("\r\n") in map(",".join, headers)
        return _BEGINNINGS[path.suffix].match(file.read(1000)) is not None


def _create_table(path: Path, header: Iterable[str]) -> Path:
    with wrap_write_errors(path):
        path.write_bytes(b"")
    _append(path, [header])
    return path


def _append(table: Path, rows: Iterable[Iterable[object]]) -> None:
    text = io.StringIO(newline="")
    safe = ([escape_cell(value) if isinstance(value, str) else value for value in row] for row in rows)
    csv.writer(text, lineterminator="\n").writerows(safe)
    append(table, text.getvalue().encode())


class ResultPrinter:
    """Print results: as JSON lines, plain lines, or on a terminal one table at the end."""

    def __init__(self, model: str, as_json: bool, outputs: Outputs | None) -> None:
        self._results: list[Result] = []
        self._images = self.failures = 0
        self._model, self._json, self._outputs = model, as_json, outputs
        self._terminal = Console().is_terminal
        self.streams_to_terminal = as_json and self._terminal
        """Whether lines appear on a terminal during the run."""

    def add(self, result: Result) -> None:
        """Print a result at once, or keep it for the table, and write it to the outputs."""
        self._images += 1
        if self._terminal and not self._json:
            self._results.append(result)
        if result.warning:
            _log.warning("%s: %s", result.source.shown, result.warning)
        if self._json:
            line = to_prediction(
                result.source.shown,
                result.points,
                result.interval,
                result.warning,
                result.scale,
                self._model,
            )
            typer.echo(json.dumps(line | ({"zones": result.zoned.to_record()} if result.zoned else {})))
        elif not self._terminal:
            image, size, count, milliseconds = result.format_cells()
            zones = f"; {result.zoned.format_line()}" if result.zoned and result.zoned.counts else ""
            typer.echo(f"{image}: {count} ({size}, {milliseconds} ms){zones}")
        if self._outputs:
            self._outputs.add(result)

    def fail(self, error: str, name: str = "", location: str = "") -> None:
        """Print the error of an image, and write it to the outputs if the image has no result."""
        self.failures += 1
        self._images += bool(name)
        _log.error(escape(error))
        if self._outputs and name:
            self._outputs.fail(name, error.removeprefix(f"{redact(location)}: "))

    def close(self) -> None:
        """Print the table on a terminal, or the number of failures, among several images that were read."""
        failed = f", {self.failures} failed" if self.failures else ""
        closing = f"{self._images} image{'s' * (self._images != 1)}{failed}"
        if self._results:
            self._print_table(closing if self._images > 1 else "")
        elif failed and self._images > 1:
            _log.error(closing)

    def _print_table(self, closing: str) -> None:
        on_ground = any(result.zoned and result.zoned.zones.ground for result in self._results)
        rows: list[Sequence[str]] = []
        for result in self._results:
            image, size, count, milliseconds = result.format_cells()
            rows.append((image, size, count, *[""] * on_ground, milliseconds))
            for zone, inside, per_m2 in result.zoned.list_rows() if result.zoned else ():
                rows.append((f"  {zone}", "", str(inside), *[per_m2] * on_ground))
        total = f"{sum(len(result.points) for result in self._results)}"
        columns = ("image", "size", "count", *["per m²"] * on_ground, "ms")
        print_table(columns, rows, footer=(closing, "", total) if closing else ())
