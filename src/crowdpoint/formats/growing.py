"""Write point files incrementally: a file is valid after every image, so that a kill loses nothing."""

from pathlib import Path
from tempfile import TemporaryDirectory

from crowdpoint import formats
from crowdpoint.errors import wrap_write_errors
from crowdpoint.formats import geopackage
from crowdpoint.points import Points
from crowdpoint.rasters import Georeference

_FRAMES = {
    ".csv": (None, b"", b""),
    ".json": (b"[\n", b",\n", b"\n]\n"),
    ".geojson": (b'{"type": "FeatureCollection", "features": [', b", ", b"]}\n"),
}
"""Prefix, separator and suffix of the images in a file; None means that the first line is the prefix."""


class GrowingFile:
    """A point file that grows by one image at a time. Replaces an existing file by one without images.

    Args:
        path: a `.csv`, `.json` or `.geojson` file; with map coordinates, a `.geojson` or `.gpkg` file.
        on_map: write map coordinates, as `formats.write_map` does.
    """

    def __init__(self, path: Path, *, on_map: bool) -> None:
        self._path, self._on_map = path, on_map
        self._points: dict[str, Points] = {}
        self._places: dict[str, Georeference] = {}
        self._head = b""
        if path.suffix == ".gpkg":
            with wrap_write_errors(path):
                path.unlink(missing_ok=True)
        else:
            self._write(path, self._points)

    def add(self, image: str, points: Points, place: Georeference | None = None) -> None:
        """Append the points of an image. Needs the image's georeference for map coordinates."""
        if self._on_map and place is None:
            raise ValueError(f"place: expected the georeference of {image}, found None")
        systems = list(dict.fromkeys(known.crs for known in self._places.values()))
        self._points[image] = points
        if place:
            self._places[image] = place
        if self._path.suffix != ".gpkg":
            self._append_text(image)
        elif self._places[image].crs in systems:
            with wrap_write_errors(self._path):
                geopackage.write_layer(self._path, {image: points}, self._places, systems, append=True)
        else:
            self._write(self._path, self._points)

    def _append_text(self, image: str) -> None:
        with TemporaryDirectory() as folder:
            draft = Path(folder) / self._path.name
            self._write(draft, {image: self._points[image]})
            content = draft.read_bytes()
        _, between, tail = _FRAMES[self._path.suffix]
        head = self._find_head(content)
        if len(self._points) > 1 and head == self._head:
            append(self._path, between + content[len(head) :], over=tail)
        else:
            self._write(self._path, self._points)
            self._head = self._find_head(self._path.read_bytes())

    def _find_head(self, content: bytes) -> bytes:
        head, _, _ = _FRAMES[self._path.suffix]
        return content.partition(b"\n")[0] + b"\n" if head is None else head

    def _write(self, path: Path, points: dict[str, Points]) -> None:
        if self._on_map:
            formats.write_map(path, points, self._places)
        else:
            formats.write(path, points)


def append(path: Path, content: bytes, over: bytes = b"") -> None:
    """Append to a file, optionally overwriting its last bytes. On failure, restores the file.

    `over` are the last bytes of the file, which `content` overwrites.
    """
    with wrap_write_errors(path), path.open("r+b", buffering=0) as file:
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
