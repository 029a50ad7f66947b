"""Outputs of a run: tables, a database, a video, and alerts."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from crowdpoint.counts.tables import StayTable, open_table
from crowdpoint.counts.values import Run, Stay
from crowdpoint.errors import wrap_write_errors
from crowdpoint.video.alerts import Webhook
from crowdpoint.video.frames import Frame
from crowdpoint.video.picture import Painter
from crowdpoint.video.watcher import Sighting
from crowdpoint.video.writer import VideoWriter
from crowdpoint.zones import Zones


class Outlet(Protocol):
    """Consumer of the results of each frame."""

    def take(self, frame: Frame, sighting: Sighting, /) -> None:
        """Process the result of a frame."""

    def close(self) -> None:
        """Finish the output."""


class TableOutlet:
    """CSV or Parquet file of counts."""

    def __init__(self, path: Path, zones: Zones | None) -> None:
        names = () if zones is None else tuple(zone.name for zone in zones.zones)
        lines = () if zones is None else tuple(line.name for line in zones.lines)
        self._table = open_table(path, names, lines)
        self.close = self._table.close

    def take(self, _frame: Frame, sighting: Sighting, /) -> None:
        """Append a row."""
        self._table.add(sighting.count)


class PeopleOutlet:
    """CSV file of the stays of people."""

    def __init__(self, path: Path, remaining: Callable[[], tuple[Stay, ...]]) -> None:
        self._table, self._remaining = StayTable(path), remaining

    def take(self, _frame: Frame, sighting: Sighting, /) -> None:
        """Append finished stays."""
        self._table.add(sighting.stays)

    def close(self) -> None:
        """Append unfinished stays, and finish the file."""
        try:
            self._table.add(self._remaining())
        finally:
            self._table.close()


class DatabaseOutlet:
    """Database of counts, people and alerts."""

    def __init__(
        self,
        location: str,
        run: Run,
        report: Callable[[str], None],
        remaining: Callable[[], tuple[Stay, ...]],
    ) -> None:
        from crowdpoint.counts.database import Database

        self._database, self._remaining = Database(location, run, report), remaining

    def take(self, _frame: Frame, sighting: Sighting, /) -> None:
        """Add the counts and events of a frame."""
        self._database.add(sighting.count, sighting.alerts, sighting.crossings, sighting.stays)

    def close(self) -> None:
        """Add unfinished stays, and write pending rows."""
        self._database.add_stays(self._remaining())
        self._database.close()


class PictureOutlet:
    """Annotated video of the counted frames."""

    def __init__(self, path: Path, rate: float, zones: Zones | None) -> None:
        self._writer = VideoWriter(path, rate)
        self._painter = Painter(zones)
        self.close = self._writer.close

    def take(self, frame: Frame, sighting: Sighting, /) -> None:
        """Draw the results on a frame and append it."""
        picture = self._painter.paint(
            frame.pixels, sighting.points, sighting.count, sighting.persons.tolist()
        )
        self._writer.write(picture, frame.seconds)


class AlertFile:
    """JSON Lines file of alerts, opened for each frame that has some, so that log rotation can move it.

    A named pipe stays open. Alerts wait in it while nobody reads; those that it cannot hold are dropped.

    Args:
        path: file or named pipe.
        source: name of the video.
        report: function called with a message for each dropped alert.
    """

    def __init__(self, path: Path, source: str, report: Callable[[str], None]) -> None:
        self._path, self._source, self._report = path, source, report
        self._pipe: int | None = None
        with wrap_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_fifo():  # open for reading, too: neither opening nor writing needs a reader then
                self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            else:
                path.open("a").close()

    def take(self, _frame: Frame, sighting: Sighting, /) -> None:
        """Append the alerts of a frame."""
        lines = [f"{json.dumps(one.to_record(self._source))}\n".encode() for one in sighting.alerts]
        if self._pipe is not None:
            self._send(self._pipe, lines)
        elif lines:
            with wrap_write_errors(self._path), self._path.open("ab") as file:
                file.writelines(lines)

    def close(self) -> None:
        """Close a named pipe."""
        if self._pipe is not None:
            os.close(self._pipe)

    def _send(self, pipe: int, lines: list[bytes]) -> None:
        for line in lines:
            try:
                os.write(pipe, line)
            except BlockingIOError:
                self._report(f"--alert-file {self._path}: alert dropped, nobody reads this pipe")


class AlertWebhook:
    """Webhook that receives alerts."""

    def __init__(self, url: str, source: str, report: Callable[[str], None]) -> None:
        self._webhook = Webhook(url, report)
        self._source = source
        self.close = self._webhook.close

    def take(self, _frame: Frame, sighting: Sighting, /) -> None:
        """Queue the alerts of a frame."""
        for alert in sighting.alerts:
            self._webhook.post(alert.to_record(self._source))
