"""Whether one system is better than another, or the images only fell that way.

All systems see the same images, so every figure here is paired: a resample draws images for all of them,
and a permutation swaps two systems on an image. It is seeded: the same reports give the same digits.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import stats

from crowdpoint.matching import DoubleArray
from crowdpoint.metrics.evaluator import ImageScore, Report

Metric = Callable[[DoubleArray], DoubleArray]
"""From means over images (..., C) of what happened on each to a metric (...)."""

RESAMPLES = 9_999
"""Draws of the bootstrap and of the permutation test."""

LEVEL = 0.95
"""Confidence of the intervals."""

_CHUNK = 1 << 22  # drawn numbers that are in memory at once


class Difference(BaseModel):
    """First minus second system: below 0 the first has the smaller figure."""

    model_config = ConfigDict(frozen=True)

    value: float
    """The difference over all images."""
    low: float
    """Lower end of its 95 % confidence interval."""
    high: float
    """Upper end."""
    p_value: float
    """Two-sided: how often swapping the systems at random on each image gives at least as much."""


class Comparison(BaseModel):
    """Two systems on the same images."""

    model_config = ConfigDict(frozen=True)

    first: str
    """Name of the first system."""
    second: str
    """Name of the second."""
    images: int
    """Number of images."""
    mae: Difference
    """Of the mean absolute counting errors."""
    rmse: Difference
    """Of the root mean square counting errors."""
    f1: dict[str, Difference]
    """Of the F1 by sigma, where that is one distance for each head and not a range of them."""
    wilcoxon: float
    """Two-sided p of Wilcoxon's signed-rank test on the absolute counting errors; few images sway it less."""


def compare(reports: Mapping[str, Report], *, resamples: int = RESAMPLES, seed: int = 0) -> list[Comparison]:
    """What tells every two of several systems apart.

    The interval of a difference is the percentile bootstrap over images, its p-value that of the paired
    permutation test. Neither is corrected for the number of comparisons.

    Args:
        reports: system -> its report; the `rows` of all are of the same images, in any order.
        resamples: draws of the bootstrap and of the permutation test.
        seed: of both.

    Raises:
        ValueError: if the rows are not of the same images, or an image comes twice in a report.
    """
    names, rows = list(reports), _aligned(reports)
    localization = next(iter(reports.values())).localization
    keys = [key for key in localization if all(key in row.matched for system in rows for row in system)]
    tables = np.stack([_table(system, keys) for system in rows])  # (S, M, C)
    metrics = _metrics(keys)
    drawn = bootstrap_means(tables, resamples, seed)
    comparisons = []
    for i, j in combinations(range(len(names)), 2):
        pair = tables[[i, j]]
        swapped = swapped_means(pair, resamples, seed)
        found = {
            key: _difference(metric, pair.mean(axis=1), drawn[[i, j]], swapped)
            for key, metric in metrics.items()
        }
        comparisons.append(
            Comparison(
                first=names[i],
                second=names[j],
                images=pair.shape[1],
                mae=found.pop("mae"),
                rmse=found.pop("rmse"),
                f1=found,
                wilcoxon=wilcoxon(*pair[..., _ABSOLUTE]),
            )
        )
    return comparisons


def bootstrap_means(tables: DoubleArray, resamples: int = RESAMPLES, seed: int = 0) -> DoubleArray:
    """The means of columns over images that are drawn with replacement, the same ones for all systems.

    Args:
        tables: (S, M, C), C columns of S systems on M images.
        resamples: number B of draws.
        seed: of the draws.

    Returns:
        (S, B, C).
    """
    _, images, _ = tables.shape
    rng = np.random.default_rng(seed)
    means = []
    for count in _chunks(resamples, images):
        chosen = rng.integers(0, images, (count, images)) + images * np.arange(count)[:, None]
        times = np.bincount(chosen.ravel(), minlength=count * images).reshape(count, images)
        means.append(times @ tables / images)
    return np.concatenate(means, axis=1)


def swapped_means(pair: DoubleArray, resamples: int = RESAMPLES, seed: int = 0) -> DoubleArray:
    """The means of columns over images on each of which two systems may be swapped.

    Args:
        pair: (2, M, C), C columns of two systems on M images.
        resamples: number of random ways to swap, besides none at all; where there are no more than that,
            all 2^M are taken, and the test is exact.
        seed: of the draws.

    Returns:
        (2, B, C), the first of them without a swap.
    """
    _, images, _ = pair.shape
    rng = np.random.default_rng(seed)
    first, second = pair
    gap = first - second
    means = []
    if 2.0**images <= resamples:
        ways = [np.arange(2**images)[:, None] >> np.arange(images) & 1]
    else:
        none = np.zeros((1, images), np.intp)
        ways = [none] + [rng.integers(0, 2, (count, images)) for count in _chunks(resamples, images)]
    for swaps in ways:
        moved = swaps @ gap / images
        means.append(np.stack((first.mean(axis=0) - moved, second.mean(axis=0) + moved)))
    return np.concatenate(means, axis=1)


def wilcoxon(first: Sequence[float] | DoubleArray, second: Sequence[float] | DoubleArray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test on paired values, of absolute errors here.

    Images on which both are equal say nothing and are dropped; p is 1 if no other is left.

    Args:
        first: (M,) of one system on each image.
        second: (M,) of the other on the same images.
    """
    gaps = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    gaps = gaps[gaps != 0]
    return float(stats.wilcoxon(gaps).pvalue) if gaps.size else 1.0


_ABSOLUTE, _SQUARED, _POINTS, _MATCHED = range(4)


def _table(rows: Sequence[ImageScore], keys: Sequence[str]) -> DoubleArray:
    """(M, C): absolute and squared counting error, points of both sides, then matched heads by sigma."""
    errors = np.array([row.predicted - row.true for row in rows], np.float64)
    points = [row.predicted + row.true for row in rows]
    matched = [[row.matched[key] for row in rows] for key in keys]
    return np.array([np.abs(errors), errors**2, points, *matched], np.float64).T


def _metrics(keys: Sequence[str]) -> dict[str, Metric]:
    """MAE, RMSE and pooled F1 by sigma, from means of a table's columns."""

    def f1(column: int) -> Metric:
        return lambda means: 2 * means[..., column] / np.maximum(means[..., _POINTS], np.finfo(float).tiny)

    counting: dict[str, Metric] = {
        "mae": lambda means: means[..., _ABSOLUTE],
        "rmse": lambda means: np.sqrt(np.maximum(means[..., _SQUARED], 0)),  # swaps round below 0
    }
    return counting | {key: f1(_MATCHED + index) for index, key in enumerate(keys)}


def _difference(metric: Metric, means: DoubleArray, drawn: DoubleArray, swapped: DoubleArray) -> Difference:
    """From the means (2, C), those of the bootstrap (2, B, C) and those of the swaps (2, B, C)."""

    def gap(of: DoubleArray) -> DoubleArray:
        return metric(of[0]) - metric(of[1])

    value = float(gap(means))
    low, high = np.quantile(gap(drawn), ((1 - LEVEL) / 2, (1 + LEVEL) / 2)).tolist()
    as_large = np.abs(gap(swapped)) >= abs(value) - 1e-9 * max(1e-3, abs(value))  # as large but for rounding
    return Difference(value=value, low=low, high=high, p_value=float(as_large.mean()))


def _chunks(resamples: int, images: int) -> Iterator[int]:
    """Draws to take at once, so that those of many images fit into memory."""
    size = max(1, _CHUNK // images)
    for start in range(0, resamples, size):
        yield min(size, resamples - start)


def _aligned(reports: Mapping[str, Report]) -> list[list[ImageScore]]:
    """The rows of every report, in the order of the first one's images."""
    images = [row.name for row in next(iter(reports.values())).rows]
    rows = []
    for name, report in reports.items():
        by_image = {row.name: row for row in report.rows}
        if len(by_image) < len(report.rows):
            raise ValueError(f"{name}: expected a name of its own for every image, found one twice")
        if not images or by_image.keys() != set(images):
            raise ValueError(
                f"{name}: expected the images of the first report, {len(images)}, found "
                f"{len(by_image)}, {len(by_image.keys() & set(images))} of them among those"
            )
        rows.append([by_image[image] for image in images])
    return rows
