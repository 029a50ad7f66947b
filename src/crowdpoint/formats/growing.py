"""Files of points that grow by an image at a time and are whole after each, so that a kill loses nothing."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np

from crowdpoint import formats
from crowdpoint.errors import storing
from crowdpoint.formats import geopackage
from crowdpoint.points import Points
from crowdpoint.rasters import Place

_FRAMES = {
    ".csv": (None, b"", b""),
    ".json": (b"[\n", b",\n", b"\n]\n"),
    ".geojson": (b'{"type": "FeatureCollection", "features": [', b", ", b"]}\n"),
}
"""What a file has before its images, between them and behind them; None is its first line."""


class GrowingFile(Protocol):
    """A file of points to which images are added."""

    def add(self, image: str, points: Points, place: Place | None = None) -> None:
        """Write the points of one more image.

        Args:
            image: its id.
            points: its points.
            place: where it lies, which map coordinates need.

        Raises:
            FormatError: if they cannot be written.
            StorageError: if there is no room for them; the file stays as it was.
        """
        ...


def start(path: Path, *, on_map: bool) -> GrowingFile:
    """Start a file without images; a file of that name is replaced.

    Args:
        path: `.csv`, `.json` or `.geojson`, or on the map `.geojson` or `.gpkg`.
        on_map: whether it has map coordinates, as `formats.write_map` writes them.

    Raises:
        FormatError: if it cannot be written.
        StorageError: if the file that is there cannot be replaced.
    """
    return _GeoPackage(path) if path.suffix == ".gpkg" else _TextFile(path, on_map)


def append(path: Path, content: bytes, over: bytes = b"") -> None:
    """Write behind a file's last byte, or over what it ends with; leave the file as it was if that fails.

    Args:
        path: the file.
        content: what to write.
        over: the end of the file that the content takes the place of.

    Raises:
        StorageError: if it cannot be written.
    """
    with storing(path), path.open("r+b", buffering=0) as file:
        end = file.seek(-len(over), 2)
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            file.truncate(end)
            file.seek(end)
            file.write(over)
            raise


class _TextFile:
    def __init__(self, path: Path, on_map: bool) -> None:
        self._path, self._on_map = path, on_map
        self._points: dict[str, Points] = {}
        self._places: dict[str, Place] = {}
        self._head = b""
        self._write(path)

    def add(self, image: str, points: Points, place: Place | None = None) -> None:
        if not len(points) and any(known.sizes is not None for known in self._points.values()):
            points = replace(points, sizes=np.empty((0, 2), np.float32))  # keeps the columns of the others
        self._points[image] = points
        if place:
            self._places[image] = place
        with TemporaryDirectory() as folder:
            draft = Path(folder) / self._path.name
            self._write(draft, image)
            content = draft.read_bytes()
        _, between, tail = _FRAMES[self._path.suffix]
        head = self._head_of(content)
        if len(self._points) > 1 and head == self._head:
            append(self._path, between + content[len(head) :], over=tail)
        else:
            self._write(self._path)
            self._head = self._head_of(self._path.read_bytes())

    def _head_of(self, content: bytes) -> bytes:
        head, _, _ = _FRAMES[self._path.suffix]
        return content.partition(b"\n")[0] + b"\n" if head is None else head

    def _write(self, path: Path, image: str | None = None) -> None:
        """Write a file of every image, or of one."""
        points = self._points if image is None else {image: self._points[image]}
        if self._on_map:
            formats.write_map(path, points, self._places)
        else:
            formats.write(path, points)


class _GeoPackage:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._points: dict[str, Points] = {}
        self._places: dict[str, Place] = {}
        with storing(path):
            path.unlink(missing_ok=True)

    def add(self, image: str, points: Points, place: Place | None = None) -> None:
        if place is None:
            raise ValueError(f"place: expected that of {image}, found None")
        systems = list(dict.fromkeys(known.crs for known in self._places.values()))
        self._points[image], self._places[image] = points, place
        if place.crs in systems:
            with storing(self._path):
                geopackage.append(self._path, {image: points}, self._places, systems)
        else:
            formats.write_map(self._path, self._points, self._places)
