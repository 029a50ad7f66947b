"""`crowdpoint predict`: predict the points of images, and write lines, tables, point files and pictures."""

import logging
import time
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Unpack

import numpy as np
import typer

from crowdpoint.cli import options
from crowdpoint.cli.results import (
    ON_MAP,
    Outputs,
    PointFormat,
    Result,
    ResultPrinter,
    ZoneResult,
)
from crowdpoint.cli.sources import ImageLocation, collect
from crowdpoint.console import progress
from crowdpoint.deadline import deadline
from crowdpoint.errors import ConfigError, CrowdpointError, ImageError, ModelError, requires
from crowdpoint.estimate import Estimate, require_points
from crowdpoint.formats import Classes
from crowdpoint.opening import OpenedImage, open_image, storage
from crowdpoint.outputs import PICTURES, lock_folder
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.predict.predictor import AUTO, Inspection
from crowdpoint.predict.progress import Progress
from crowdpoint.rasters import Georeference
from crowdpoint.zones import Zones
from crowdpoint.zones import load as load_zones
from crowdpoint.zoo import DEFAULT_MODEL

if TYPE_CHECKING:
    from crowdpoint.cli.pictures import Pictures

_log = logging.getLogger(__name__)

SAVES = ("points", "counts", *PICTURES)


def _choose_outputs(
    value: str | None,
    out: Path | None,
    gt: Path | None,
    classes: Classes | None,
    resized: bool,
    format_: PointFormat | None,
) -> tuple[str, ...]:
    """Parse --save, choose its default, and check it against the other options."""
    wanted: tuple[str, ...] = ("points", "overlay") if out else ()
    if value is not None:
        wanted = tuple(part.strip() for part in value.split(","))
        if not set(wanted) <= set(SAVES):
            expected = ", ".join(SAVES)
            raise typer.BadParameter(f"expected a comma-separated list of {expected}, found {value!r}")
    if out is None and set(wanted) - {"counts"}:
        raise typer.BadParameter("--save needs --out DIR, except for counts alone")
    if format_ and out is None:
        raise typer.BadParameter("--format needs --out DIR; for JSON on stdout use --json")
    if format_ and "points" not in wanted:
        raise typer.BadParameter("--format needs --save points, the file that has this format")
    if gt is not None and "panel" not in wanted:
        raise typer.BadParameter("--gt needs --save panel, the picture that shows it")
    if classes and gt is None:
        raise typer.BadParameter("--classes needs --gt, whose annotations it chooses from")
    if "proposals" in wanted and resized:
        raise typer.BadParameter(
            "--save proposals shows the network's own pixels; leave out --scale and --max-side"
        )
    with requires(f"--format {format_}", "geo"):  # fail before the work if a package is missing
        for package in ("pyogrio", "rasterio") if format_ in ON_MAP else ():
            import_module(package)
    return wanted


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE", help="Image files, folders, quoted globs, or URLs (https://, s3://, ...)."
        ),
    ],
    model: options.Model = DEFAULT_MODEL,
    out: Annotated[Path | None, typer.Option(help="Folder for output files.", file_okay=False)] = None,
    save: Annotated[
        str | None,
        typer.Option(
            help=f"Outputs to write to --out: {', '.join(SAVES)}, separated by commas. points writes a file "
            "of points, counts a table of all images (without --out, too), overlay, heatmap and blur a "
            "picture of each image, panel the figure of the model's paper, and proposals P2PNet's proposals "
            "with their scores, at the image's own scale. [default: points,overlay]"
        ),
    ] = None,
    gt: Annotated[
        Path | None,
        typer.Option(help="File or folder of the ground truth, for the panel.", exists=True),
    ] = None,
    classes: options.Classes = None,
    zones: Annotated[
        Path | None,
        typer.Option(help="YAML or GeoJSON file of zones to count people in.", dir_okay=False),
    ] = None,
    format_: Annotated[
        PointFormat | None,
        typer.Option(
            "--format",
            help="Format of the points in --out; geojson and gpkg need georeferenced images. [default: csv]",
        ),
    ] = None,
    as_json: options.JsonLines = False,
    timeout: options.Timeout = None,
    allow_vrt: options.AllowVrt = False,
    **shared: Unpack[options.Predicting],
) -> None:
    """Find and count the people in images."""
    resized = shared["scale"] not in (AUTO, 1.0) or shared["max_side"] is not None
    wanted = _choose_outputs(save, out, gt, classes, resized, format_)
    found = collect(sources, [out / kind for kind in PICTURES] if out else [], allow_vrt=allow_vrt)
    if not found.images:
        missing = "; ".join(f"{argument}: {reason}" for argument, reason in found.missing.items())
        raise typer.BadParameter(f"no image to predict; {missing}")
    known = load_zones(zones) if zones else None
    kinds = [kind for kind in PICTURES if kind in wanted]
    with lock_folder(out) if out else nullcontext():
        predictor = Predictor.load(model, **shared)
        pictures = None
        if out and kinds:
            from crowdpoint.cli.pictures import GroundTruth, Pictures  # OpenCV, which a count may do without

            truth = GroundTruth(gt, [source.name for source in found.images], classes) if gt else None
            pictures = Pictures(out, kinds, truth, predictor.info)
        outputs = None
        if wanted or out:
            outputs = Outputs(out or Path(), wanted, format_ or "csv", zones=bool(out and known), truth=gt)
        report = ResultPrinter(predictor.info.name, as_json, outputs)
        needs_points = bool(known or set(wanted) - {"counts", "panel"})
        run = _Run(predictor, pictures, known, format_, report, needs_points, allow_vrt, timeout)
        for remark in found.remarks:
            _log.warning(remark)
        for argument, reason in found.missing.items():
            report.fail(f"{argument}: {reason}", argument, argument)
        try:
            hidden = report.streams_to_terminal
            with progress("predicting", len(found.images), hidden=hidden, lines=False) as shown:
                for source in found.images:
                    run.predict(source, shown.parts)
                    shown.advance()
        finally:  # also after Ctrl-C
            report.close()
    if report.failures:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Run:
    predictor: Predictor
    pictures: "Pictures | None"
    zones: Zones | None
    format_: PointFormat | None
    report: ResultPrinter
    needs_points: bool
    allow_vrt: bool
    timeout: float | None

    def predict(self, source: ImageLocation, tiles: Progress) -> None:
        """Predict one image, print and store its result, and draw it."""
        start = time.perf_counter()
        with ExitStack() as stack:
            try:
                with deadline(self.timeout, source.location):
                    image = stack.enter_context(open_image(source.location, allow_vrt=self.allow_vrt))
                    result, seen = self._find_result(source, image, tiles, start)
                    proposals = self._find_proposals(image)
            except CrowdpointError as error:
                self.report.fail(str(error), source.name, source.location)
                return
            self.report.add(result)
            if self.pictures:
                try:
                    self.pictures.write(result, image, seen, proposals)
                except CrowdpointError as error:
                    self.report.fail(str(error))

    def _find_result(
        self, source: ImageLocation, image: OpenedImage, tiles: Progress, start: float
    ) -> tuple[Result, Inspection | None]:
        """Predict an opened image; return its result and, if pictures show it, the network's output."""
        place = _find_place(image, self.format_)
        if self.pictures:
            self.pictures.check(image)
        zones = _fit_zones(self.zones, image) if self.zones else None
        seen = self.predictor.inspect(image) if self.pictures and self.pictures.inspect else None
        if seen:
            found, scales = self.predictor.select(seen.candidates), seen.scales
        else:
            found, scales = self.predictor.search(image, tiles)
        name = self.predictor.info.name
        if self.needs_points and isinstance(found, Estimate):
            raise ModelError(
                f"{name}: its method counts and does not locate; leave out --zones, and choose --save "
                "counts or panel"
            )
        counts = zones.count(require_points(found, name)) if zones else {}
        zoned = ZoneResult(zones, counts, zones.densities(counts)) if zones else None
        seconds = time.perf_counter() - start
        interval, warning = self.predictor.interval(found, scales), self.predictor.warning(found, scales)
        return Result(source, found, place, zoned, interval, warning, scales.finest, seconds), seen

    def _find_proposals(self, image: OpenedImage) -> Points | None:
        """Find the proposals at the image's own scale, if a picture shows them."""
        if not (self.pictures and self.pictures.proposals):
            return None
        return self.predictor.rescale(1.0).candidates(image)


def _find_place(image: OpenedImage, format_: PointFormat | None) -> Georeference | None:
    if format_ not in ON_MAP:
        return None
    if image.place is None:
        mend = "download it first" if storage.is_url(image.name) else "choose csv or json, which have pixels"
        raise ImageError(f"{image.name}: is not georeferenced, which --format {format_} needs; {mend}")
    if format_ == "geojson":
        width, height = image.size
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float32)
        try:
            image.place.to_longitude_latitude(corners)
        except ImageError as error:
            raise ImageError(f"{image.name}: {error}") from error
    return image.place


def _fit_zones(zones: Zones, image: OpenedImage) -> Zones:
    try:
        placed = zones if image.place is None else zones.project(image.place, image.size)
        return placed.fit(image.size)
    except ConfigError as error:
        raise ConfigError(f"{image.name}: {error}") from error
