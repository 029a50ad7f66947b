"""Read text files with path and line in error messages, and format values for writing."""

import math
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from crowdpoint import folders
from crowdpoint.errors import CrowdpointError, FormatError
from crowdpoint.points import FloatArray, Points

Entry = TypeVar("Entry")

_EXACT = 2.0**53  # all smaller integers are float64 numbers
_TOO_LARGE = (2 - 2**-24) * 2.0**127  # the smallest float64 that float32 rounds to infinity


@contextmanager
def wrap_read_errors(path: Path) -> Iterator[None]:
    """Convert errors of opening or reading `path` to FormatErrors."""
    try:
        yield
    except FileNotFoundError as error:
        raise FormatError(f"{path}: no such file or folder") from error
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from error


def list_regular_files(folder: Path, suffixes: Container[str]) -> list[Path]:
    """List files with `folders.list_files`, and refuse pipes and devices among them by a FormatError."""
    with wrap_read_errors(folder):
        found = folders.list_files(folder, suffixes)
    for path in found:
        if folders.is_special(path):
            raise FormatError(f"{path}: expected a file, found a pipe or a device; delete it")
    return found


@contextmanager
def locate_errors(
    path: object, place: int | str = "", kind: type[CrowdpointError] = FormatError
) -> Iterator[None]:
    """Convert a ValueError to a `kind` that names `path` and, if any, a line or another place in it."""
    try:
        yield
    except ValueError as error:
        raise kind(f"{path}{place and f':{place}'}: {error}") from error


def parse_images(
    path: Path, entries: Iterable[tuple[int | str, Entry]], parse: Callable[[Entry], tuple[str, Points]]
) -> dict[str, Points]:
    """Parse the entries of a file, each about one image, with their places for error messages."""
    points: dict[str, Points] = {}
    for place, entry in entries:
        with locate_errors(path, place):
            image, found = parse(entry)
            if image in points:
                raise ValueError(f"duplicate image {image}")
            points[image] = found
    return points


def build_points(rows: Sequence[Sequence[float]], image_size: tuple[int, int] | None) -> Points:
    """Build Points from rows of x, y and score, or of x, y, score, box width and box height.

    Sizes are lost if some rows have none.
    """
    if not rows:
        return Points.empty(image_size)
    fewest = min(map(len, rows))
    with np.errstate(over="ignore"):  # too large values become infinite, which Points rejects
        table = np.array([row[:fewest] for row in rows], np.float32)
    return Points(table[:, :2], table[:, 2], table[:, 3:] if table.shape[1] > 3 else None, image_size)


def read_text(path: Path) -> str:
    """Read a UTF-8 file, without the byte-order mark that spreadsheets add."""
    with wrap_read_errors(path):
        data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x}"
        raise FormatError(
            f"{path}:{line}: expected UTF-8 text, found {found}; save the file as UTF-8"
        ) from error


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the 1-based number and the text of each non-blank line."""
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if text and not text.isspace():
            yield line, text


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the 1-based number and the words of each non-blank line."""
    return ((line, text.split()) for line, text in read_lines(path))


def parse_number(value: object, name: str) -> float:
    """Convert `value` to a finite float within the range of float32, or raise a ValueError about `name`."""
    try:
        result = float(value)  # type: ignore[arg-type]  # raises for anything but numbers
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    if not abs(result) < _TOO_LARGE:
        raise ValueError(f"{name}: expected a finite number, found {value!r}")
    return result


def parse_numbers(text: str) -> npt.NDArray[np.float64]:
    """Convert the words of a text to finite numbers within the range of float32."""
    values = _parse_integers(text)
    if values is None:
        values = np.array(text.split(), np.float64)
    if not (np.abs(values) < _TOO_LARGE).all():
        raise ValueError("expected finite numbers, found NaN or infinity")
    return values


def _parse_integers(text: str) -> npt.NDArray[np.float64] | None:
    """Convert a text of integers, four times as fast as floats; None if it contains anything else."""
    padded = f" {text} "
    others = padded.encode().translate(None, b" -0123456789")
    if others or padded.isspace() or "- " in padded or padded.count("-") != padded.count(" -"):
        return None
    values = np.fromstring(text, np.int64, sep=" ").astype(np.float64)
    return values if (np.abs(values) < _EXACT).all() else None


def parse_integer(value: object, name: str) -> int:
    """Convert `value` to an integer of at least 0, or raise a ValueError about `name`."""
    result = parse_number(value, name)
    if result < 0 or result != int(result):
        raise ValueError(f"{name}: expected an integer of at least 0, found {value!r}")
    return int(result)


def shorten_floats(values: FloatArray) -> list[list[float]]:
    """Convert an (N, K) array to rows of floats that print with the digits of float32.

    >>> shorten_floats(np.array([[0.1]], np.float32))
    [[0.1]]
    """
    return [[float(str(value)) for value in row] for row in values]


def check_word(image: str) -> str:
    """Check that an image name is a single word, and return it."""
    if image.split() != [image]:
        raise ValueError(f"the image name {image!r} contains spaces or is empty; rename the image")
    return image
