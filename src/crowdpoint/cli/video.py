"""`crowdpoint video`: count people over time in a video or stream, and write counts, alerts and a video."""

import json
import logging
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, pairwise
from pathlib import Path
from statistics import median
from typing import Annotated, Unpack

import typer

from crowdpoint.cli import options
from crowdpoint.console import progress
from crowdpoint.counts import Count, Run, tables
from crowdpoint.errors import VideoError
from crowdpoint.interrupt import Interrupt
from crowdpoint.opening.storage import is_url
from crowdpoint.outputs import check_suffix
from crowdpoint.predict import Predictor
from crowdpoint.video import alerts
from crowdpoint.video.frames import Frame, Pace, find_device
from crowdpoint.video.picture import Painter
from crowdpoint.video.sources import Source, open_source
from crowdpoint.video.watcher import WINDOW, Sighting, Watcher
from crowdpoint.video.writer import SUFFIXES, VideoWriter
from crowdpoint.zones import Zones
from crowdpoint.zones import load as load_zones
from crowdpoint.zoo import DEFAULT_MODEL

_log = logging.getLogger(__name__)

LEAST_RATE = 4.0
"""Frames per second below which walking people cannot be followed between frames."""

Outlet = Callable[[Frame, Sighting], object]
"""Adds the results of a frame to an output."""

RATE_FRAMES = 21
"""Frames over which the rate of counting is measured."""


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
    fps: Annotated[
        float | None,
        typer.Option(min=1e-3, callback=options.require_finite, help="Count this many frames per second."),
    ] = None,
    smooth: Annotated[
        float,
        typer.Option(
            min=0,
            callback=options.require_finite,
            help="Seconds that a change must last before smoothed counts follow it; 0 for none.",
        ),
    ] = WINDOW,
    duration: Annotated[
        float | None,
        typer.Option(
            min=1e-3, callback=options.require_finite, help="Stop after this many seconds of video."
        ),
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

    _require_source(source)
    destinations = _Destinations(out, csv, people, db, alert_file, alert_webhook)
    known = load_zones(zones) if zones else None
    destinations.check({"the video to read": source, "the model": model, "the file of --zones": zones}, known)
    predictor = Predictor.load(model, threads=threads, **shared).require_locating()
    opened = open_source(source, Pace(every or 1, fps), retries, _log.warning, live)
    rate = min(fps or math.inf, opened.rate / (every or 1))
    pace = _RateMonitor(rate)
    total = duration if opened.duration is None else min(opened.duration, duration or opened.duration)
    printer = _CountPrinter(opened, as_json)
    run = Run(opened.name, predictor.info.name, opened.live, datetime.now(UTC))
    stop = threading.Event()
    frames = opened.frames(stop, math.inf if duration is None else duration)
    with Interrupt(stop.set):
        first = next(frames, None)  # before outputs are overwritten, as it may fail, or not fit the zones
    if first is None:
        _log.warning(f"{opened.name}: no frame was counted; no output was written")
        raise typer.Exit(0 if opened.live or not stop.is_set() else 130)
    if known:
        known = known.fit((first.pixels.shape[1], first.pixels.shape[0]))
    watcher = Watcher(predictor, rate, known, smooth)
    frames = chain((first,), frames)
    with ExitStack() as stack:
        stack.callback(printer.close)
        outlets = destinations.open(stack, run, watcher, rate)
        stack.enter_context(Interrupt(stop.set))
        shown = stack.enter_context(progress("counting", total, "s", hidden=as_json and sys.stdout.isatty()))
        skipping = False
        for frame, last in ((frame, False) for frame in frames) if opened.live else _mark_last(frames):
            try:
                sighting = watcher.see(frame, last)
            except VideoError as error:
                if not opened.live:
                    raise VideoError(f"{opened.name}: {error}") from error
                if not skipping:
                    _log.warning(f"{opened.name}: {error}; such frames are skipped")
                skipping = True
                continue
            skipping = False
            pace.add(frame.seconds)
            for add in outlets:
                add(frame, sighting)
            printer.add(sighting)
            shown.reach(sighting.count.seconds, f"{sighting.count.smoothed} people")
    if stop.is_set() and not opened.live:
        _log.warning("stopped before the end; the counts so far are written")
        raise typer.Exit(130)


def _require_source(source: str) -> None:
    """Refuse a misspelt file at once; whether a camera or a stream is there, opening it tells."""
    if not (is_url(source) or find_device(source) or Path(source).exists()):
        raise typer.BadParameter(f"{source}: not found; expected a video file, a camera such as 0, or a URL")


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

    def check(self, read: Mapping[str, str | Path | None], zones: Zones | None) -> None:
        """Check the options before any file is overwritten.

        Args:
            read: location of each file to read, by its description.
            zones: zones and lines.
        """
        if self.db == "":
            raise typer.BadParameter("--db: expected a file or a database URL, found nothing")
        taken = {name: _find_file(location) for name, location in read.items()}
        for option in ("out", "csv", "people", "alert_file", "db"):
            flag, path = f"--{option.replace('_', '-')}", _find_file(getattr(self, option))
            for name, other in taken.items():
                if path and other and _is_same_file(path, other):
                    raise typer.BadParameter(f"{flag}: {path} is {name}; choose another name")
            taken[f"the file of {flag}"] = path
        if self.out:
            check_suffix(self.out, SUFFIXES)
        if self.csv:
            check_suffix(self.csv, tables.SUFFIXES)
        if self.people:
            check_suffix(self.people, tables.STAY_SUFFIXES)
        if self.alert_webhook is not None:
            alerts.split_credentials(self.alert_webhook)
        alerted = zones and any(zone.alert for zone in zones.zones)
        if (self.alert_file or self.alert_webhook is not None) and not alerted:
            raise typer.BadParameter(
                "--alert-file and --alert-webhook need --zones FILE with an `alert` in one of its zones"
            )

    def open(self, stack: ExitStack, run: Run, watcher: Watcher, rate: float) -> list[Outlet]:
        """Open the outputs; `stack` finishes and closes each of them, even if another fails."""
        found: list[Outlet] = []
        zones, remaining, say = watcher.zones, watcher.list_remaining, _log.warning
        if self.db is not None:  # first, because it may be unreachable, and tables are overwritten
            from crowdpoint.counts.database import Database

            database = Database(self.db, run, say)
            stack.callback(database.close)
            stack.callback(lambda: database.add_stays(remaining()))
            found.append(lambda _, seen: database.add(seen.count, seen.alerts, seen.crossings, seen.stays))
        if self.csv:
            names = () if zones is None else tuple(zone.name for zone in zones.zones)
            lines = () if zones is None else tuple(line.name for line in zones.lines)
            table = tables.open_table(self.csv, names, lines)
            stack.callback(table.close)
            found.append(lambda _, seen: table.add(seen.count))
        if self.people:
            people = tables.StayTable(self.people)
            stack.callback(people.close)
            stack.callback(lambda: people.add(remaining()))
            found.append(lambda _, seen: people.add(seen.stays))
        if self.alert_file:
            file = alerts.AlertFile(self.alert_file, run.source, say)
            stack.callback(file.close)
            found.append(lambda _, seen: file.add(seen.alerts))
        if self.alert_webhook is not None:
            webhook = alerts.Webhook(self.alert_webhook, say)
            stack.callback(webhook.close)

            def post(_: Frame, seen: Sighting) -> None:
                for alert in seen.alerts:
                    webhook.post(alert.to_record(run.source))

            found.append(post)
        if self.out:
            video, painter = VideoWriter(self.out, rate), Painter(zones)
            stack.callback(video.close)
            found.append(
                lambda frame, seen: video.write(
                    painter.paint(frame.pixels, seen.points, seen.count, seen.persons.tolist()), frame.seconds
                )
            )
        return found


def _find_file(location: str | Path | None) -> Path | None:
    """Return the path of a file, a file URL or an SQLite database; None for other URLs and None."""
    if location is None or isinstance(location, Path):
        return location
    scheme, is_url, rest = location.partition("://")
    if not is_url:
        return Path(location)
    if scheme.lower().startswith("sqlite"):
        return Path(rest.removeprefix("/").partition("?")[0])
    return Path(rest) if scheme.lower() == "file" else None


def _is_same_file(one: Path, other: Path) -> bool:
    with suppress(OSError):  # one of them does not exist
        return one.samefile(other)
    return one.resolve() == other.resolve()


class _RateMonitor:
    """Warns once if too few frames are counted per second to track people.

    A model may be slower than a live source, so that `rate`, the expected one, is not reached.
    """

    def __init__(self, rate: float) -> None:
        self._recent: deque[float] = deque(maxlen=RATE_FRAMES)
        self._warned = False
        self._check(rate)

    def add(self, seconds: float) -> None:
        """Add the time of a counted frame."""
        self._recent.append(seconds)
        if len(self._recent) == RATE_FRAMES and not self._warned:
            # The median, as a lost connection makes a single long step.
            self._check(1 / median(after - before for before, after in pairwise(self._recent)))

    def _check(self, rate: float) -> None:
        self._warned = rate < LEAST_RATE
        if self._warned:
            _log.warning(
                f"different people, dwell times and lines need at least {LEAST_RATE:g} frames per second, "
                f"found {rate:.3g}, and are too low; counts are not"
            )


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
