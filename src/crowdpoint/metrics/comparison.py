"""Paired significance tests between systems on the same images: seeded bootstrap and permutation tests."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from pydantic import BaseModel

from crowdpoint.metrics.evaluator import ImageScore, Report
from crowdpoint.points import DoubleArray

Metric = Callable[[DoubleArray], DoubleArray]
"""Function from means over images of a table's columns (..., C) to a metric (...)."""

RESAMPLES = 9_999
"""Number of resamples of the bootstrap and of the permutation test."""

LEVEL = 0.95
"""Confidence level of the intervals."""

_CHUNK = 1 << 22  # random numbers drawn at once


class Difference(BaseModel, frozen=True):
    """Metric of the first system minus that of the second.

    `low` and `high` bound its 95 % confidence interval; `p_value` is of the two-sided permutation test.
    """

    value: float
    low: float
    high: float
    p_value: float


class Comparison(BaseModel, frozen=True):
    """Differences of two systems, `first` and `second`, on the same number of images."""

    first: str
    second: str
    images: int
    mae: Difference
    rmse: Difference
    f1: dict[str, Difference]
    """By sigma, except for ranges of sigma."""
    wilcoxon: float
    """Two-sided p-value of Wilcoxon's signed-rank test on the absolute counting errors."""


def compare(reports: Mapping[str, Report], *, resamples: int = RESAMPLES, seed: int = 0) -> list[Comparison]:
    """Compare every pair of systems.

    Confidence intervals come from the percentile bootstrap over images, p-values from the paired permutation
    test. Neither is corrected for multiple comparisons. Reports cover the same images, in any order.

    Raises:
        ValueError: if the reports cover different images, or one covers an image twice.
    """
    rows = _align(reports)
    localization = next(iter(reports.values())).localization
    keys = [key for key in localization if all(key in row.matched for system in rows for row in system)]
    tables = np.stack([_build_table(system, keys) for system in rows])  # (S, M, C)
    metrics = _build_metrics(keys)
    drawn = bootstrap_means(tables, resamples, seed)
    comparisons = []
    for (i, first), (j, second) in combinations(enumerate(reports), 2):
        pair = tables[[i, j]]
        swapped = permute_means(pair, resamples, seed)
        found = {
            key: _compute_difference(metric, pair.mean(axis=1), drawn[[i, j]], swapped)
            for key, metric in metrics.items()
        }
        counting = {"mae": found.pop("mae"), "rmse": found.pop("rmse")}
        p_value = wilcoxon(*pair[..., _ABSOLUTE])
        comparisons.append(
            Comparison(
                first=first, second=second, images=len(pair[0]), **counting, f1=found, wilcoxon=p_value
            )
        )
    return comparisons


def bootstrap_means(tables: DoubleArray, resamples: int = RESAMPLES, seed: int = 0) -> DoubleArray:
    """Compute bootstrap means (S, B, C) of tables (S, M, C) over M images, the same for all S systems."""
    _, images, _ = tables.shape
    rng = np.random.default_rng(seed)
    means = []
    for count in _chunks(resamples, images):
        chosen = rng.integers(0, images, (count, images)) + images * np.arange(count)[:, None]
        times = np.bincount(chosen.ravel(), minlength=count * images).reshape(count, images)
        means.append(times @ tables / images)
    return np.concatenate(means, axis=1)


def permute_means(pair: DoubleArray, resamples: int = RESAMPLES, seed: int = 0) -> DoubleArray:
    """Compute means (2, B, C) of a pair (2, M, C) while swapping two systems on random images.

    The first mean is without swaps. Uses all 2^M permutations, for an exact test, if `resamples` >= 2^M.
    """
    _, images, _ = pair.shape
    rng = np.random.default_rng(seed)
    first, second = pair
    means = []
    if 2.0**images <= resamples:
        batches = [np.arange(2**images)[:, None] >> np.arange(images) & 1]
    else:
        none = np.zeros((1, images), np.intp)
        batches = [none] + [rng.integers(0, 2, (count, images)) for count in _chunks(resamples, images)]
    for swaps in batches:
        moved = swaps @ (first - second) / images
        means.append(np.stack((first.mean(axis=0) - moved, second.mean(axis=0) + moved)))
    return np.concatenate(means, axis=1)


def wilcoxon(first: Sequence[float] | DoubleArray, second: Sequence[float] | DoubleArray) -> float:
    """Compute the two-sided p-value of Wilcoxon's signed-rank test on paired values (M,).

    Drops images with equal values; returns 1 if none is left.
    """
    from scipy import stats  # takes longer to import than a small dataset to score

    gaps = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    gaps = gaps[gaps != 0]
    return float(stats.wilcoxon(gaps).pvalue) if gaps.size else 1.0


_ABSOLUTE, _SQUARED, _POINTS, _MATCHED = range(4)


def _build_table(rows: Sequence[ImageScore], keys: Sequence[str]) -> DoubleArray:
    """Build (M, C): absolute and squared counting error, predicted + true points, matched heads by sigma."""
    errors = np.array([row.predicted - row.true for row in rows], np.float64)
    points = [row.predicted + row.true for row in rows]
    matched = [[row.matched[key] for row in rows] for key in keys]
    return np.array([np.abs(errors), errors**2, points, *matched], np.float64).T


def _build_metrics(keys: Sequence[str]) -> dict[str, Metric]:
    """Build MAE, RMSE and pooled F1 by sigma as functions of a table's column means."""

    def f1(column: int) -> Metric:
        return lambda means: 2 * means[..., column] / np.maximum(means[..., _POINTS], np.finfo(float).tiny)

    counting: dict[str, Metric] = {
        "mae": lambda means: means[..., _ABSOLUTE],
        "rmse": lambda means: np.sqrt(np.maximum(means[..., _SQUARED], 0)),  # rounding may give less than 0
    }
    return counting | {key: f1(_MATCHED + index) for index, key in enumerate(keys)}


def _compute_difference(
    metric: Metric, means: DoubleArray, drawn: DoubleArray, swapped: DoubleArray
) -> Difference:
    """Compute a difference from means (2, C), bootstrap means (2, B, C) and permuted means (2, B, C)."""

    def subtract(pair: DoubleArray) -> DoubleArray:
        return metric(pair[0]) - metric(pair[1])

    value = float(subtract(means))
    low, high = np.quantile(subtract(drawn), ((1 - LEVEL) / 2, (1 + LEVEL) / 2)).tolist()
    as_large = np.abs(subtract(swapped)) >= abs(value) - 1e-9 * max(1e-3, abs(value))  # allow for rounding
    return Difference(value=value, low=low, high=high, p_value=float(as_large.mean()))


def _chunks(resamples: int, images: int) -> Iterator[int]:
    size = max(1, _CHUNK // images)
    for start in range(0, resamples, size):
        yield min(size, resamples - start)


def _align(reports: Mapping[str, Report]) -> list[list[ImageScore]]:
    images = [row.name for row in next(iter(reports.values())).rows]
    rows = []
    for name, report in reports.items():
        by_image = {row.name: row for row in report.rows}
        if len(by_image) < len(report.rows):
            raise ValueError(f"{name}: expected unique image names, found a duplicate")
        if not images or by_image.keys() != set(images):
            raise ValueError(
                f"{name}: expected the {len(images)} images of the first report, found {len(by_image)}, "
                f"{len(by_image.keys() & set(images))} in common"
            )
        rows.append([by_image[image] for image in images])
    return rows
