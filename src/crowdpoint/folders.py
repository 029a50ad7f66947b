"""What a folder of files stands for, and in which order."""

import os
import re
from collections.abc import Container
from pathlib import Path


def is_listed(name: str, suffixes: Container[str]) -> bool:
    """Whether a folder stands for its file of this name, by the ending.

    Hidden files, such as macOS's `._photo.jpg`, are left out.
    """
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes  # noqa: PTH122  no path


def files_in(folder: Path, suffixes: Container[str]) -> list[Path]:
    """The files that a folder itself stands for, in the order of their bytes.

    Raises:
        OSError: if the folder cannot be listed.
    """
    return [path for path in sorted(folder.iterdir()) if is_listed(path.name, suffixes)]


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key by which numbers inside names count as numbers: IMG_2 before IMG_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
