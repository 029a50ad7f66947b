"""What the user names on the command line, as a list of images: files, folders, globs and URLs."""

import glob
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from crowdpoint import folders, rasters
from crowdpoint.opening import storage


@dataclass(frozen=True, slots=True)
class Source:
    """One image to read.

    Attributes:
        location: the path or URL, as results call it.
        name: where its outputs go, relative to a folder and without a suffix; no two sources of one
            `collect` have the same, even on a file system that ignores case.
    """

    location: str
    name: str


def collect(arguments: Iterable[str], exclude: Iterable[Path] = ()) -> tuple[list[Source], list[str]]:
    """Finds the images that the arguments name, each once, in the order of the arguments.

    A folder stands for all images below it, in natural order (IMG_2 before IMG_10); a glob that is
    not itself a file stands for the images that match it. A file named outright is taken whatever
    its suffix.

    Args:
        arguments: files, folders, globs and http(s) URLs.
        exclude: folders whose images a folder or glob does not stand for: where outputs go.

    Returns:
        The sources, and a line for each argument that stands for nothing.
    """
    excluded = [folder.resolve() for folder in exclude]
    seen: set[str] = set()
    taken: set[str] = set()
    sources: list[Source] = []
    missing: list[str] = []
    for argument in arguments:
        found = list(_expand(argument, excluded))
        if not found:
            missing.append(
                f"{argument}: {'no images in this folder' if Path(argument).is_dir() else 'not found'}"
            )
        for location, name in found:
            identity = location if storage.is_url(location) else str(Path(location).resolve())
            if identity not in seen:
                seen.add(identity)
                sources.append(Source(location, _unique(name, taken)))
    return sources, missing


def _expand(argument: str, excluded: list[Path]) -> Iterator[tuple[str, str]]:
    """(location, name) of every image that one argument stands for."""
    path = Path(argument)
    if storage.is_url(argument):
        yield argument, _name_of(argument)
    elif path.is_dir():
        for file in _images(path.rglob("*"), excluded):
            yield str(file), file.relative_to(path).with_suffix("").as_posix()
    elif path.exists():
        yield argument, path.stem
    elif glob.has_magic(argument):
        for file in _images(map(Path, glob.iglob(argument, recursive=True)), excluded):  # noqa: PTH207  may be absolute
            yield str(file), file.stem


def _name_of(url: str) -> str:
    """A file name without suffix that is safe on every file system, whatever the server's path is."""
    path = urllib.parse.unquote(re.split(r"[?#]", url)[0].partition("://")[2].partition("/")[2])
    stem = PurePosixPath(re.split(r"[/\\]", path)[-1]).stem
    return re.sub(r"[^\w. -]", "_", stem).strip(". ") or "image"


def _images(files: Iterable[Path], excluded: list[Path]) -> list[Path]:
    """The image files among `files` in natural order, without hidden ones."""
    found = [f for f in files if folders.is_listed(f.name, rasters.FILE_SUFFIXES) and f.is_file()]
    if excluded:
        found = [f for f in found if not any(f.resolve().is_relative_to(folder) for folder in excluded)]
    return sorted(found, key=lambda path: folders.natural(str(path)))


def _unique(name: str, taken: set[str]) -> str:
    unique, number = name, 1
    while unique.casefold() in taken:
        number += 1
        unique = f"{name}-{number}"
    taken.add(unique.casefold())
    return unique
