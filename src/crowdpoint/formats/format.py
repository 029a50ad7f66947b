"""What a format of point files is: a name, the endings of its files, a reader and a writer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crowdpoint.points import Points

Part = Literal["scores", "sizes", "image_size", "names"]
"""What a file may tell beside coordinates: scores, boxes, image sizes, image names with folder and ending."""

LABEL = "head"
"""The class of every point in formats that have classes; on reading, all classes are taken."""


@dataclass(frozen=True)
class Format:
    """One format of point files, for one image or for many.

    Attributes:
        name: what users call it, such as `csv`.
        suffixes: endings of its files, in lower case with the dot.
        description: what a file holds, in half a sentence.
        read: reads a file as image id -> Points, in the file's order; raises FormatError.
        write: writes image id -> Points, just one where a file holds one image; a ValueError says what
            cannot be written.
        accepts: whether an existing file's content looks like this format; asked only where several
            formats share an ending.
        holds: what is written beside the coordinates; the rest is lost.
        whole_pixels: whether points are written as the indices of their pixels.
        needs: what every image with points must have to be written.
        file_name: the name of an image's file from `plain_name`; None where one file holds all images.
    """

    name: str
    suffixes: tuple[str, ...]
    description: str
    read: Callable[[Path], dict[str, Points]]
    write: Callable[[Path, Mapping[str, Points]], None]
    accepts: Callable[[Path], bool] = lambda path: True  # noqa: ARG005  # by its ending alone
    holds: frozenset[Part] = frozenset()
    whole_pixels: bool = False
    needs: frozenset[Part] = frozenset()
    file_name: Callable[[str], str] | None = None


def only(points: Mapping[str, Points]) -> tuple[str, Points]:
    """The image of a file that holds one.

    Raises:
        ValueError: if there are more or none.
    """
    if len(points) != 1:
        raise ValueError(f"expected one image, found {len(points)}; name a folder to get a file for each")
    return next(iter(points.items()))
