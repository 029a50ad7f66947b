"""Files that a run writes to for long, and that somebody may delete or replace meanwhile."""

from pathlib import Path

from crowdpoint.errors import StorageError, storing


class HeldFile:
    """A file that is open for writing.

    Once it is deleted or replaced, the system still takes what is written to it, and drops it in the end.

    Args:
        path: the file; it is there.
        name: what messages call it; the path by default.

    Raises:
        StorageError: if it is not there.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self._path, self._name = path, name or str(path)
        with storing(path):
            self._identity = _identity(path)

    def is_there(self) -> bool:
        """Whether the name still leads to the file."""
        try:
            return _identity(self._path) == self._identity
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # a share that is away for a moment; writing to it tells more

    def check(self) -> None:
        """Fail if the name no longer leads to the file.

        Raises:
            StorageError: if the file was deleted or replaced.
        """
        if not self.is_there():
            raise StorageError(
                f"{self._name}: the file was deleted or replaced while it was written, and what it held is "
                "lost; leave it alone until the run has ended"
            )


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
