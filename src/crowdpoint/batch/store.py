"""The output of a batch: two tables of Parquet files, and a manifest of what they were made with.

An image is done when it is in a file of one of the tables. Files appear whole, one after the other and
written by one process, so that after a kill at any moment the tables say exactly what is left to do.
"""

import json
from collections.abc import Container, Iterator
from typing import TYPE_CHECKING, Any

from crowdpoint.batch.parts import Part, failures_file, read_failures
from crowdpoint.errors import BatchError, ConfigError
from crowdpoint.opening import storage
from crowdpoint.version import __version__

if TYPE_CHECKING:
    from crowdpoint.batch.model import Model

MANIFEST = "manifest.json"


class Store:
    """An output folder, here or in an object store.

    Args:
        output: a path, or a URL of any fsspec protocol.
        model: what its predictions are made with.

    Attributes:
        location: where it is.

    Raises:
        ConfigError: if the output was made with other weights or options, or cannot be used.
        BatchError: if it cannot be read or written.
    """

    def __init__(self, output: str, model: "Model") -> None:
        self.location = storage.located(output)
        self._files = storage.filesystem(self.location)
        record = model.record()
        known = self._manifest()
        if known is None:
            self._begin(record)
        elif {key: known.get(key) for key in record} != record:
            raise ConfigError(
                f"{self.location}: holds predictions of {_words(known)}, and these would be of "
                f"{_words(record)}; repeat the command with those settings, or choose another OUTPUT"
            )

    def images(self, table: str) -> Iterator[list[str]]:
        """The images in a table, file by file.

        Raises:
            BatchError: if a file cannot be read.
        """
        from pyarrow import dataset

        paths = self._parts(table)
        if not paths:
            return
        try:
            batches = dataset.dataset(paths, filesystem=self._files, format="parquet").to_batches(["image"])
            for batch in batches:
                yield batch.column("image").to_pylist()
        except Exception as error:  # each protocol has errors of its own
            raise BatchError(
                f"{self.location}/{table}: cannot be read: {error}; if a file is damaged, delete it, and its "
                "images are predicted again"
            ) from error

    def forget_failures(self, images: Container[str]) -> None:
        """Takes the images out of the table `failures`, so that they are to be done again.

        Raises:
            BatchError: if a file cannot be read or replaced.
        """
        for path in self._parts("failures"):
            try:
                rows = read_failures(self._files.cat_file(path))
                kept = [(image, error) for image, error in rows if image not in images]
                name = path.rpartition("/")[2]
                if not kept:
                    self._files.rm_file(path)
                elif len(kept) < len(rows):
                    storage.write(f"{self.location}/failures/{name}", failures_file(kept))
            except Exception as error:  # each protocol has errors of its own
                raise BatchError(f"{self.location}: {path} cannot be replaced: {error}") from error

    def write(self, part: Part) -> None:
        """Adds the files of a chunk.

        Raises:
            BatchError: if they cannot be written.
        """
        for table, content in (("failures", part.failures), ("points", part.points)):
            if content:
                self._write(f"{table}/{part.name}.parquet", content)

    def _manifest(self) -> dict[str, Any] | None:
        path = f"{self.location}/{MANIFEST}"
        try:
            content = self._files.cat_file(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # each protocol has errors of its own
            raise BatchError(f"{path}: cannot be read: {error}") from error
        try:
            return dict(json.loads(content))
        except ValueError as error:
            raise ConfigError(f"{path}: expected the JSON of an earlier batch, found {error}") from error

    def _begin(self, record: dict[str, Any]) -> None:
        for table in ("points", "failures"):
            if self._parts(table):
                raise ConfigError(
                    f"{self.location}: holds files of {table}, and no {MANIFEST} that says what they were "
                    "made with; choose another OUTPUT"
                )
            try:
                storage.make_folder(f"{self.location}/{table}")
            except OSError as error:
                raise ConfigError(
                    f"{self.location}: cannot be made a folder ({error.strerror}); choose another OUTPUT"
                ) from error
        content = json.dumps({"crowdpoint": __version__} | record, indent=1) + "\n"
        self._write(MANIFEST, content.encode())

    def _parts(self, table: str) -> list[str]:
        """The paths of a table's files, as their file system calls them."""
        self._files.invalidate_cache()
        try:
            # Not a glob: the location may hold what is a wildcard there.
            found: list[str] = self._files.ls(f"{self.location}/{table}", detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except Exception as error:  # each protocol has errors of its own
            raise BatchError(f"{self.location}: cannot be listed: {error}") from error
        return sorted(path for path in found if path.endswith(".parquet"))

    def _write(self, name: str, content: bytes) -> None:
        try:
            storage.write(f"{self.location}/{name}", content)
        except Exception as error:  # each protocol has errors of its own
            raise BatchError(
                f"{self.location}/{name}: cannot be written: {error}; what is finished is kept, and the same "
                "command goes on"
            ) from error


def _words(record: dict[str, Any]) -> str:
    """The model, the threshold, the scale and the settings, for people."""
    weights = str(record.get("weights"))[:12]
    settings = ", ".join(f"{key}={value}" for key, value in (record.get("settings") or {}).items())
    return (
        f"{record.get('model')} (weights {weights}…) at threshold {record.get('threshold')} "
        f"and scale {record.get('scale')}{settings and f' with {settings}'}"
    )
