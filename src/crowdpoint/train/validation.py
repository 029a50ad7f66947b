"""Validate a network on held-out images and calibrate its threshold. All datasets have equal weight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crowdpoint.backbones.branches import Activity
from crowdpoint.evaluation import Evaluation, Prediction, predict
from crowdpoint.metrics import Evaluator, Report
from crowdpoint.points import FloatArray, Points
from crowdpoint.predict import Predictor
from crowdpoint.predict.interval import calibrate_interval, estimate_coverage
from crowdpoint.recipe import IntervalConfig
from crowdpoint.train.data import AnnotatedImages


@dataclass(frozen=True)
class Validation:
    """Result of a validation, by label of the dataset where it has parts.

    Attributes:
        threshold: minimum score of a point.
        interval: interval of the true count at that threshold; None for too few images, or without points.
        reports: metrics at that threshold.
        heads: number of annotated heads.
        activity: activity of the network's branches, by their names.
        coverage: fraction of images whose true count is in the interval (`estimate_coverage`).
    """

    threshold: float
    interval: IntervalConfig | None
    reports: Mapping[str, Report]
    heads: Mapping[str, int]
    activity: Mapping[str, Activity] = field(default_factory=dict)
    coverage: Mapping[str, float] = field(default_factory=dict)

    @property
    def errors(self) -> dict[str, float]:
        """Counting error by dataset: the sum of absolute errors divided by heads plus images.

        Approximately the error per head in crowds, and the false positives per image without people.
        """
        return {
            label: report.mae * report.images / (self.heads[label] + report.images)
            for label, report in self.reports.items()
        }

    @property
    def mae(self) -> float:
        """Mean absolute counting error over the images of all datasets."""
        images = sum(report.images for report in self.reports.values())
        return sum(report.mae * report.images for report in self.reports.values()) / images

    @property
    def merit(self) -> float:
        """Score of a checkpoint: mean F1 at 8 pixels minus mean counting error over the datasets.

        F1 is averaged over datasets with heads, and 0 for methods that only count.
        """
        located = [
            report.localization["8"].f1 if report.localization else 0.0
            for label, report in self.reports.items()
            if self.heads[label]
        ]
        return float(np.mean(located or [0.0]) - np.mean(list(self.errors.values())))


def validate(predictor: Predictor, sources: Sequence[AnnotatedImages], threshold: float | None) -> Validation:
    """Predict all images of `sources` and evaluate at a threshold; None to calibrate it."""
    found: dict[str, list[Prediction]] = {}
    for source in sources:
        limited = predictor.limit_side(source.config.max_side)
        found.setdefault(source.config.label, []).extend(predict(limited, source.samples))
    scores = [
        [image.candidates.scores for image in own if isinstance(image.candidates, Points)]
        for own in found.values()
    ]
    counts = [[0 if image.truth is None else len(image.truth) for image in own] for own in found.values()]
    interval, coverage = None, {}
    if not any(scores):  # a method that only counts
        threshold = predictor.threshold
    else:
        threshold = calibrate(scores, counts) if threshold is None else threshold
        interval = calibrate_interval(scores, counts, threshold)
        coverage = dict(zip(found, estimate_coverage(scores, counts, threshold), strict=True))
    reports = {label: Evaluation(own, threshold, Evaluator(deltas=())).report for label, own in found.items()}
    heads = {label: sum(own) for label, own in zip(found, counts, strict=True)}
    return Validation(threshold, interval, reports, heads, coverage=coverage)


def calibrate(scores: Sequence[Sequence[FloatArray]], counts: Sequence[Sequence[int]]) -> float:
    """Choose the threshold from 0.05 to 0.95, in steps of 0.01, with the least counting error.

    Takes the scores of all candidates and the true count of each image of each dataset. The chosen threshold
    has the smallest mean over the datasets of `Validation.errors`; of equal ones, it is the nearest to 0.5.
    """
    grid = np.arange(5, 96) / 100
    errors = np.zeros(len(grid))
    for images, true in zip(scores, counts, strict=True):
        ordered = [np.sort(values) for values in images]
        found = [len(values) - np.searchsorted(values, grid.astype(np.float32)) for values in ordered]
        errors += np.abs(np.stack(found, axis=1) - true).sum(axis=-1) / (sum(true) + len(true))
    best = np.flatnonzero(errors == errors.min())
    return float(grid[best[np.abs(grid[best] - 0.5).argmin()]])
