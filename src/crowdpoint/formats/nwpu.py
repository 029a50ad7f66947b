"""Point files of the NWPU-Crowd benchmark and of FIDTM: one image per line, identified by a number.

Coordinates are pixel indices: i is read as i + 0.5, the centre of its pixel, and x is written as floor(x).
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crowdpoint.errors import FormatError
from crowdpoint.formats import pixels
from crowdpoint.formats.format import Format
from crowdpoint.formats.image_names import plain_name
from crowdpoint.formats.text import (
    check_word,
    locate_errors,
    parse_integer,
    parse_numbers,
    read_lines,
    read_rows,
)
from crowdpoint.metrics import compute_head_levels, compute_head_sigmas
from crowdpoint.points import Points

WholeArray = npt.NDArray[np.int64]


def read_truth(path: Path) -> tuple[dict[str, Points], dict[str, dict[str, npt.NDArray[np.float64]]]]:
    """Read ground truth, lines `id n (x y sigma_s sigma_l level)…`; ignores the levels.

    Returns:
        Image id -> N points, and image id -> matching radii in pixels, as `metrics.compute_head_sigmas`.
    """
    points, sigmas = {}, {}
    for image, line, table in _read_tables(path, columns=5):
        if (table[:, 2:] < 0).any():
            raise FormatError(f"{path}:{line}: expected sigmas and levels of at least 0")
        points[image] = Points(pixels.to_coordinates(table[:, :2]))
        sigmas[image] = {"s": table[:, 2], "l": table[:, 3]}
    return points, sigmas


def _read_tables(path: Path, columns: int) -> Iterator[tuple[str, int, npt.NDArray[np.float64]]]:
    """Yield the image id, the line number and the numbers (n, columns) of each line."""
    seen = set()
    for line, text in read_lines(path):
        image, count_word, numbers = [*text.split(maxsplit=2), "", ""][:3]
        with locate_errors(path, line):
            if image in seen:
                raise ValueError(f"duplicate image {image}")
            seen.add(image)
            count = parse_integer(count_word, "number of points")
            values = parse_numbers(numbers)
            if len(values) != columns * count:
                expected = f"{columns} numbers for each of {count} points"
                raise ValueError(f"expected {expected}, found {len(values)} numbers")
        yield image, line, values.reshape(count, columns)


def _build_truth_table(points: Points) -> WholeArray:
    """Build the table of an image, with radii and levels computed from the boxes as in the benchmark."""
    sizes = np.zeros_like(points.xy) if points.sizes is None else points.sizes
    sigmas = compute_head_sigmas(sizes)
    levels = compute_head_levels(sizes)
    radii = np.rint(np.column_stack([sigmas["s"], sigmas["l"]])).astype(np.int64)
    return np.column_stack([pixels.to_indices(points.xy), radii, levels])


def _write(build: Callable[[Points], WholeArray], path: Path, points: Mapping[str, Points]) -> None:
    """Write integers and names without extension, the only ones that the benchmark's code can read."""
    lines = []
    taken: dict[str, str] = {}
    for image, found in points.items():
        name = plain_name(image)
        if (other := taken.setdefault(name, image)) != image:
            raise ValueError(f"{image} and {other} would both be called {name}; rename one of them")
        values = [str(value) for value in build(found).ravel().tolist()]
        lines.append(" ".join([check_word(name), str(len(found)), *values]) + "\n")
    path.write_text("".join(lines), encoding="utf-8")


def _looks_like(path: Path, columns: int) -> bool:
    empty = False
    for _, words in read_rows(path):
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
    description="NWPU benchmark and FIDTM predictions: lines `id n x y x y …`",
    read=lambda path, _: {
        image: Points(pixels.to_coordinates(table)) for image, _, table in _read_tables(path, columns=2)
    },
    write=partial(_write, lambda found: pixels.to_indices(found.xy)),
    whole_pixels=True,
    accepts=lambda path: _looks_like(path, columns=2),
)
TRUTH = Format(
    name="nwpu-truth",
    suffixes=(".txt",),
    description="NWPU benchmark and FIDTM ground truth: lines `id n (x y sigma_s sigma_l level)…`",
    read=lambda path, _: read_truth(path)[0],
    write=partial(_write, _build_truth_table),
    whole_pixels=True,
    needs=frozenset({"sizes"}),
    accepts=lambda path: _looks_like(path, columns=5),
)
