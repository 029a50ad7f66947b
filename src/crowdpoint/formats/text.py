"""Text files: reading them with the path and the line in every complaint, and writing them."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crowdpoint.errors import FormatError
from crowdpoint.points import FloatArray

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""How a cell begins that spreadsheets run, or one that `cell` has marked already."""

_TOO_LARGE = (2 - 2**-24) * 2.0**127  # the least float64 that float32 rounds to infinity


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns the failure to open or read `path` into a FormatError."""
    try:
        yield
    except FileNotFoundError as error:
        raise FormatError(f"{path}: no such file") from error
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from error


@contextmanager
def at(path: Path, place: int | str) -> Iterator[None]:
    """Turns a ValueError about one line, or another place, of `path` into a FormatError that names it."""
    try:
        yield
    except ValueError as error:
        raise FormatError(f"{path}:{place}: {error}") from error


def read_text(path: Path) -> str:
    """The whole of a UTF-8 file, without the byte-order mark that spreadsheets put in front."""
    with reading(path):
        data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x}"
        raise FormatError(
            f"{path}:{line}: expected UTF-8 text, found {found}; save the file as UTF-8"
        ) from error


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The words of each line that is not blank, with the line's number from 1."""
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if words := text.split():
            yield line, words


def number(value: object, name: str) -> float:
    """`value` as a float that fits float32.

    Raises:
        ValueError: if it is no number, not finite or too large; the message starts with `name`.
    """
    try:
        result = float(value)  # type: ignore[arg-type]  # whatever is no number raises
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    if not abs(result) < _TOO_LARGE:
        raise ValueError(f"{name}: expected a finite number, found {value!r}")
    return result


def numbers(words: list[str]) -> npt.NDArray[np.float64]:
    """Many words as finite numbers that fit float32.

    Raises:
        ValueError: if one of them is anything else.
    """
    values = np.array(words, np.float64)
    if not (np.abs(values) < _TOO_LARGE).all():
        raise ValueError("expected finite numbers, found NaN or infinity")
    return values


def whole(value: object, name: str) -> int:
    """`value` as an integer of at least 0.

    Raises:
        ValueError: if it is anything else; the message starts with `name`.
    """
    result = number(value, name)
    if result < 0 or result != int(result):
        raise ValueError(f"{name}: expected a whole number of at least 0, found {value!r}")
    return int(result)


def cell(name: str) -> str:
    """A name for a cell of CSV, which a spreadsheet must not take for a formula: `=1` becomes `'=1`."""
    return f"'{name}" if _FORMULA.match(name) else name


def uncell(text: str) -> str:
    """The name that `cell` made a cell of."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def shortest(values: FloatArray) -> list[list[float]]:
    """The rows of an (N, K) array as floats that print with no more digits than float32 has."""
    return [[float(str(value)) for value in row] for row in values]


def word(image: str) -> str:
    """An image's name for a line of words.

    Raises:
        ValueError: if it is not one word.
    """
    if image.split() != [image]:
        raise ValueError(f"the image's name {image!r} is not one word, as the lines need; rename it")
    return image
