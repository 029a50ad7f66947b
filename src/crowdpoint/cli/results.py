"""Print the results of `crowdpoint predict` as lines, as JSON, or as a table at the end."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import typer
from rich.console import Console

from crowdpoint.cli.sources import ImageLocation
from crowdpoint.cli.zoning import ZoneResult
from crowdpoint.console import print_table
from crowdpoint.estimate import Found
from crowdpoint.formats.records import to_prediction
from crowdpoint.names import escape
from crowdpoint.rasters import Georeference

_log = logging.getLogger(__name__)


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


class ResultPrinter:
    """Print results: as JSON lines, plain lines, or on a terminal one table at the end."""

    def __init__(self, model: str, as_json: bool) -> None:
        self._results: list[Result] = []
        self.failures = 0
        self._model = model
        self._json = as_json
        self._console = Console()

    @property
    def streams_to_terminal(self) -> bool:
        """Whether lines appear on a terminal during the run."""
        return self._json and self._console.is_terminal

    def add(self, result: Result) -> None:
        """Print a result at once, or keep it for the table."""
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
        elif not self._console.is_terminal:
            image, size, count, milliseconds = result.format_cells()
            zones = f"; {result.zoned.format_line()}" if result.zoned else ""
            typer.echo(f"{image}: {count} ({size}, {milliseconds} ms){zones}")

    def fail(self, error: str) -> None:
        """Print the error of an image that could not be predicted or drawn."""
        self.failures += 1
        _log.error(escape(error))

    def close(self, images: int) -> None:
        """Print the table on a terminal, or the number of failures among several images."""
        failed = f", {self.failures} failed" if self.failures else ""
        closing = f"{images} image{'s' * (images != 1)}{failed}"
        if not self._json and self._console.is_terminal and self._results:
            self._print_table(closing if images > 1 else "")
        elif failed and images > 1:
            _log.error(closing)

    def _print_table(self, closing: str) -> None:
        on_ground = any(result.zoned and result.zoned.zones.ground for result in self._results)
        rows: list[Sequence[str]] = []
        for result in self._results:
            image, size, count, milliseconds = result.format_cells()
            rows.append((image, size, count, *[""] * on_ground, milliseconds))
            for zone, inside, per_m2 in result.zoned.format_cells() if result.zoned else ():
                rows.append((f"  {zone}", "", inside, *[per_m2] * on_ground))
        total = f"{sum(len(result.points) for result in self._results)}"
        columns = ("image", "size", "count", *["per m²"] * on_ground, "ms")
        print_table(columns, rows, footer=(closing, "", total) if closing else ())
