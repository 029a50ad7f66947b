"""List the files of a folder in a defined order."""

import os
import re
import stat
from collections.abc import Container
from pathlib import Path

IMAGE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
        *(".jp2", ".avif", ".heic", ".heif"),
    }
)
"""Lower-case file extensions of the images that `images.read` decodes; HEIC files need the extra `heif`."""

VRT_SUFFIXES = frozenset({".vrt"})
"""Lower-case file extensions of virtual rasters, which need the caller's permission."""

_HIDDEN = re.compile(r"(^|/)\.(?!\.?(/|$))")
"""The dot of a hidden name; `.` and `..` are no names."""


def is_hidden(path: str, start: int = 0) -> bool:
    """Check whether a path has a hidden file or folder after position `start`, as macOS's `._photo.jpg`."""
    return _HIDDEN.search(path, start) is not None


def is_listed(name: str, suffixes: Container[str]) -> bool:
    """Check whether a file has one of the suffixes and is not hidden."""
    return not is_hidden(name) and os.path.splitext(name)[1].lower() in suffixes  # noqa: PTH122  a bare name


def list_files(folder: Path, suffixes: Container[str], *, below: bool = False) -> list[Path]:
    """List the files directly in a folder, or also `below` it, that have one of the suffixes, sorted by path.

    Leaves out hidden files and those in hidden folders below it.

    Raises:
        OSError: if the folder cannot be listed.
    """
    return [
        path
        for path in sorted(folder.rglob("*") if below else folder.iterdir())
        if path.suffix.lower() in suffixes and not is_hidden(path.relative_to(folder).as_posix())
    ]


def swap_folder(path: Path, old: str, new: str) -> Path | None:
    """Replace the last folder named `old` in the absolute path of a folder; None without one.

    >>> swap_folder(Path("/crowds/images/train"), "images", "labels").as_posix()
    '/crowds/labels/train'
    """
    parts = path.absolute().parts
    if old not in parts:
        return None
    last = len(parts) - 1 - parts[::-1].index(old)
    return Path(*parts[:last], new, *parts[last + 1 :])


def is_special(path: Path) -> bool:
    """Check whether a path is a pipe, a device or a link to one, which may have no end."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # opening it reports the reason
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def natural_sort_key(name: str) -> list[tuple[int, str]]:
    """Return a sort key that compares numbers inside names by value.

    >>> sorted(["IMG_10", "IMG_2"], key=natural_sort_key)
    ['IMG_2', 'IMG_10']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
