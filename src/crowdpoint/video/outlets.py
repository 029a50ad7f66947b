"""Where the results of a run go: a table, a database, a video, and whoever wants to hear of alerts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from crowdpoint.counts.held import HeldFile
from crowdpoint.counts.tables import StayTable, open_table
from crowdpoint.counts.values import Run, Stay
from crowdpoint.errors import storing
from crowdpoint.video.alerts import Webhook
from crowdpoint.video.frames import Frame
from crowdpoint.video.picture import Painter
from crowdpoint.video.watcher import Sighting
from crowdpoint.video.writer import VideoWriter
from crowdpoint.zones import Zones


class Outlet(Protocol):
    """Takes the result of each frame."""

    def take(self, frame: Frame, sighting: Sighting) -> None:
        """Takes a frame and what was seen on it."""
        ...

    def close(self) -> None:
        """Finishes what was begun."""
        ...


class TableOutlet:
    """Writes counts to a CSV or Parquet file.

    Raises:
        ConfigError: if the ending is another.
        StorageError: if the file cannot be written.
    """

    def __init__(self, path: Path, zones: Zones | None) -> None:
        self._path = path
        names = () if zones is None else tuple(zone.name for zone in zones.zones)
        lines = () if zones is None else tuple(line.name for line in zones.lines)
        self._table = open_table(path, names, lines)

    def take(self, frame: Frame, sighting: Sighting) -> None:
        """Appends a row."""
        del frame
        with storing(self._path):
            self._table.add(sighting.count)

    def close(self) -> None:
        """Finishes the file."""
        with storing(self._path):
            self._table.close()


class PeopleOutlet:
    """Writes the people who have been there to a CSV file.

    Args:
        path: the file.
        remaining: tells the stays of everybody who is still there.

    Raises:
        ConfigError: if the ending is another.
        StorageError: if the file cannot be written.
    """

    def __init__(self, path: Path, remaining: Callable[[], tuple[Stay, ...]]) -> None:
        self._path, self._remaining = path, remaining
        self._table = StayTable(path)

    def take(self, frame: Frame, sighting: Sighting) -> None:
        """Appends those who are gone."""
        del frame
        with storing(self._path):
            self._table.add(sighting.stays)

    def close(self) -> None:
        """Appends those who are still there, and finishes the file."""
        with storing(self._path):
            try:
                self._table.add(self._remaining())
            finally:
                self._table.close()


class DatabaseOutlet:
    """Writes counts, people and alerts to a database.

    Args:
        location: an SQLAlchemy URL, or the path of an SQLite file.
        run: what is watched.
        say: as in `Database`.
        remaining: tells the stays of everybody who is still there.

    Raises:
        StorageError: if the database cannot be used.
    """

    def __init__(
        self,
        location: str,
        run: Run,
        say: Callable[[str], None],
        remaining: Callable[[], tuple[Stay, ...]],
    ) -> None:
        from crowdpoint.counts.database import Database

        self._database, self._remaining = Database(location, run, say), remaining

    def take(self, frame: Frame, sighting: Sighting) -> None:
        """Takes what was seen on a frame."""
        del frame
        self._database.add(sighting.count, sighting.alerts, sighting.crossings, sighting.stays)

    def close(self) -> None:
        """Takes those who are still there, and writes what waits."""
        self._database.add_stays(self._remaining())
        self._database.close()


class PictureOutlet:
    """Writes a video of the frames that were counted, with what was seen on them.

    Raises:
        ConfigError: if the ending is another.
        VideoError: if the file cannot be written.
    """

    def __init__(self, path: Path, rate: float, zones: Zones | None) -> None:
        self._writer = VideoWriter(path, rate)
        self._painter = Painter(zones)
        self.close = self._writer.close

    def take(self, frame: Frame, sighting: Sighting) -> None:
        """Paints a frame and appends it."""
        picture = self._painter.paint(
            frame.pixels, sighting.points, sighting.count, sighting.persons.tolist()
        )
        self._writer.write(picture, frame.seconds)


class AlertFile:
    """Appends alerts to a file, as JSON lines.

    A file that is moved away or deleted meanwhile, as programs that rotate logs do, is begun anew.

    Raises:
        StorageError: if the file cannot be written.
    """

    def __init__(self, path: Path, source: str) -> None:
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._source = path, source
        self._open()

    def take(self, frame: Frame, sighting: Sighting) -> None:
        """Appends the alerts of a frame."""
        del frame
        if sighting.alerts and not self._held.is_there():
            self.close()
            self._open()
        with storing(self._path):
            for alert in sighting.alerts:
                self._file.write(json.dumps(alert.record(self._source)) + "\n")

    def close(self) -> None:
        """Closes the file."""
        with storing(self._path):
            self._file.close()

    def _open(self) -> None:
        with storing(self._path):
            self._file = self._path.open("a", encoding="utf-8", buffering=1)
        self._held = HeldFile(self._path)


class AlertWebhook:
    """Posts alerts to a URL.

    Raises:
        ConfigError: if the URL is not one.
    """

    def __init__(self, url: str, source: str, say: Callable[[str], None]) -> None:
        self._webhook = Webhook(url, say)
        self._source = source
        self.close = self._webhook.close

    def take(self, frame: Frame, sighting: Sighting) -> None:
        """Queues the alerts of a frame."""
        del frame
        for alert in sighting.alerts:
            self._webhook.post(alert.record(self._source))
