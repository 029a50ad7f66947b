"""Store the output of a batch: two tables of Parquet files, and a manifest with the model and settings.

An image is finished when it is in either table. A single process writes whole files, so that the tables stay
consistent after a kill at any moment.
"""

import json
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pyarrow import dataset
from pydantic import TypeAdapter

from crowdpoint.batch.model import PortableModel
from crowdpoint.batch.parts import ChunkResult, decode_failures, encode_failures
from crowdpoint.errors import BatchError, ConfigError
from crowdpoint.opening import storage
from crowdpoint.redaction import redact
from crowdpoint.version import __version__

MANIFEST = "manifest.json"

_MANIFEST = TypeAdapter(dict[str, Any])


class Store:
    """An output folder, local or in an object store.

    Args:
        output: a path, or a URL of any fsspec protocol.
        model: model of the predictions.

    Attributes:
        location: location of the folder.

    Raises:
        ConfigError: if the output was created with other weights or options, or cannot be used.
        BatchError: if it cannot be read or written.
    """

    def __init__(self, output: str, model: PortableModel) -> None:
        self.location = storage.resolve_location(output)
        self._name = redact(self.location)
        self._files = storage.create_filesystem(self.location)
        record = model.to_record()
        known = self._read_manifest()
        if known is None:
            self._create(record)
        elif differing := [key for key, value in record.items() if known.get(key) != value]:
            raise ConfigError(
                f"{self._name}: contains predictions with {_describe(known, differing)}, expected "
                f"{_describe(record, differing)}; use the same settings, or choose another OUTPUT"
            )

    def images(self, table: str) -> Iterator[list[str]]:
        """Yield the images in a table, file by file."""
        if not (paths := self._list_parts(table)):
            return
        mend = "; delete damaged files to predict their images again"
        with self._wrap_errors(f"/{table}: cannot be read", mend):
            batches = dataset.dataset(paths, filesystem=self._files, format="parquet").to_batches(["image"])
            for batch in batches:
                yield batch.column("image").to_pylist()

    def remove_failures(self, images: Container[str]) -> None:
        """Remove images from the table `failures`, so that they are repeated."""
        for path in self._list_parts("failures"):
            name = path.rpartition("/")[2]
            with self._wrap_errors(f"/failures/{name}: cannot be replaced"):
                rows = decode_failures(self._files.cat_file(path))
                kept = [(image, error) for image, error in rows if image not in images]
                if not kept:
                    self._files.rm_file(path)
                elif len(kept) < len(rows):
                    storage.write(f"{self.location}/failures/{name}", encode_failures(kept))

    def write(self, part: ChunkResult) -> None:
        """Write the files of a chunk."""
        for table, content in (("failures", part.failures), ("points", part.points)):
            if content:
                self._write(f"{table}/{part.name}.parquet", content)

    def _read_manifest(self) -> dict[str, Any] | None:
        with self._wrap_errors(f"/{MANIFEST}: cannot be read"):
            try:
                content = self._files.cat_file(f"{self.location}/{MANIFEST}")
            except (FileNotFoundError, NotADirectoryError):
                return None
        try:
            return _MANIFEST.validate_json(content)
        except ValueError as error:
            raise ConfigError(
                f"{self._name}/{MANIFEST}: expected the JSON of an earlier batch, found none; "
                "choose another OUTPUT"
            ) from error

    def _create(self, record: dict[str, Any]) -> None:
        for table in ("points", "failures"):
            if self._list_parts(table):
                raise ConfigError(
                    f"{self._name}: contains {table}, but no {MANIFEST} that describes their model; "
                    "choose another OUTPUT"
                )
            try:
                storage.make_folder(f"{self.location}/{table}")
            except OSError as error:
                raise ConfigError(
                    f"{self._name}: cannot be created ({error.strerror}); choose another OUTPUT"
                ) from error
        content = json.dumps({"crowdpoint": __version__} | record, indent=1) + "\n"
        self._write(MANIFEST, content.encode())

    def _list_parts(self, table: str) -> list[str]:
        self._files.invalidate_cache()
        with self._wrap_errors(": cannot be listed"):
            try:
                # Not a glob, because the location may contain wildcards.
                found: list[str] = self._files.ls(f"{self.location}/{table}", detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(path for path in found if path.endswith(".parquet"))

    def _write(self, name: str, content: bytes) -> None:
        mend = "; finished images are saved, and the same command resumes"
        with self._wrap_errors(f"/{name}: cannot be written", mend):
            storage.write(f"{self.location}/{name}", content)

    @contextmanager
    def _wrap_errors(self, what: str, mend: str = "") -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each protocol has its own errors
            reason = redact(str(error), self.location)
            raise BatchError(f"{self._name}{what}: {reason}{mend}") from error


def _describe(record: dict[str, Any], keys: Iterable[str]) -> str:
    """Describe these keys of a manifest, such as `threshold 0.3, max_side none`."""

    def describe(value: object) -> str:
        match value:
            case str():
                return value if len(value) < 64 else f"{value[:12]}…"  # the weights' SHA-256
            case dict():
                return " ".join(f"{key}={inner}" for key, inner in value.items()) or "none"
        return "none" if value is None else str(value)

    return ", ".join(f"{key} {describe(record.get(key))}" for key in keys)
