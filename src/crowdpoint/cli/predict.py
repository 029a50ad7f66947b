"""`crowdpoint predict`: photos in, points out, as lines, tables, files and pictures."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
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
from crowdpoint.errors import CrowdpointError, ImageError, ModelError, requires
from crowdpoint.outputs import lock_folder

if TYPE_CHECKING:
    from rich.console import Console

    from crowdpoint.cli.outputs import Outputs
    from crowdpoint.cli.pictures import Pictures
    from crowdpoint.cli.results import Report, Result
    from crowdpoint.cli.sources import Source
    from crowdpoint.opening import OpenedImage
    from crowdpoint.predict import Predictor
    from crowdpoint.predict.predictor import Inspection, Progress
    from crowdpoint.rasters import Place
    from crowdpoint.zones import Zones

SAVES = ("points", "counts", *PICTURES)


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


def _wanted(value: str | None, out: Path | None, gt: Path | None, scale: str) -> tuple[str, ...]:
    """What --save asks for, or stands for where it is not given."""
    wanted = _parsed(value) if value is not None else ("points", "overlay") if out else ()
    if out is None and set(wanted) - {"counts"}:
        raise typer.BadParameter("--save needs --out DIR, but for counts alone")
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
        list[str],
        typer.Argument(
            metavar="SOURCE", help="Image files, folders, quoted globs, URLs such as https:// or s3://."
        ),
    ],
    model: ModelOption = "p2pnet-lite",
    engine: EngineOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder for files.", file_okay=False)] = None,
    save: Annotated[
        str | None,
        typer.Option(
            help=f"What to write to --out, some of {','.join(SAVES)}. [default: points,overlay] "
            "counts is a row for each image, failed ones included, and needs no --out. blur makes heads "
            "unrecognisable. A panel is the row of pictures in the model's paper; proposals are P2PNet's, "
            "with scores."
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
    allow_vrt: Annotated[
        bool, typer.Option("--allow-vrt", help="Read virtual rasters, which show what is in other files.")
    ] = False,
) -> None:
    """Find and count the people in images."""
    wanted = _wanted(save, out, gt, scale)
    _check_format(format_)
    from rich.console import Console

    from crowdpoint.cli.outputs import Outputs
    from crowdpoint.cli.pictures import Pictures, Truth
    from crowdpoint.cli.results import Report
    from crowdpoint.cli.sources import collect
    from crowdpoint.predict import Predictor

    found = collect(sources, [out / kind for kind in PICTURES] if out else [], allow_vrt=allow_vrt)
    if not found.images:
        missing = "; ".join(f"{argument}: {reason}" for argument, reason in found.missing.items())
        raise typer.BadParameter(f"no image to predict; {missing}")
    known = _load_zones(zones) if zones else None
    if out:
        _make_folder(out)
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    truth = Truth(gt, [source.name for source in found.images]) if gt else None
    predictor = Predictor.load(
        model,
        engine=engine,
        threshold=threshold,
        scale=1.0 if "proposals" in wanted else working_scale(scale),
        max_side=max_side,
        overrides=set_ or (),
    )
    kinds = [kind for kind in PICTURES if kind in wanted]
    pictures = Pictures(out or Path(), kinds, truth, predictor.info)
    with lock_folder(out) if out else nullcontext():
        outputs = Outputs(
            out or Path(), wanted, zones=bool(out and known), suffix=f".{format_}", on_map=format_.on_map
        )
        report = Report(predictor.info.name, as_json, errors)
        needs_points = bool(known or set(wanted) - {"counts", "panel"})
        run = _Run(predictor, pictures, known, format_, report, outputs, needs_points, allow_vrt)
        for remark in found.remarks:
            errors.print(f"crowdpoint: {remark}")
        for argument, reason in found.missing.items():
            run.fail(argument, f"{argument}: {reason}")
        try:
            with _progress(len(found.images), errors, hidden=report.streams_to_terminal) as (advance, tiles):
                for source in found.images:
                    run.predict(source, tiles)
                    advance()
        finally:  # also after Ctrl-C
            report.close(len(found.images) + len(found.missing))
    for line in pictures.remarks():
        errors.print(f"crowdpoint: {line}")
    if report.failed:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Run:
    """What is done with every image."""

    predictor: "Predictor"
    pictures: "Pictures"
    zones: "Zones | None"
    format_: PointFormat
    report: "Report"
    outputs: "Outputs"
    needs_points: bool
    allow_vrt: bool

    def predict(self, source: "Source", tiles: "Progress") -> None:
        """Predict one image, print and store its result, and draw it.

        Raises:
            FormatError: if its points cannot be stored; that goes for those of the next image, too.
            StorageError: if there is no room for its result.
        """
        from crowdpoint.opening import open_image

        start = time.perf_counter()
        with ExitStack() as stack:
            try:
                image = stack.enter_context(open_image(source.location, allow_vrt=self.allow_vrt))
                result, seen = self._result(source, image, tiles, start)
            except CrowdpointError as error:
                self.fail(source.name, str(error), source.location)
                return
            self.report.add(result)
            self.outputs.add(result)
            try:
                self.pictures.write(source, image, result.points, seen, result.zoned)
            except CrowdpointError as error:
                self.report.fail(str(error))

    def fail(self, name: str, error: str, location: str = "") -> None:
        """Print and store why an image has no result."""
        self.report.fail(error)
        self.outputs.fail(name, error.removeprefix(f"{location or name}: "))

    def _result(
        self, source: "Source", image: "OpenedImage", tiles: "Progress", start: float
    ) -> "tuple[Result, Inspection | None]":
        """The result of an opened image, and what the pictures show of the network."""
        from crowdpoint.cli.results import Result
        from crowdpoint.cli.zoning import Zoned, fitted
        from crowdpoint.estimate import Estimate, require_points

        place = _place(image, self.format_)
        self.pictures.check(image)
        zones = fitted(self.zones, image) if self.zones else None
        seen = self.predictor.inspect(image) if self.pictures.inspect else None
        found = self.predictor.select(seen.candidates) if seen else self.predictor.find(image, tiles)
        name = self.predictor.info.name
        if self.needs_points and isinstance(found, Estimate):
            raise ModelError(
                f"{name}: its method counts and does not locate; leave out --zones, and choose --save "
                "counts or panel"
            )
        zoned = Zoned.of(zones, require_points(found, name)) if zones else None
        interval = self.predictor.interval(found)
        return Result(source, found, place, zoned, interval, time.perf_counter() - start), seen


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
            image.place.to_longitude_latitude(corners)
        except ImageError as error:
            raise ImageError(f"{image.name}: {error}") from error
    return image.place


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"--out: the folder cannot be made ({error})") from error
