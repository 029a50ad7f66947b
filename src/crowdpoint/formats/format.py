"""`Format`: name, file extensions, reader and writer of a point file format."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crowdpoint.formats.classes import Classes
from crowdpoint.points import Points

Field = Literal["scores", "sizes", "image_size", "names"]
"""Data that a file may store beside coordinates; `names` are image names with folder and extension."""

LABEL = "head"
"""Class name written in formats that have classes."""


@dataclass(frozen=True)
class Format:
    """A point file format.

    Attributes:
        name: name for users, such as `csv`.
        suffixes: lower-case file extensions with the dot.
        description: contents of a file, for the documentation.
        read: function that reads a file as image id -> Points, in its order, of the classes to keep; raises
            FormatError.
        write: function that writes image id -> Points (a single one for formats with one file per image);
            raises ValueError if the points cannot be stored.
        accepts: function that checks the content of an existing file, called if formats share its extension.
        holds: data stored beside coordinates; the rest is lost.
        whole_pixels: whether points are stored as pixel indices.
        needs: data required for every image with points.
        file_name: function from `plain_name` to the file name of an image; None if one file has all images.
    """

    name: str
    suffixes: tuple[str, ...]
    description: str
    read: Callable[[Path, Classes], dict[str, Points]]
    write: Callable[[Path, Mapping[str, Points]], None]
    accepts: Callable[[Path], bool] = lambda path: True  # noqa: ARG005  # the extension decides
    holds: frozenset[Field] = frozenset()
    whole_pixels: bool = False
    needs: frozenset[Field] = frozenset()
    file_name: Callable[[str], str] | None = None


def get_single(points: Mapping[str, Points]) -> tuple[str, Points]:
    """Return the only image and its points, or raise a ValueError if there is not exactly one."""
    if len(points) != 1:
        raise ValueError(
            f"expected one image, found {len(points)}; pass a folder to write one file per image"
        )
    return next(iter(points.items()))
