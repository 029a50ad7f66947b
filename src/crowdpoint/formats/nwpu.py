"""The point files of the NWPU-Crowd benchmark and of FIDTM: one image a line, named by a number.

Their coordinates are indices of pixels, not distances from the image's corner as elsewhere in crowdpoint:
index i is read as i + 0.5, the centre of its pixel, and a point at x is written as floor(x), its pixel.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crowdpoint.errors import FormatError
from crowdpoint.formats import pixels
from crowdpoint.formats.format import Format
from crowdpoint.formats.text import at, numbers, rows, whole, word
from crowdpoint.points import Points

WholeArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Truth:
    """The annotated heads of one image.

    Attributes:
        points: N points.
        sigma_s: (N,) the strict matching radius of each head in pixels, half the shorter side of its box
            (FIDTM, Eq. 9).
        sigma_l: (N,) the loose radius in pixels, half the diagonal of its box (FIDTM, Eq. 10).
        levels: (N,) the benchmark's class of head size, from 0.
    """

    points: Points
    sigma_s: npt.NDArray[np.float64]
    sigma_l: npt.NDArray[np.float64]
    levels: npt.NDArray[np.int64]


def read_truth(path: Path) -> dict[str, Truth]:
    """Reads ground truth, lines `id n (x y sigma_s sigma_l level)…`, as image id -> Truth.

    Raises:
        FormatError: if the file cannot be read, with the line.
    """
    truth = {}
    for image, line, table in _tables(path, columns=5):
        if (table[:, 2:] < 0).any():
            raise FormatError(f"{path}:{line}: expected sigmas and levels of at least 0")
        sigma_s, sigma_l, levels = table[:, 2:].T
        truth[image] = Truth(Points(pixels.centres(table[:, :2])), sigma_s, sigma_l, levels.astype(np.int64))
    return truth


def _read_points(path: Path) -> dict[str, Points]:
    return {image: Points(pixels.centres(table)) for image, _, table in _tables(path, columns=2)}


def _tables(path: Path, columns: int) -> Iterator[tuple[str, int, npt.NDArray[np.float64]]]:
    """Image id, line and (n, columns) numbers of each line."""
    seen = set()
    for line, (image, *words) in rows(path):
        with at(path, line):
            if image in seen:
                raise ValueError(f"image {image} comes a second time")
            seen.add(image)
            count = whole(words[0] if words else "", "number of points")
            if len(words) != 1 + columns * count:
                expected = f"{columns} numbers for each of {count} points"
                raise ValueError(f"expected {expected}, found {len(words) - 1} numbers")
            table = numbers(words[1:]).reshape(count, columns)
        yield image, line, table


def _write_points(path: Path, points: Mapping[str, Points]) -> None:
    _write_tables(path, {image: pixels.indices(found.xy) for image, found in points.items()})


def _write_truth(path: Path, points: Mapping[str, Points]) -> None:
    """Radii and levels come from the boxes, as the benchmark's own do."""
    _write_tables(path, {image: _truth_table(found) for image, found in points.items()})


def _truth_table(points: Points) -> WholeArray:
    from crowdpoint.metrics import head_levels, head_sigmas  # brings scipy's graphs, and is only needed here

    sizes = np.zeros_like(points.xy) if points.sizes is None else points.sizes
    sigmas = head_sigmas(sizes)
    levels = head_levels(sizes[:, 0].astype(np.float64) * sizes[:, 1])
    radii = np.rint(np.column_stack([sigmas["s"], sigmas["l"]])).astype(np.int64)
    return np.column_stack([pixels.indices(points.xy), radii, levels])


def _write_tables(path: Path, tables: Mapping[str, WholeArray]) -> None:
    """Writes whole numbers: the code of the benchmark reads nothing else."""
    lines = []
    for image, table in tables.items():
        values = [str(value) for value in table.ravel().tolist()]
        lines.append(" ".join([word(image), str(len(table)), *values]) + "\n")
    path.write_text("".join(lines), encoding="utf-8")


def _looks_like(path: Path, columns: int) -> bool:
    """Whether the first line that has points fits; or, without any, whether all lines say so."""
    empty = False
    for _, words in rows(path):
        count, rest = divmod(len(words) - 2, columns)
        if rest or words[1:2] != [str(count)]:
            return False
        if count:
            return True
        empty = True
    return empty


POINTS = Format(
    name="nwpu",
    suffixes=(".txt",),
    description="predictions of the NWPU benchmark and of FIDTM: lines `id n x y x y …`",
    read=_read_points,
    write=_write_points,
    holds=frozenset({"names"}),
    whole_pixels=True,
    accepts=lambda path: _looks_like(path, columns=2),
)
TRUTH = Format(
    name="nwpu-truth",
    suffixes=(".txt",),
    description="ground truth of the NWPU benchmark and of FIDTM: lines `id n (x y sigma_s sigma_l level)…`",
    read=lambda path: {image: truth.points for image, truth in read_truth(path).items()},
    write=_write_truth,
    holds=frozenset({"names"}),
    whole_pixels=True,
    needs=frozenset({"sizes"}),
    accepts=lambda path: _looks_like(path, columns=5),
)
