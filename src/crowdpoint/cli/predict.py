"""`crowdpoint predict`: photos in, points out, as lines, tables, files and pictures."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crowdpoint.cli.options import (
    EngineOption,
    MaxSideOption,
    ModelOption,
    ScaleOption,
    SettingsOption,
    ThresholdOption,
    working_scale,
)
from crowdpoint.cli.pictures import PICTURES
from crowdpoint.errors import CrowdpointError, ImageError, requires

if TYPE_CHECKING:
    from rich.console import Console

    from crowdpoint.cli.pictures import Pictures
    from crowdpoint.cli.sources import Source
    from crowdpoint.cli.zoning import Zoned
    from crowdpoint.opening import OpenedImage
    from crowdpoint.points import Points
    from crowdpoint.predict import Predictor
    from crowdpoint.predict.predictor import Progress
    from crowdpoint.rasters import Place
    from crowdpoint.zones import Zones

SAVES = ("points", *PICTURES)


class PointFormat(StrEnum):
    """Formats of the file of points: in pixels, and on the map."""

    CSV = "csv"
    JSON = "json"
    GEOJSON = "geojson"
    GPKG = "gpkg"

    @property
    def on_map(self) -> bool:
        """Whether it has map coordinates."""
        return self in (PointFormat.GEOJSON, PointFormat.GPKG)


@dataclass(frozen=True, slots=True)
class Result:
    """What is known of one image that went well."""

    source: "Source"
    points: "Points"
    place: "Place | None"
    zoned: "Zoned | None"
    milliseconds: float

    def cells(self) -> tuple[str, str, str, str]:
        """Image, size, count and milliseconds, for people."""
        width, height = self.points.image_size or (0, 0)
        return self.source.location, f"{width}x{height}", str(len(self.points)), f"{self.milliseconds:.0f}"


def _wanted(value: str | None, out: Path | None, gt: Path | None, scale: str) -> tuple[str, ...]:
    """What --save asks for, or stands for where it is not given."""
    if value is not None and out is None:
        raise typer.BadParameter("--save needs --out DIR")
    wanted = _parsed(value) if value is not None else ("points", "overlay") if out else ()
    if gt is not None and "panel" not in wanted:
        raise typer.BadParameter("--gt needs --save panel, the picture that shows it")
    if "proposals" in wanted and working_scale(scale) not in ("auto", 1.0):
        raise typer.BadParameter("--save proposals shows the network's own pixels; leave out --scale")
    return wanted


def _parsed(value: str) -> tuple[str, ...]:
    wanted = tuple(part.strip() for part in value.split(",") if part.strip())
    unknown = [part for part in wanted if part not in SAVES]
    if unknown or not wanted:
        raise typer.BadParameter(f"expected a comma-separated list of {', '.join(SAVES)}, found {value!r}")
    return wanted


def predict(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Image files, folders, quoted globs, http(s) URLs.")
    ],
    model: ModelOption = "p2pnet-lite",
    engine: EngineOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder for files.", file_okay=False)] = None,
    save: Annotated[
        str | None,
        typer.Option(
            help=f"What to write to --out, some of {','.join(SAVES)}. [default: points,overlay] "
            "A panel is the row of pictures in the model's paper; proposals are P2PNet's, with scores."
        ),
    ] = None,
    gt: Annotated[
        Path | None,
        typer.Option(help="True points for the panel: a file for all images, or a folder.", exists=True),
    ] = None,
    threshold: ThresholdOption = None,
    set_: SettingsOption = None,
    scale: ScaleOption = "auto",
    max_side: MaxSideOption = None,
    zones: Annotated[
        Path | None,
        typer.Option(help="YAML or GeoJSON file of zones; the people in each are counted.", dir_okay=False),
    ] = None,
    format_: Annotated[
        PointFormat,
        typer.Option("--format", help="Format of the points; geojson and gpkg are for images on the map."),
    ] = PointFormat.CSV,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")] = False,
) -> None:
    """Find and count the people in images."""
    wanted = _wanted(save, out, gt, scale)
    _check_format(format_)
    from rich.console import Console

    from crowdpoint.cli.pictures import Pictures, Truth
    from crowdpoint.cli.sources import collect
    from crowdpoint.overrides import settings
    from crowdpoint.predict import Predictor

    found, missing = collect(sources, [out / kind for kind in PICTURES] if out else [])
    if not found:
        raise typer.BadParameter(f"no image to predict; {'; '.join(missing)}")
    known = _load_zones(zones) if zones else None
    if out:
        _make_folder(out)
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    for line in missing:
        errors.print(f"crowdpoint: {line}")
    truth = Truth(gt) if gt else None
    predictor = Predictor.load(
        model,
        engine=engine,
        threshold=threshold,
        scale=1.0 if "proposals" in wanted else working_scale(scale),
        max_side=max_side,
        settings=settings(set_ or ()),
    )
    kinds = [kind for kind in PICTURES if kind in wanted]
    pictures = Pictures(out or Path(), kinds, truth, predictor.info)
    report = _Report(predictor.info.name, as_json)
    run = _Run(predictor, pictures, known, format_, report)
    failed = len(missing)
    try:
        with _progress(len(found), errors, hidden=report.streams_to_terminal) as (advance, tiles):
            for source in found:
                try:
                    run.predict(source, tiles)
                except CrowdpointError as error:
                    errors.print(f"crowdpoint: {error}")
                    failed += 1
                advance()
    finally:  # also after Ctrl-C: what is finished is kept
        if out and "points" in wanted:
            _write_points(out / f"points.{format_}", report.results, format_)
        if out and known:
            from crowdpoint.cli.zoning import write_zones

            write_zones(out / "zones.csv", {r.source.name: r.zoned for r in report.results if r.zoned})
        report.close()
    for line in pictures.remarks():
        errors.print(f"crowdpoint: {line}")
    if failed:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Run:
    """What is done with every image."""

    predictor: "Predictor"
    pictures: "Pictures"
    zones: "Zones | None"
    format_: PointFormat
    report: "_Report"

    def predict(self, source: "Source", tiles: "Progress") -> None:
        """Predicts one image, tells of it, and draws it."""
        from crowdpoint.cli.zoning import Zoned, fitted
        from crowdpoint.opening import open_image

        start = time.perf_counter()
        with open_image(source.location) as image:
            place = _place(image, self.format_)
            self.pictures.check(image)
            zones = fitted(self.zones, image) if self.zones else None
            predictor = self.predictor
            seen = predictor.inspect(image) if self.pictures.inspect else None
            points = predictor.select(seen.candidates) if seen else predictor.predict(image, tiles)
            zoned = Zoned.of(zones, points) if zones else None
            self.report.add(Result(source, points, place, zoned, 1000 * (time.perf_counter() - start)))
            self.pictures.write(source, image, points, seen, zoned)


class _Report:
    """Tells about every result: JSON lines, plain lines, or on a terminal one table at the end."""

    def __init__(self, model: str, as_json: bool) -> None:
        from rich.console import Console

        self.results: list[Result] = []
        self._model = model
        self._json = as_json
        self._console = Console()
        self.streams_to_terminal = as_json and self._console.is_terminal

    def add(self, result: Result) -> None:
        """Keeps a result, and prints it at once unless it waits for the table."""
        self.results.append(result)
        if self._json:
            from crowdpoint.formats.records import record

            line = record(result.source.location, result.points) | {"model": self._model}
            typer.echo(json.dumps(line | ({"zones": result.zoned.record()} if result.zoned else {})))
        elif not self._console.is_terminal:
            image, size, count, milliseconds = result.cells()
            zones = f"; {result.zoned.line()}" if result.zoned else ""
            typer.echo(f"{image}: {count} ({size}, {milliseconds} ms){zones}")

    def close(self) -> None:
        """Prints the table, if one is due."""
        if self._json or not self._console.is_terminal or not self.results:
            return
        from rich.table import Table
        from rich.text import Text

        several = len(self.results) > 1
        table = Table(show_footer=several)
        table.add_column("image", overflow="fold", footer=f"{len(self.results)} images")
        table.add_column("size", justify="right")
        table.add_column("count", justify="right", footer=f"{sum(len(r.points) for r in self.results)}")
        on_ground = any(result.zoned and result.zoned.zones.ground for result in self.results)
        if on_ground:
            table.add_column("per m²", justify="right")
        table.add_column("ms", justify="right")
        for result in self.results:
            image, size, count, milliseconds = result.cells()
            table.add_row(Text(image), size, count, *[""] * on_ground, milliseconds)
            for zone, inside, per_m2 in result.zoned.cells() if result.zoned else ():
                table.add_row(Text(f"  {zone}"), "", inside, *[per_m2] * on_ground)
        self._console.print(table)


def _load_zones(path: Path) -> "Zones":
    from crowdpoint import zones  # a tenth of a second that only those wait for who have zones

    return zones.load(path)


def _check_format(format_: PointFormat) -> None:
    """Fails before the first image where a package for points on the map is missing."""
    if format_.on_map:
        with requires(f"--format {format_}", "geo"):
            for package in ("pyogrio", "rasterio"):
                import_module(package)


@contextmanager
def _progress(
    total: int, console: "Console", hidden: bool
) -> Iterator[tuple[Callable[[], None], "Progress"]]:
    """Progress bars on a terminal, of several images and of several tiles.

    Yields what moves the first on by one image, and what is told of the tiles of an image.
    """
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    disable = hidden or not console.is_terminal
    # rich would send stdout through the bar's console, and so JSON lines to stderr
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, disable=disable) as bar:
        images = bar.add_task("predicting", total=total, visible=total > 1)
        pieces = bar.add_task("tiles", visible=False)
        yield (
            lambda: bar.advance(images),
            lambda done, count: bar.update(pieces, completed=done, total=count, visible=count > 1),
        )


def _place(image: "OpenedImage", format_: PointFormat) -> "Place | None":
    """Where an image lies, for a format with map coordinates.

    Raises:
        ImageError: if that is not known, or the format cannot say it.
    """
    if not format_.on_map:
        return None
    import numpy as np

    from crowdpoint.opening import storage

    if image.place is None:
        mend = "download it first" if storage.is_url(image.name) else "choose csv or json, which have pixels"
        raise ImageError(
            f"{image.name}: does not say where it lies on the map, which --format {format_} needs; {mend}"
        )
    if format_ is PointFormat.GEOJSON:
        width, height = image.size
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float32)
        try:
            image.place.longitude_latitude(corners)
        except ImageError as error:
            raise ImageError(f"{image.name}: {error}") from error
    return image.place


def _write_points(path: Path, results: Sequence[Result], format_: PointFormat) -> None:
    from crowdpoint import formats

    points = {result.source.name: result.points for result in results}
    if format_.on_map:
        formats.write_map(path, points, {r.source.name: r.place for r in results if r.place})
    else:
        formats.write(path, points)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"--out: the folder cannot be made ({error})") from error
