"""What the user names as a batch's input, as locations of images: folders, globs, files and URLs."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from crowdpoint.errors import BatchError, ConfigError, CrowdpointError
from crowdpoint.folders import is_listed
from crowdpoint.images import IMAGE_SUFFIXES
from crowdpoint.names import escape
from crowdpoint.opening.storage import filesystem, is_local, located


@dataclass(frozen=True, slots=True)
class Found:
    """What a batch's input stands for.

    Attributes:
        images: locations, each once, in the order of the input; the values mean nothing.
        missing: a line for each argument that stands for nothing, and each folder that cannot be listed.
    """

    images: dict[str, None] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def collect(arguments: Iterable[str]) -> Found:
    """Finds the images that the arguments name, each once.

    A folder stands for all images below it; a glob that is not itself a file for the images that match
    it. A file named outright is taken whatever its suffix.

    Args:
        arguments: paths, globs, and URLs of any fsspec protocol, of files, folders or globs.

    Raises:
        ConfigError: if a protocol is unknown, or its package is not installed.
        BatchError: if a store cannot be listed.
    """
    found = Found()
    for argument in arguments:
        before = len(found.missing)
        several = False
        try:
            for image in _expand(argument, found.missing):
                several = True
                if _is_text(image):
                    found.images[image] = None
                else:
                    found.missing.append(f"{escape(image)}: a name that is not UTF-8; rename the file")
        except CrowdpointError:
            raise
        except Exception as error:  # each protocol has errors of its own
            raise BatchError(f"{argument}: cannot be listed: {type(error).__name__}: {error}") from error
        if not several and len(found.missing) == before:
            found.missing.append(f"{argument}: no such file, and no folder or glob with images")
    return found


def _is_text(name: str) -> bool:
    """Whether a file's name is what tables and other machines can hold."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _expand(argument: str, missing: list[str]) -> Iterator[str]:
    location = located(argument)
    store = filesystem(location)
    kind = _kind(store, location)
    if kind == "file":
        yield location
    elif kind == "directory":
        below = _walk(location, missing) if is_local(location) else store.find(location)
        yield from _images(store, location, below)
    elif glob.has_magic(location):
        # What is before the first folder with a wildcard is common to the pattern and to all it matches.
        start = location[: next(at for at, letter in enumerate(location) if letter in "*?[")]
        root = start.rpartition("/")[0]
        if root.endswith(":/"):
            raise ConfigError(f"{argument}: expected a bucket or a folder before the first wildcard")
        yield from _images(store, root, store.glob(location))


def _kind(store: Any, location: str) -> str | None:
    try:
        kind: str = store.info(location)["type"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    return kind


def _walk(folder: str, missing: list[str]) -> Iterator[str]:
    """Every file below a folder of this machine; fsspec would pass over folders that it may not read."""

    def note(error: OSError) -> None:
        missing.append(f"{error.filename}: cannot be listed ({error.strerror})")

    for path, folders, names in os.walk(folder, onerror=note):
        folders.sort()
        yield from (f"{path}/{name}" for name in sorted(names))


def _images(store: Any, root: str, paths: Iterable[str]) -> Iterator[str]:
    """The locations of the image files among a store's paths below `root`, without hidden ones."""
    local = is_local(root)
    bare = len(store._strip_protocol(root).rstrip("/"))
    for path in paths:
        if not is_listed(path.rpartition("/")[2], IMAGE_SUFFIXES):
            continue
        if not local:
            yield root + path[bare:]  # a store leaves protocol and host out of its paths
        elif os.path.isfile(path):  # noqa: PTH113  as a string: there may be millions
            yield os.path.realpath(path) if os.path.islink(path) else path  # noqa: PTH114
