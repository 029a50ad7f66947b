"""`crowdpoint predict`: photos in, points out, as lines, tables, files and pictures."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crowdpoint.errors import CrowdpointError, ImageError

if TYPE_CHECKING:
    from rich.console import Console

    from crowdpoint.cli.sources import Source
    from crowdpoint.draw import Picture
    from crowdpoint.points import Points
    from crowdpoint.predict import Predictor

PICTURES = ("overlay", "heatmap")
SAVES = ("points", *PICTURES)
JPEG_SIDE = 65_500  # libjpeg's limit


class PointFormat(StrEnum):
    """Formats of the file of points."""

    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Result:
    """What is known of one image that went well."""

    source: "Source"
    points: "Points"
    milliseconds: float

    def cells(self) -> tuple[str, str, str, str]:
        """Image, size, count and milliseconds, for people."""
        width, height = self.points.image_size or (0, 0)
        return self.source.location, f"{width}x{height}", str(len(self.points)), f"{self.milliseconds:.0f}"


def _parse_save(value: str) -> tuple[str, ...]:
    wanted = tuple(part.strip() for part in value.split(",") if part.strip())
    unknown = [part for part in wanted if part not in SAVES]
    if unknown or not wanted:
        raise typer.BadParameter(f"expected a comma-separated list of {', '.join(SAVES)}, found {value!r}")
    return wanted


def predict(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Image files, folders, quoted globs, http(s) URLs.")
    ],
    model: Annotated[
        str, typer.Option(help="A name from `crowdpoint models`, an .onnx file or a checkpoint folder.")
    ] = "p2pnet-lite",
    out: Annotated[Path | None, typer.Option(help="Folder for files.", file_okay=False)] = None,
    save: Annotated[
        str | None,
        typer.Option(help="What to write to --out: points,overlay,heatmap. [default: points,overlay]"),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of a point; the model's own by default.")
    ] = None,
    format_: Annotated[PointFormat, typer.Option("--format", help="Format of the points.")] = PointFormat.CSV,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")] = False,
) -> None:
    """Find and count the people in images."""
    if save is not None and out is None:
        raise typer.BadParameter("--save needs --out DIR")
    wanted = _parse_save(save) if save is not None else ("points", "overlay") if out else ()
    from rich.console import Console

    from crowdpoint import formats
    from crowdpoint.cli.sources import collect
    from crowdpoint.predict import Predictor

    found, missing = collect(sources, [out / kind for kind in PICTURES] if out else [])
    if not found:
        raise typer.BadParameter(f"no image to predict; {'; '.join(missing)}")
    if out:
        _make_folder(out)
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    for line in missing:
        errors.print(f"crowdpoint: {line}")
    predictor = Predictor.load(model, threshold=threshold)
    report = _Report(predictor.info.name, as_json)
    failed = len(missing)
    try:
        with _progress(len(found), errors, hidden=report.streams_to_terminal) as advance:
            for source in found:
                try:
                    image, result = _predict_one(predictor, source)
                    report.add(result)
                    _draw(image, result, out, wanted)
                except CrowdpointError as error:
                    errors.print(f"crowdpoint: {error}")
                    failed += 1
                advance()
    finally:  # also after Ctrl-C: what is finished is kept
        if out and "points" in wanted:
            formats.write(out / f"points.{format_}", {r.source.name: r.points for r in report.results})
        report.close()
    if failed:
        raise typer.Exit(1)


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

            typer.echo(json.dumps(record(result.source.location, result.points) | {"model": self._model}))
        elif not self._console.is_terminal:
            image, size, count, milliseconds = result.cells()
            typer.echo(f"{image}: {count} ({size}, {milliseconds} ms)")

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
        table.add_column("ms", justify="right")
        for result in self.results:
            image, *numbers = result.cells()
            table.add_row(Text(image), *numbers)
        self._console.print(table)


@contextmanager
def _progress(total: int, console: "Console", hidden: bool) -> Iterator[Callable[[], None]]:
    """A progress bar on a terminal; calling what it yields moves it on by one image."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    disable = hidden or not console.is_terminal or total == 1
    # rich would send stdout through the bar's console, and so JSON lines to stderr
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, disable=disable) as bar:
        task = bar.add_task("predicting", total=total)
        yield lambda: bar.advance(task)


def _predict_one(predictor: "Predictor", source: "Source") -> tuple["Picture", Result]:
    start = time.perf_counter()
    image = source.read()
    points = predictor.predict(image)
    return image, Result(source, points, 1000 * (time.perf_counter() - start))


def _draw(image: "Picture", result: Result, out: Path | None, wanted: tuple[str, ...]) -> None:
    if out is None or not set(wanted) & set(PICTURES):
        return
    from crowdpoint import draw

    for kind, paint in (("overlay", draw.overlay), ("heatmap", draw.heatmap)):
        if kind in wanted:
            _write_picture(out / kind / f"{result.source.name}.jpg", paint(image, result.points))


def _write_picture(path: Path, picture: "Picture") -> None:
    import cv2

    height, width, _ = picture.shape
    if max(width, height) > JPEG_SIDE:
        raise ImageError(f"{path}: not written; {width}x{height} is over {JPEG_SIDE} pixels, JPEG's limit")
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 92])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise ImageError(f"{path}: cannot be written ({error})") from error


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"--out: the folder cannot be made ({error})") from error
