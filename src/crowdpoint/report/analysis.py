"""Compute the data of a report's charts: results of every image, and curves over all images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crowdpoint import rasters
from crowdpoint.metrics import CURVE_SIGMAS
from crowdpoint.points import DoubleArray, IntArray, Points
from crowdpoint.report import System

RANKING_SIGMA = 8
"""Matching distance in pixels for ranking images and colouring their points."""

_GROUPS = 5  # number of groups of about equal size


class Analysis(NamedTuple):
    """Results of one system on M images."""

    system: System
    predicted: IntArray
    """(M,) predicted counts."""
    errors: IntArray
    """(M,) predicted minus true counts."""
    f1: DoubleArray
    """(M,) F1 of each image within `RANKING_SIGMA` pixels; NaN without any points."""
    f1_by_sigma: DoubleArray
    """F1 over all images at each of `CURVE_SIGMAS`."""
    maxima: DoubleArray | None
    """(M,) maximum of each image's predicted map; None if unknown."""


def analyse(system: System, truth: Mapping[str, Points]) -> Analysis:
    """Compute the results of one system, with images in the order of `truth`."""
    predicted = np.array([len(system.predictions[name]) for name in truth])
    true = np.array([len(heads) for heads in truth.values()])
    rows = {row.name: row for row in system.report.rows}
    matched = np.array([[rows[name].matched[str(sigma)] for sigma in CURVE_SIGMAS] for name in truth])
    with np.errstate(invalid="ignore"):
        f1 = 2 * matched[:, CURVE_SIGMAS.index(RANKING_SIGMA)] / (predicted + true)
    return Analysis(
        system,
        predicted,
        predicted - true,
        f1,
        2 * matched.sum(axis=0) / max((predicted + true).sum(), 1),
        None if system.maxima is None else np.array([system.maxima[name] for name in truth]),
    )


def compute_densities(
    truth: Mapping[str, Points], systems: Sequence[System], images: Mapping[str, Path]
) -> DoubleArray | None:
    """Compute heads per megapixel of each image (M,); None if the size of an image is unknown."""
    found = []
    for name, heads in truth.items():
        sizes = [heads.image_size, *(system.predictions[name].image_size for system in systems)]
        size = next((size for size in sizes if size), None)
        if size is None and name in images:
            size = rasters.read_size(images[name])
        if size is None:
            return None
        found.append(len(heads) / (size[0] * size[1] / 1e6))
    return np.array(found)


def group_by_quantiles(values: IntArray | DoubleArray) -> list[IntArray]:
    """Group images by value (M,), ascending, into up to five groups of about equal size, by index."""
    bounds = np.unique(np.quantile(values, np.arange(1, _GROUPS) / _GROUPS, method="lower"))
    group = np.searchsorted(bounds, values, side="left")
    return [np.flatnonzero(group == number) for number in np.unique(group)]


def select_notable(analyses: Sequence[Analysis], each: int = 2) -> list[tuple[str, list[int]]]:
    """Select images by counting errors and F1 over all systems: indices by heading, each image once.

    Images without people have no F1; their errors count.
    """
    first = analyses[0]
    crowded = np.flatnonzero(first.predicted - first.errors)
    f1 = np.mean([analysis.f1[crowded] for analysis in analyses], axis=0)
    errors = np.mean([np.abs(analysis.errors) for analysis in analyses], axis=0)
    used: set[int] = set()
    found = []
    for heading, ranking in (
        ("Largest counting errors", np.argsort(-errors, kind="stable")[: np.count_nonzero(errors)]),
        ("Worst located", crowded[np.argsort(f1, kind="stable")]),
        ("Best located", crowded[np.argsort(-f1, kind="stable")]),
    ):
        chosen = [position for position in ranking.tolist() if position not in used][:each]
        used |= {*chosen}
        if chosen:
            found.append((heading, chosen))
    return found
