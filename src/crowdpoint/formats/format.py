"""What a format of point files is: a name, the endings of its files, a reader and perhaps a writer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from crowdpoint.points import Points


@dataclass(frozen=True)
class Format:
    """One format of point files, for one image or for many.

    Attributes:
        name: what users call it, such as `csv`.
        suffixes: endings of its files, in lower case with the dot.
        description: what a file holds, in half a sentence.
        read: reads a file as image id -> Points, in the file's order; raises FormatError.
        accepts: whether an existing file's content looks like this format; asked only where several
            formats share an ending.
        write: writes image id -> Points, None where the format is only read.
    """

    name: str
    suffixes: tuple[str, ...]
    description: str
    read: Callable[[Path], dict[str, Points]]
    accepts: Callable[[Path], bool] = lambda path: True  # noqa: ARG005  # by its ending alone
    write: Callable[[Path, Mapping[str, Points]], None] | None = None
