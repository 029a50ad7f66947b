"""The numbers behind a report's charts: what became of every image, and curves over all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crowdpoint import images as image_files
from crowdpoint.matching import DoubleArray, match_counts
from crowdpoint.metrics import DELTAS, average_precision, claims, precision_recall
from crowdpoint.points import Points
from crowdpoint.report import System

SIGMAS = tuple(range(1, 21))
"""Matching distances of the F1 curve, in pixels."""

JUDGED = 8
"""The matching distance by which images are ranked and their points coloured, in pixels."""

DELTA = 0.5
"""The reach of the precision-recall curve, as a fraction of d_kNN."""

_GROUPS = 5  # of about equally many images


@dataclass(frozen=True, slots=True)
class Analysis:
    """One system over the M images.

    Attributes:
        system: the system.
        predicted: (M,) counts.
        errors: (M,) predicted minus true counts.
        f1: (M,) F1 within `JUDGED` pixels of each image; NaN where neither side has a point.
        f1_by_sigma: F1 over all images at each of `SIGMAS`.
        recall: ascending, of the predictions above each distinct score, at `DELTA`; None without heads.
        precision: of the same.
        nap: nAP at each of `DELTAS`; None without heads, or where all scores are equal.
        maxima: (M,) the largest value of each image's predicted map; None where it is unknown.
    """

    system: System
    predicted: npt.NDArray[np.intp]
    errors: npt.NDArray[np.intp]
    f1: DoubleArray
    f1_by_sigma: DoubleArray
    recall: DoubleArray | None
    precision: DoubleArray | None
    nap: DoubleArray | None
    maxima: DoubleArray | None


def analyse(system: System, truth: Mapping[str, Points]) -> Analysis:
    """Everything that the charts show of one system; images are in the order of `truth`."""
    predicted = np.array([len(system.predictions[name]) for name in truth])
    true = np.array([len(heads) for heads in truth.values()])
    matched = np.array(
        [match_counts(system.predictions[name].xy, heads.xy, SIGMAS) for name, heads in truth.items()]
    )
    with np.errstate(invalid="ignore"):
        f1 = 2 * matched[:, SIGMAS.index(JUDGED)] / (predicted + true)
    recall, precision, nap = _ranking(system.candidates or system.predictions, truth)
    return Analysis(
        system,
        predicted,
        predicted - true,
        f1,
        2 * matched.sum(axis=0) / max((predicted + true).sum(), 1),
        recall,
        precision,
        nap,
        None if system.maxima is None else np.array([system.maxima[name] for name in truth]),
    )


def _ranking(
    scored: Mapping[str, Points], truth: Mapping[str, Points]
) -> tuple[DoubleArray | None, DoubleArray | None, DoubleArray | None]:
    """Recall, precision and nAP as `Analysis` has them."""
    heads = sum(map(len, truth.values()))
    if not heads:
        return None, None, None
    scores = np.concatenate([scored[name].scores for name in truth])
    hits = np.concatenate([claims(scored[name], truth[name], DELTAS) for name in truth], axis=1)
    precision, recall = precision_recall(scores, hits[DELTAS.index(DELTA)], heads)
    if not len(scores) or scores.min() == scores.max():
        return recall, precision, None
    nap = np.array([average_precision(scores, row, heads) for row in hits])
    return recall, precision, nap


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
