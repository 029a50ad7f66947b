"""Write output files atomically, watch open ones, and lock output folders against other processes."""

import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout

from crowdpoint.errors import ConfigError, StorageError, wrap_write_errors

LOCK, HOLDER = ".crowdpoint.lock", ".crowdpoint.holder"
"""Names of the lock file of an output folder, and of the file that describes the lock's owner."""

PICTURES = ("overlay", "heatmap", "blur", "panel", "proposals")
"""Folders of pictures in the output folder of `crowdpoint predict`."""


def check_suffix(path: Path, suffixes: Sequence[str]) -> None:
    """Check that a file name has one of these extensions in any case, or raise a ConfigError."""
    if path.suffix.lower() not in suffixes:
        raise ConfigError(f"{path}: expected a file name ending in {' or '.join(suffixes)}")


@contextmanager
def write_atomically(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """Yield a temporary path, and on success move its file, and any files beside it, to `path`.

    The temporary path is in a new folder with a random name beside `path`. On failure, the folder is removed
    and `path` stays unchanged.

    Args:
        path: the file to write or replace; links are followed.
        sync: flush the files to disk, so that they survive a power failure.

    Raises:
        OSError: if the folder does not exist or is not writable, or a file cannot be replaced.
    """
    target = path.resolve()
    with TemporaryDirectory(prefix=".crowdpoint-", dir=target.parent) as folder:
        draft = Path(folder) / target.name
        yield draft
        # Move the file itself last, so that its companions exist when it appears.
        for file in sorted(Path(folder).rglob("*"), key=lambda file: (file == draft, file)):
            if file.is_file():
                if sync:
                    with file.open("rb+") as stream:
                        os.fsync(stream.fileno())
                destination = target.parent / file.relative_to(folder)
                destination.parent.mkdir(parents=True, exist_ok=True)
                file.replace(destination)


def write(path: Path, content: bytes) -> None:
    """Write or replace a file as a whole, and create its folder; raise a StorageError if that fails."""
    with wrap_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as draft:
            draft.write_bytes(content)


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Create a folder if needed, and lock it against other runs while the context is active.

    The operating system releases the lock when the process ends, even if it is killed. Removes the lock file
    from a folder without other files, and the folder and its parents if they are new and empty.

    Raises:
        StorageError: if another run has locked the folder, or it is not writable.
    """
    with wrap_write_errors(folder):
        created = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        holder = folder / HOLDER
        try:
            lock.acquire()
        except Timeout as error:
            raise StorageError(
                f"{folder}: another run is writing here ({_describe_holder(holder)}); wait for it to finish "
                "or choose another folder"
            ) from error
        owner = {"process": os.getpid(), "host": platform.node(), "command": Path(sys.argv[0]).name}
        with write_atomically(holder) as draft:
            draft.write_text(json.dumps(owner | {"arguments": sys.argv[1:2]}), encoding="utf-8")
    try:
        yield
    finally:
        holder.unlink(missing_ok=True)
        unused = folder.is_dir() and [path.name for path in folder.iterdir()] == [LOCK]
        if unused:
            with suppress(OSError):  # Windows deletes no open file; there, the release deletes it
                (folder / LOCK).unlink()
        lock.release()
        if unused:
            with suppress(OSError):  # another run may use the folder by now
                for path in created:
                    path.rmdir()


class WatchedFile:
    """An existing file that is open for writing, under its path or another name in messages.

    The system accepts writes to a deleted or replaced file, but the data is lost.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self._path, self._name = path, name or str(path)
        with wrap_write_errors(path):
            self._status = path.stat()

    def check(self) -> None:
        """Check that the path still refers to the file; raise a StorageError otherwise."""
        try:
            same = os.path.samestat(self._path.stat(), self._status)
        except (FileNotFoundError, NotADirectoryError):
            same = False
        except OSError:
            return  # a network share may be temporarily away; writing reports real errors
        if not same:
            raise StorageError(
                f"{self._name}: the file was deleted or replaced while it was written, and its data is lost; "
                "do not touch it until the run has ended"
            )


def _describe_holder(path: Path) -> str:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        command = " ".join((owner["command"], *owner["arguments"]))
        return f"{command}, process {owner['process']} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):  # not written yet
        return "process unknown"
