"""Detect that an output file was deleted or replaced during a run."""

from pathlib import Path

from crowdpoint.errors import StorageError, wrap_write_errors


class WatchedFile:
    """An existing file that is open for writing, under its path or another name in messages.

    The system accepts writes to a deleted or replaced file, but the data is lost.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self._path, self._name = path, name or str(path)
        with wrap_write_errors(path):
            self._identity = _identify(path)

    def check(self) -> None:
        """Check that the path still refers to the file."""
        try:
            found = _identify(self._path)
        except (FileNotFoundError, NotADirectoryError):
            found = None
        except OSError:
            return  # a network share may be temporarily away; writing reports real errors
        if found != self._identity:
            raise StorageError(
                f"{self._name}: the file was deleted or replaced while it was written, and its data is lost; "
                "do not touch it until the run has ended"
            )


def _identify(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
