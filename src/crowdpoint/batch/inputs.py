"""Expand the input of a batch (folders, globs, files and URLs) to locations of images."""

import glob
import os
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from crowdpoint.errors import BatchError, ConfigError, CrowdpointError
from crowdpoint.folders import IMAGE_SUFFIXES, VRT_SUFFIXES, is_hidden, is_listed
from crowdpoint.names import escape
from crowdpoint.opening.storage import (
    create_filesystem,
    extract_path,
    is_local,
    is_url,
    is_web,
    resolve_location,
)
from crowdpoint.outputs import LOCK, PICTURES
from crowdpoint.redaction import redact

VIDEO_SUFFIXES = frozenset(
    {
        *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov"),
        *(".mp4", ".mpeg", ".mpg", ".mts", ".webm", ".wmv"),
    }
)
"""Lower-case extensions of videos, which `crowdpoint video` reads."""

PHOTO_SUFFIXES = frozenset(
    {
        *(".arw", ".avif", ".cr2", ".cr3", ".dng", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jpe", ".jxl"),
        *(".mpo", ".nef", ".orf", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".raf", ".rw2", ".tga"),
    }
)
"""Lower-case extensions of photos, supported or not; others are not reported as left out."""

DRAWN = "drawn by crowdpoint"
"""Description of the pictures in output folders of earlier runs, instead of an extension."""

KNOWN_SUFFIXES = IMAGE_SUFFIXES | VRT_SUFFIXES | PHOTO_SUFFIXES | VIDEO_SUFFIXES
"""Lower-case extensions of images and of what is reported as left out."""


@dataclass(frozen=True, slots=True)
class FoundImages:
    """Images of a batch's input.

    Attributes:
        images: unique locations as keys, in the order of the input.
        missing: message for each argument without images, and each folder that cannot be listed.
        videos: arguments that are videos.
        left_out: number of photos and videos in folders and globs that cannot be read, by extension.
    """

    images: dict[str, None] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    videos: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def collect(arguments: Iterable[str], *, allow_vrt: bool = False) -> FoundImages:
    """Find the images that the arguments refer to, without duplicates.

    A folder expands to all images below it, and a glob to the images that match it, unless a file has that
    name. An explicit file may have any extension but a video's.

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
        before = len(found.missing) + len(found.videos)
        several = False
        try:
            for image in _expand(argument, found, suffixes):
                several = True
                try:
                    image.encode()
                    found.images[image] = None
                except UnicodeEncodeError:
                    found.missing.append(f"{escape(image)}: the file name is not UTF-8; rename the file")
        except CrowdpointError:
            raise
        except Exception as error:  # each protocol has its own errors
            reason = redact(f"{type(error).__name__}: {error}", argument)
            raise BatchError(f"{redact(argument)}: cannot be listed: {reason}") from error
        if not several and len(found.missing) + len(found.videos) == before:
            found.missing.append(f"{argument}: no such file, folder with images or matching glob")
    return found


def _expand(argument: str, found: FoundImages, suffixes: frozenset[str]) -> Iterator[str]:
    location = resolve_location(argument)
    store = create_filesystem(location)
    try:
        kind = store.info(location)["type"]
    except (FileNotFoundError, NotADirectoryError):
        kind = None
    if kind == "file" and is_video(location):
        found.videos.append(argument)
    elif kind == "file":
        yield location
    elif kind == "directory":
        unreadable: dict[str, str] = {}
        below = walk(location, unreadable, found.left_out) if is_local(location) else store.find(location)
        yield from _filter_images(store, location, below, suffixes, found.left_out)
        found.missing.extend(f"{folder}: {reason}" for folder, reason in unreadable.items())
    elif glob.has_magic(location):
        # The folders before the first wildcard are common to all matches.
        start = location[: next(at for at, letter in enumerate(location) if letter in "*?[")]
        root = start.rpartition("/")[0]
        if root.endswith(":/"):
            raise ConfigError(f"{argument}: expected a bucket or a folder before the first wildcard")
        hidden = is_hidden(location, len(root))
        yield from _filter_images(store, root, store.glob(location), suffixes, found.left_out, hidden=hidden)


def walk(folder: str, unreadable: dict[str, str], left_out: Counter[str]) -> Iterator[str]:
    """Yield every file below a local folder, but hidden folders and the pictures in outputs of earlier runs.

    Adds folders that cannot be listed, with the reason, to `unreadable`, and what is left out to `left_out`.
    fsspec and pathlib would skip unreadable folders silently.
    """

    def note(error: OSError) -> None:
        unreadable[error.filename] = f"cannot be listed ({error.strerror})"

    for path, folders, names in os.walk(folder, onerror=note):
        drawn = set(PICTURES).intersection(folders) if LOCK in names else set()
        for name in drawn:
            left_out.update(DRAWN for _, _, files in os.walk(f"{path}/{name}") for _ in files)
        folders[:] = sorted(name for name in folders if name not in drawn and not is_hidden(name))
        yield from (f"{path}/{name}" for name in sorted(names))


def _filter_images(
    store: Any,
    root: str,
    paths: Iterable[str],
    suffixes: frozenset[str],
    left_out: Counter[str],
    *,
    hidden: bool = False,
) -> Iterator[str]:
    """Yield the locations of the image files among a store's paths below `root`, and count others.

    Leaves out hidden files, and unless `hidden` those in hidden folders.
    """
    local = is_local(root)
    bare = len(store._strip_protocol(root).rstrip("/"))
    for path in paths:
        if not hidden and is_hidden(path, bare):
            continue
        name = path.rpartition("/")[2]
        if not is_listed(name, suffixes):
            if is_listed(name, KNOWN_SUFFIXES):
                left_out[name[name.rindex(".") :].lower()] += 1
        elif not local:
            yield root + path[bare:]  # a store's paths lack protocol and host
        elif os.path.isfile(path):  # noqa: PTH113  strings are faster for millions of paths
            yield os.path.realpath(path) if os.path.islink(path) else path  # noqa: PTH114


def is_video(location: str) -> bool:
    """Check whether a path or URL has the extension of a video."""
    path = extract_path(location) if is_web(location) else location
    return PurePosixPath(path).suffix.lower() in VIDEO_SUFFIXES


def explain_video(argument: str) -> str:
    """Explain that a path or URL is a video, and which command reads it."""
    location = resolve_location(argument) if is_url(argument) else argument
    if is_web(location) or is_local(location):
        return f"is a video; count the people in it with: crowdpoint video {shlex.quote(redact(location))}"
    name = shlex.quote(PurePosixPath(location).name)
    return f"is a video; download it, then count the people in it with: crowdpoint video {name}"


def describe_left_out(left_out: Counter[str]) -> str:
    """Describe the files left out, as in `3 files are left out: 2 .heic, 1 .mp4`; empty without any."""
    if not left_out:
        return ""
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(left_out.items()))
    total = left_out.total()
    known = (
        (PHOTO_SUFFIXES, "save photos as JPEG to count them"),
        (VIDEO_SUFFIXES, "crowdpoint video counts videos"),
        (VRT_SUFFIXES, "--allow-vrt reads virtual rasters"),
        ({DRAWN}, "name their folder to count them"),
    )
    hints = [hint for suffixes, hint in known if suffixes & left_out.keys()]
    return f"{total} {'files are' if total > 1 else 'file is'} left out: {kinds} ({'; '.join(hints)})"
