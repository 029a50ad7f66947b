"""The numbers behind a report's charts: what became of every image, and curves over all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crowdpoint import images as image_files
from crowdpoint.matching import DoubleArray
from crowdpoint.metrics import CURVE_SIGMAS
from crowdpoint.points import Points
from crowdpoint.report import System

JUDGED = 8
"""The matching distance by which images are ranked and their points coloured, in pixels."""

_GROUPS = 5  # of about equally many images


@dataclass(frozen=True, slots=True)
class Analysis:
    """One system over the M images.

    Attributes:
        system: the system.
        predicted: (M,) counts.
        errors: (M,) predicted minus true counts.
        f1: (M,) F1 within `JUDGED` pixels of each image; NaN where neither side has a point.
        f1_by_sigma: F1 over all images at each of `CURVE_SIGMAS`.
        maxima: (M,) the largest value of each image's predicted map; None where it is unknown.
    """

    system: System
    predicted: npt.NDArray[np.intp]
    errors: npt.NDArray[np.intp]
    f1: DoubleArray
    f1_by_sigma: DoubleArray
    maxima: DoubleArray | None


def analyse(system: System, truth: Mapping[str, Points]) -> Analysis:
    """Everything that the charts show of one system; images are in the order of `truth`."""
    predicted = np.array([len(system.predictions[name]) for name in truth])
    true = np.array([len(heads) for heads in truth.values()])
    rows = {row.name: row for row in system.report.rows}
    matched = np.array([[rows[name].matched[str(sigma)] for sigma in CURVE_SIGMAS] for name in truth])
    with np.errstate(invalid="ignore"):
        f1 = 2 * matched[:, CURVE_SIGMAS.index(JUDGED)] / (predicted + true)
    return Analysis(
        system,
        predicted,
        predicted - true,
        f1,
        2 * matched.sum(axis=0) / max((predicted + true).sum(), 1),
        None if system.maxima is None else np.array([system.maxima[name] for name in truth]),
    )


def densities(
    truth: Mapping[str, Points], systems: Sequence[System], images: Mapping[str, Path]
) -> DoubleArray | None:
    """Heads per megapixel of each image (M,); None where the size of an image is unknown.

    Raises:
        ImageError: if the header of an image cannot be read.
    """
    found = []
    for name, heads in truth.items():
        sizes = [heads.image_size, *(system.predictions[name].image_size for system in systems)]
        size = next((size for size in sizes if size), None)
        if size is None and name in images:
            size = image_files.read_size(images[name])
        if size is None:
            return None
        found.append(len(heads) / (size[0] * size[1] / 1e6))
    return np.array(found)


def groups(values: npt.NDArray[np.intp] | DoubleArray) -> list[npt.NDArray[np.intp]]:
    """Images in up to five groups of about equal size by ascending values; equal values stay together.

    Args:
        values: (M,) one value an image.

    Returns:
        The positions of each group's images.
    """
    bounds = np.unique(np.quantile(values, np.arange(1, _GROUPS) / _GROUPS, method="lower"))
    group = np.searchsorted(bounds, values, side="left")
    return [np.flatnonzero(group == number) for number in np.unique(group)]


def notable(analyses: Sequence[Analysis], each: int = 2) -> list[tuple[str, list[int]]]:
    """The images worth a look: a heading and the images' positions, none of them twice.

    F1 and counting error are averaged over the systems; images without people are no candidates.

    Args:
        analyses: of all systems.
        each: the most images under a heading.
    """
    first = analyses[0]
    crowded = np.flatnonzero(first.predicted - first.errors)
    f1 = np.mean([analysis.f1[crowded] for analysis in analyses], axis=0)
    errors = np.mean([np.abs(analysis.errors[crowded]) for analysis in analyses], axis=0)
    left = list(range(len(crowded)))
    found = []
    for heading, ranking in (
        ("Best located", np.argsort(-f1, kind="stable")),
        ("Worst located", np.argsort(f1, kind="stable")),
        ("Largest counting errors", np.argsort(-errors, kind="stable")),
    ):
        chosen = [int(position) for position in ranking if position in left][:each]
        left = [position for position in left if position not in chosen]
        if chosen:
            found.append((heading, [int(crowded[position]) for position in chosen]))
    return found
