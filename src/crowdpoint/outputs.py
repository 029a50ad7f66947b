"""Files and folders that commands write: whole or not at all, by one process at a time."""

import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout

from crowdpoint.errors import StorageError, storing

LOCK, HOLDER = ".crowdpoint.lock", ".crowdpoint.holder"
"""In a folder that is written to: the file that is locked, and what says by whom."""


@contextmanager
def replaced(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """Gives a path to write to; in the end, the file moves to `path`, and what was written beside it too.

    The draft is in a folder of its own with a name that nobody can foresee, beside the target. If writing
    fails, nothing of it is left, and what was at `path` before still is.

    Args:
        path: the file to write or to replace; a link is followed.
        sync: whether the files are to survive a power cut.

    Raises:
        OSError: if the folder does not exist or cannot be written to, or a file cannot be replaced.
    """
    target = path.resolve()
    with TemporaryDirectory(prefix=".crowdpoint-", dir=target.parent) as folder:
        draft = Path(folder) / target.name
        yield draft
        for file in sorted(Path(folder).rglob("*"), key=lambda file: (file == draft, file)):  # `path` last
            if file.is_file():
                if sync:
                    with file.open("rb+") as stream:
                        os.fsync(stream.fileno())
                moved = target.parent / file.relative_to(folder)
                moved.parent.mkdir(parents=True, exist_ok=True)
                file.replace(moved)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other runs out of a folder, which is made if there is none, for as long as the context lasts.

    The lock ends with the process, however that ends.

    Raises:
        StorageError: if another run holds the folder, which the message tells, or it cannot be written to.
    """
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        holder = folder / HOLDER
        try:
            lock.acquire()
        except Timeout as error:
            raise StorageError(
                f"{folder}: another run is writing here ({_holder(holder)}); wait for it, or choose another "
                "folder"
            ) from error
        me = {"process": os.getpid(), "host": platform.node(), "command": Path(sys.argv[0]).name}
        with replaced(holder) as draft:
            draft.write_text(json.dumps(me | {"arguments": sys.argv[1:2]}), encoding="utf-8")
    try:
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        command = " ".join((known["command"], *known["arguments"]))
        return f"{command}, process {known['process']} on {known['host']}"
    except (OSError, ValueError, KeyError, TypeError):  # it is just about to say so
        return "its process is not known"
