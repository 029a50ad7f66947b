"""Where the results of a run go: a table, a database, a video, and whoever wants to hear of alerts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from crowdpoint.counts.held import HeldFile
from crowdpoint.counts.tables import open_table
from crowdpoint.counts.values import Run
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
        self._table = open_table(path, () if zones is None else tuple(zone.name for zone in zones.zones))

    def take(self, frame: Frame, sighting: Sighting) -> None:
        """Appends a row."""
        del frame
        with storing(self._path):
            self._table.add(sighting.count)

    def close(self) -> None:
        """Finishes the file."""
        with storing(self._path):
            self._table.close()


class DatabaseOutlet:
    """Writes counts and alerts to a database.

    Raises:
        StorageError: if the database cannot be used.
    """

    def __init__(self, location: str, run: Run, say: Callable[[str], None]) -> None:
        from crowdpoint.counts.database import Database

        self._database = Database(location, run, say)
        self.close = self._database.close

    def take(self, frame: Frame, sighting: Sighting) -> None:
        """Takes the counts of a frame and its alerts."""
        del frame
        self._database.add(sighting.count, sighting.alerts)


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
        self._writer.write(self._painter.paint(frame.pixels, sighting.points, sighting.count), frame.seconds)


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
