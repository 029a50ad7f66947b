"""What the user names on the command line, as a list of images: files, folders, globs and URLs."""

import glob
import http.client
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from crowdpoint import folders, images, rasters
from crowdpoint.errors import ImageError
from crowdpoint.version import __version__

BYTE_LIMIT = 256 << 20
"""The largest download in bytes."""

SILENCE_SECONDS = 30.0
"""How long a server may say nothing."""

DOWNLOAD_SECONDS = 120.0
"""How long one download may take."""


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

    @property
    def is_url(self) -> bool:
        """Whether it is fetched from a server."""
        return _is_url(self.location)

    @contextmanager
    def open(self) -> Iterator[npt.NDArray[np.uint8] | rasters.Raster]:
        """The image: (H, W, 3) uint8 RGB, or the open file if it is a raster.

        Raises:
            ImageError: if it cannot be fetched, opened or decoded.
            MissingExtraError: if it is a raster and the extra `geo` is not installed.
        """
        if not self.is_url and rasters.is_raster(self.location):
            with rasters.Raster(self.location) as raster:
                yield raster
        else:
            yield self.read()

    def read(self) -> npt.NDArray[np.uint8]:
        """The image decoded whole, (H, W, 3) uint8 RGB.

        Raises:
            ImageError: if it cannot be fetched or decoded.
        """
        if not self.is_url:
            return images.read(self.location)
        content = _fetch(self.location)
        try:
            return images.read(content)
        except ImageError as error:
            raise ImageError(f"{self.location}: {error}") from error


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
            identity = location if _is_url(location) else str(Path(location).resolve())
            if identity not in seen:
                seen.add(identity)
                sources.append(Source(location, _unique(name, taken)))
    return sources, missing


def _expand(argument: str, excluded: list[Path]) -> Iterator[tuple[str, str]]:
    """(location, name) of every image that one argument stands for."""
    path = Path(argument)
    if _is_url(argument):
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


def _is_url(location: str) -> bool:
    return location.lower().startswith(("http://", "https://"))


def _fetch(url: str) -> bytes:
    deadline = time.monotonic() + DOWNLOAD_SECONDS
    content = bytearray()
    try:
        request = urllib.request.Request(url, headers={"User-Agent": f"crowdpoint/{__version__}"})  # noqa: S310  _is_url
        with urllib.request.urlopen(request, timeout=SILENCE_SECONDS) as response:  # noqa: S310  _is_url
            while chunk := response.read1(1 << 16):
                content += chunk
                if len(content) > BYTE_LIMIT:
                    raise ImageError(
                        f"{url}: larger than the limit of {BYTE_LIMIT >> 20} MB; download it first"
                    )
                if time.monotonic() > deadline:
                    raise TimeoutError("the download takes too long")
            if response.length:  # http.client does not complain about a body that ends early in read1
                raise ImageError(f"{url}: the download ended {response.length} bytes early")
    except urllib.error.HTTPError as error:
        raise ImageError(f"{url}: the server answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise ImageError(f"{url}: cannot be fetched: {reason or type(error).__name__}") from error
    return bytes(content)
