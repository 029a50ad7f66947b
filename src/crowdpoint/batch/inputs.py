"""Expand the input of a batch (folders, globs, files and URLs) to locations of images."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from crowdpoint.errors import BatchError, ConfigError, CrowdpointError
from crowdpoint.folders import IMAGE_SUFFIXES, VRT_SUFFIXES, is_listed
from crowdpoint.names import escape
from crowdpoint.opening.storage import create_filesystem, is_local, resolve_location


@dataclass(frozen=True, slots=True)
class FoundImages:
    """Images of a batch's input.

    Attributes:
        images: unique locations as keys, in the order of the input.
        missing: message for each argument without images, and each folder that cannot be listed.
    """

    images: dict[str, None] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def collect(arguments: Iterable[str], *, allow_vrt: bool = False) -> FoundImages:
    """Find the images that the arguments refer to, without duplicates.

    A folder expands to all images below it, and a glob to the images that match it, unless a file has that
    name. An explicit file may have any extension.

    Args:
        arguments: paths, globs, and URLs of any fsspec protocol, of files, folders or globs.
        allow_vrt: whether folders and globs include virtual rasters.

    Raises:
        ConfigError: if a protocol is unknown, or its package is not installed.
        BatchError: if a store cannot be listed.
    """
    found = FoundImages()
    suffixes = IMAGE_SUFFIXES | (VRT_SUFFIXES if allow_vrt else frozenset())
    for argument in arguments:
        before = len(found.missing)
        several = False
        try:
            for image in _expand(argument, found.missing, suffixes):
                several = True
                try:
                    image.encode()
                    found.images[image] = None
                except UnicodeEncodeError:
                    found.missing.append(f"{escape(image)}: the file name is not UTF-8; rename the file")
        except CrowdpointError:
            raise
        except Exception as error:  # each protocol has its own errors
            raise BatchError(f"{argument}: cannot be listed: {type(error).__name__}: {error}") from error
        if not several and len(found.missing) == before:
            found.missing.append(f"{argument}: no such file, folder with images or matching glob")
    return found


def _expand(argument: str, missing: list[str], suffixes: frozenset[str]) -> Iterator[str]:
    location = resolve_location(argument)
    store = create_filesystem(location)
    try:
        kind = store.info(location)["type"]
    except (FileNotFoundError, NotADirectoryError):
        kind = None
    if kind == "file":
        yield location
    elif kind == "directory":
        below = _walk(location, missing) if is_local(location) else store.find(location)
        yield from _filter_images(store, location, below, suffixes)
    elif glob.has_magic(location):
        # The folders before the first wildcard are common to all matches.
        start = location[: next(at for at, letter in enumerate(location) if letter in "*?[")]
        root = start.rpartition("/")[0]
        if root.endswith(":/"):
            raise ConfigError(f"{argument}: expected a bucket or a folder before the first wildcard")
        yield from _filter_images(store, root, store.glob(location), suffixes)


def _walk(folder: str, missing: list[str]) -> Iterator[str]:
    """Yield every file below a local folder; fsspec would skip unreadable folders silently."""

    def note(error: OSError) -> None:
        missing.append(f"{error.filename}: cannot be listed ({error.strerror})")

    for path, folders, names in os.walk(folder, onerror=note):
        folders.sort()
        yield from (f"{path}/{name}" for name in sorted(names))


def _filter_images(store: Any, root: str, paths: Iterable[str], suffixes: frozenset[str]) -> Iterator[str]:
    """Yield the locations of the non-hidden image files among a store's paths below `root`."""
    local = is_local(root)
    bare = len(store._strip_protocol(root).rstrip("/"))
    for path in paths:
        if not is_listed(path.rpartition("/")[2], suffixes):
            continue
        if not local:
            yield root + path[bare:]  # a store's paths lack protocol and host
        elif os.path.isfile(path):  # noqa: PTH113  strings are faster for millions of paths
            yield os.path.realpath(path) if os.path.islink(path) else path  # noqa: PTH114
