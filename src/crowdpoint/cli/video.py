"""`crowdpoint video`: count people over time in a video or stream, and write counts, alerts and a video."""

import json
import logging
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Unpack

import typer

from crowdpoint.cli import options
from crowdpoint.console import progress
from crowdpoint.counts import Count, Run, tables
from crowdpoint.errors import VideoError
from crowdpoint.outputs import check_suffix
from crowdpoint.predict import Predictor
from crowdpoint.video import alerts, outlets, writer
from crowdpoint.video.frames import Frame, Pace
from crowdpoint.video.outlets import Outlet
from crowdpoint.video.sources import Source, open_source
from crowdpoint.video.watcher import WINDOW, Sighting, Watcher
from crowdpoint.zones import Zones
from crowdpoint.zones import load as load_zones
from crowdpoint.zoo import DEFAULT_MODEL

_log = logging.getLogger(__name__)

LEAST_RATE = 4.0
"""Frames per second below which walking people cannot be followed between frames."""


def video(
    source: Annotated[
        str, typer.Argument(help="Video file, camera (0, /dev/video0), or RTSP or http(s) URL.")
    ],
    model: options.Model = DEFAULT_MODEL,
    threads: options.Threads = None,
    out: Annotated[
        Path | None, typer.Option(help="Video to write: .mp4, .mov or .mkv.", dir_okay=False)
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Table of counts to write: .csv or .parquet.", dir_okay=False)
    ] = None,
    people: Annotated[
        Path | None, typer.Option(help="Table of people and their stays to write: .csv.", dir_okay=False)
    ] = None,
    every: Annotated[int | None, typer.Option(min=1, help="Count every N-th frame.")] = None,
    fps: Annotated[float | None, typer.Option(min=1e-3, help="Count this many frames per second.")] = None,
    smooth: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds that a change must last before smoothed counts follow it; 0 for none."
        ),
    ] = WINDOW,
    duration: Annotated[
        float | None, typer.Option(min=0, help="Stop after this many seconds of video.")
    ] = None,
    zones: Annotated[
        Path | None, typer.Option(help="YAML or GeoJSON file of zones, alerts and lines.", dir_okay=False)
    ] = None,
    db: Annotated[
        str | None,
        typer.Option(metavar="FILE|URL", help="SQLite file or SQLAlchemy database URL to write counts to."),
    ] = None,
    alert_file: Annotated[
        Path | None, typer.Option(help="File to append alerts to, as JSON lines.", dir_okay=False)
    ] = None,
    alert_webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="URL to post alerts to, as JSON.")
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="Consecutive attempts to reconnect to a lost live source.")
    ] = 8,
    live: Annotated[
        bool | None,
        typer.Option(
            "--live/--no-live", help="Treat the source as live, or as a recording. [default: detect]"
        ),
    ] = None,
    as_json: options.JsonLines = False,
    **shared: Unpack[options.Predicting],
) -> None:
    """Count the people in a video, camera or stream over time."""
    if every is not None and fps is not None:
        raise typer.BadParameter("--every and --fps exclude each other; leave one out")

    destinations = _Destinations(out, csv, people, db, alert_file, alert_webhook)
    known = load_zones(zones) if zones else None
    destinations.check(source, known)
    predictor = Predictor.load(model, threads=threads, **shared).require_locating()
    opened = open_source(source, Pace(every or 1, fps), retries, _log.warning, live)
    rate = min(fps or math.inf, opened.rate / (every or 1))
    if rate < LEAST_RATE:
        _log.warning(
            f"different people, dwell times and lines need at least {LEAST_RATE:g} frames per second, found "
            f"{rate:.3g}, and are too low; counts are not"
        )
    watcher = Watcher(predictor, rate, known, smooth)
    total = duration if opened.duration is None else min(opened.duration, duration or opened.duration)
    printer = _CountPrinter(opened, as_json)
    with ExitStack() as stack:
        stack.callback(printer.close)
        run = Run(opened.name, predictor.info.name, opened.live, datetime.now(UTC))
        outlets = destinations.open(stack, run, watcher, rate)
        stop = stack.enter_context(_catch_signals())
        shown = stack.enter_context(progress("counting", total, "s", hidden=as_json and sys.stdout.isatty()))
        frames = opened.frames(stop, math.inf if duration is None else duration)
        for frame, last in ((frame, False) for frame in frames) if opened.live else _mark_last(frames):
            sighting = watcher.see(frame, last)
            for outlet in outlets:
                outlet.take(frame, sighting)
            printer.add(sighting)
            shown.reach(sighting.count.seconds, f"{sighting.count.smoothed} people")
    if stop.is_set() and not opened.live:
        _log.warning("stopped before the end; the counts so far are written")
        raise typer.Exit(130)


def _mark_last(frames: Iterator[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Yield each frame of a recording, and whether it is the last, for which the next is decoded first."""
    frame, failure = next(frames, None), None
    while frame:
        try:
            following = next(frames, None)
        except VideoError as error:
            following, failure = None, error
        yield frame, following is None
        frame = following
    if failure:
        raise failure


@dataclass(frozen=True, slots=True)
class _Destinations:
    out: Path | None
    csv: Path | None
    people: Path | None
    db: str | None
    alert_file: Path | None
    alert_webhook: str | None

    def check(self, source: str, zones: Zones | None) -> None:
        """Check the options before any file is overwritten."""
        file = Path(source[len("file://") :] if source.lower().startswith("file://") else source)
        for option in ("out", "csv", "people", "alert_file"):
            path: Path | None = getattr(self, option)
            if path and path.exists() and file.exists() and path.samefile(file):
                flag = f"--{option.replace('_', '-')}"
                raise typer.BadParameter(f"{flag}: {path} is the video to read; choose another name")
        if self.out:
            check_suffix(self.out, writer.SUFFIXES)
        if self.csv:
            check_suffix(self.csv, tables.SUFFIXES)
        if self.people:
            check_suffix(self.people, tables.STAY_SUFFIXES)
            if self.csv and self.people.resolve() == self.csv.resolve():
                raise typer.BadParameter(
                    f"--people: {self.people} is the table of --csv; choose another name"
                )
        if self.alert_webhook:
            alerts.split_credentials(self.alert_webhook)
        alerted = zones and any(zone.alert for zone in zones.zones)
        if (self.alert_file or self.alert_webhook) and not alerted:
            raise typer.BadParameter(
                "--alert-file and --alert-webhook need --zones FILE with an `alert` in one of its zones"
            )

    def open(self, stack: ExitStack, run: Run, watcher: Watcher, rate: float) -> list[Outlet]:
        """Open the outlets; `stack` closes each of them, even if another fails."""
        found: list[Outlet] = []
        zones, remaining, say = watcher.zones, watcher.list_remaining, _log.warning

        def add(outlet: Outlet) -> None:
            stack.callback(outlet.close)
            found.append(outlet)

        if self.db:  # first, because it may be unreachable, and tables are overwritten
            add(outlets.DatabaseOutlet(self.db, run, say, remaining))
        if self.csv:
            add(outlets.TableOutlet(self.csv, zones))
        if self.people:
            add(outlets.PeopleOutlet(self.people, remaining))
        if self.alert_file:
            add(outlets.AlertFile(self.alert_file, run.source, say))
        if self.alert_webhook:
            add(outlets.AlertWebhook(self.alert_webhook, run.source, say))
        if self.out:
            add(outlets.PictureOutlet(self.out, rate, zones))
        return found


class _CountPrinter:
    def __init__(self, source: Source, as_json: bool) -> None:
        self._source, self._json = source.name, as_json
        self._begin = time.perf_counter()
        self._frames, self._total, self._most = 0, 0, 0
        self._last: Count | None = None

    def add(self, sighting: Sighting) -> None:
        """Add the results of a frame."""
        count = sighting.count
        self._frames += 1
        self._total += count.count
        self._most = max(self._most, count.smoothed)
        self._last = count
        if self._json:
            typer.echo(json.dumps(count.to_record()))
            for crossing in sighting.crossings:
                typer.echo(json.dumps(crossing.to_record(count)))
        for alert in sighting.alerts:
            typer.echo(json.dumps(alert.to_record(self._source)))

    def close(self) -> None:
        """Print the summary, if a frame was counted."""
        if not self._last:
            return
        took = time.perf_counter() - self._begin
        mean = self._total / self._frames
        last = self._last
        if self._json:
            figures = {"frames": self._frames, "seconds": round(last.seconds, 3), "mean": round(mean, 3)}
            walked = {"people": last.people, "lines": last.to_record()["lines"]}
            rest = {"highest_smoothed": self._most, "wall_seconds": round(took, 3)}
            typer.echo(json.dumps({"event": "summary", "source": self._source} | figures | walked | rest))
            return
        typer.echo(
            f"{self._source}: {self._frames} frames counted over {last.seconds:.1f} s: {mean:.1f} on "
            f"average, at most {self._most} smoothed, {last.people} different people "
            f"({self._frames / max(took, 1e-9):.1f} frames per second)"
        )
        for line in last.lines:
            typer.echo(f"{line.line}: {line.inward} in, {line.outward} out")


@contextmanager
def _catch_signals() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C or SIGTERM sets to finish the frame; a second acts at once."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(_signal: int, _frame: FrameType | None) -> None:
        stop.set()
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        restore()
