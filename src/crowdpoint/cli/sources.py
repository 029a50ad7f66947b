"""Expand arguments of the command line (files, folders, globs and URLs) to a list of images."""

import glob
import os
import re
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from crowdpoint import folders
from crowdpoint.batch import inputs
from crowdpoint.names import escape
from crowdpoint.opening import storage
from crowdpoint.redaction import redact


@dataclass(frozen=True, slots=True)
class ImageLocation:
    """One image to read.

    Attributes:
        location: path or URL.
        name: name in tables: its path relative to the given folder, or a longer one where two would be equal.
        stem: path of its pictures: the name without its extension.

    No two sources of one `collect` have the same name, or the same stem even on a file system that ignores
    case.
    """

    location: str
    name: str
    stem: str

    @property
    def shown(self) -> str:
        """Location for results and messages, redacted and escaped."""
        return redact(escape(self.location))


@dataclass(frozen=True, slots=True)
class Sources:
    """Images that the arguments of a command refer to.

    Attributes:
        images: the images.
        missing: arguments without images -> reason.
        remarks: a line for each folder or glob with files that are left out, such as videos.
    """

    images: list[ImageLocation] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def collect(arguments: Iterable[str], exclude: Iterable[Path] = (), *, allow_vrt: bool = False) -> Sources:
    """Find the images that the arguments name, each once, in the order of the arguments.

    A folder expands to all images below it, in natural order (IMG_2 before IMG_10), and a glob to the images
    that match it, unless a file has that name. An explicit file may have any extension but a video's.

    Args:
        arguments: files, folders, globs, and URLs of web files or of files, folders and globs in stores.
        exclude: output folders, whose images folders and globs do not include.
        allow_vrt: whether folders and globs include virtual rasters.
    """
    excluded = [folder.resolve() for folder in exclude]
    suffixes = folders.IMAGE_SUFFIXES | (folders.VRT_SUFFIXES if allow_vrt else frozenset())
    seen: set[str] = set()
    places: list[tuple[str, str]] = []
    sources = Sources()
    for argument in arguments:
        left_out: Counter[str] = Counter()
        found = list(_expand(argument, excluded, sources.missing, left_out, suffixes))
        remark = inputs.describe_left_out(left_out)
        if not found:
            sources.missing.setdefault(argument, _explain_missing(argument, remark))
        elif remark:
            sources.remarks.append(f"{argument}: {remark}")
        for location, name in found:
            identity = location if storage.is_url(location) else str(Path(location).resolve())
            if identity not in seen:
                seen.add(identity)
                places.append((location, name))
    names: set[str] = set()
    stems: set[str] = set()
    for (location, _), name in zip(places, _prepend_folders(places), strict=True):
        path = PurePosixPath(escape(name))
        stem = _make_unique(path.with_suffix(""), stems, str.casefold)
        sources.images.append(ImageLocation(location, _make_unique(path, names, str), stem))
    return sources


def _prepend_folders(places: list[tuple[str, str]]) -> list[str]:
    """Prepend to equal names as many of their locations' folders as tell them apart.

    Args:
        places: location and name of each image.
    """
    names = [name for _, name in places]
    while True:
        counts = Counter(names)
        equal = [index for index, name in enumerate(names) if counts[name] > 1]
        longer = {index: _prepend_folder(places[index][0], names[index]) for index in equal}
        if all(longer[index] == names[index] for index in equal):
            return names
        for index in equal:
            names[index] = longer[index]


def _prepend_folder(location: str, name: str) -> str:
    """Prepend the next folder of a location to a name; return the name if there is none left."""
    if storage.is_url(location):
        path = _to_relative_path(urllib.parse.unquote(storage.extract_path(location)))
        above = [_replace_unusual(folder) for folder in path.split("/")[:-1]]
    else:
        # Without links, whose targets have other names than the user knows.
        above = list(Path(os.path.abspath(location)).parts[1:-1])  # noqa: PTH100
    known = name.count("/")
    return f"{above[-known - 1]}/{name}" if known < len(above) else name


def _expand(
    argument: str,
    excluded: list[Path],
    missing: dict[str, str],
    left_out: Counter[str],
    suffixes: frozenset[str],
) -> Iterator[tuple[str, str]]:
    """Yield the location and name of each image of an argument; count the files left out by extension."""
    if storage.is_web(argument):
        if not inputs.is_video(argument):
            yield argument, _extract_name(argument)
        return
    if storage.is_url(argument):
        location = storage.resolve_location(argument)
        if not storage.is_local(location):
            yield from _expand_store(location, left_out)
            return
        argument = location
    path = Path(argument)
    if os.path.isdir(argument):  # noqa: PTH112  False for a name that is too long, too
        below = map(Path, inputs.walk(argument, missing, left_out))
        for file in _filter_images(below, excluded, left_out, suffixes):
            yield str(file), file.relative_to(path).as_posix()
    elif os.path.exists(argument) and not inputs.is_video(argument):  # noqa: PTH110
        yield argument, path.name
    elif glob.has_magic(argument):
        matching = map(Path, glob.iglob(argument, recursive=True))  # noqa: PTH207  may be absolute
        for file in _filter_images(matching, excluded, left_out, suffixes):
            yield str(file), file.name


def _expand_store(location: str, left_out: Counter[str]) -> Iterator[tuple[str, str]]:
    found = inputs.collect([location])
    left_out.update(found.left_out)
    left_out.update(PurePosixPath(video).suffix.lower() for video in found.videos)
    for image in found.images:
        below = image.startswith(f"{location}/")
        yield image, _to_relative_path(image.removeprefix(f"{location}/")) if below else _extract_name(image)


def _explain_missing(argument: str, remark: str) -> str:
    """Explain why an argument has no images; `remark` describes the files that are left out."""
    path = storage.resolve_location(argument) if storage.is_url(argument) else argument
    if os.path.isdir(path):  # noqa: PTH112  as in `_expand`
        return f"no images in this folder{'; ' * bool(remark)}{remark}"
    exists = os.path.exists(path) or (remark and not glob.has_magic(argument))  # noqa: PTH110
    is_file = exists or storage.is_web(argument)
    if is_file and inputs.is_video(argument):
        return inputs.explain_video(argument)
    return f"nothing matches that can be read; {remark}" if remark else "not found"


def _extract_name(url: str) -> str:
    name = re.split(r"[/\\]", urllib.parse.unquote(storage.extract_path(url)))[-1]
    return _replace_unusual(name).strip(". ") or "image"


def _replace_unusual(name: str) -> str:
    return re.sub(r"[^\w. -]", "_", name)


def _to_relative_path(key: str) -> str:
    """Convert the key of a store, which may be any text, to a path that stays below any folder."""
    return "/".join(part for part in re.split(r"[/\\]", key) if part not in ("", ".", ".."))


def _filter_images(
    files: Iterable[Path], excluded: list[Path], left_out: Counter[str], suffixes: frozenset[str]
) -> list[Path]:
    found = [f for f in files if folders.is_listed(f.name, inputs.KNOWN_SUFFIXES) and f.is_file()]
    if excluded:
        found = [f for f in found if not any(f.resolve().is_relative_to(folder) for folder in excluded)]
    left_out.update(f.suffix.lower() for f in found if f.suffix.lower() not in suffixes)
    readable = [f for f in found if f.suffix.lower() in suffixes]
    return sorted(readable, key=lambda path: folders.natural_sort_key(str(path)))


def _make_unique(path: PurePosixPath, taken: set[str], fold: Callable[[str], str]) -> str:
    """Return the path, with a number before its extension if it is taken, as `fold` compares paths."""
    unique, number = path, 1
    while fold(str(unique)) in taken:
        number += 1
        unique = path.with_stem(f"{path.stem}-{number}")
    taken.add(fold(str(unique)))
    return str(unique)
