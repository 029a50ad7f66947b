"""Judges a network on held-out training images and calibrates its threshold there.

It goes through the same `Predictor` and `Evaluator` as users and reports do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crowdpoint.metrics import Evaluator, Report
from crowdpoint.points import FloatArray, Points
from crowdpoint.predict import Predictor
from crowdpoint.train.data import Annotated


@dataclass(frozen=True)
class Validation:
    """What held-out images say of a network.

    Attributes:
        threshold: least score of a point.
        report: every metric at that threshold.
        locates: whether the points are heads, which those of density regression are not.
    """

    threshold: float
    report: Report
    locates: bool

    @property
    def merit(self) -> float:
        """What the best checkpoint maximises: F1 at 8 pixels, of what locates, minus NAE."""
        located = self.report.localization["8"].f1 if self.locates else 0.0
        return located - (self.report.nae or 0.0)


def validate(predictor: Predictor, sources: Sequence[Annotated], threshold: float | None) -> Validation:
    """Predicts every image of `sources` and evaluates at a threshold, a calibrated one where it is None."""
    found: list[tuple[Points, Points]] = []
    for source in sources:
        for index in range(len(source.samples)):
            image, truth = source[index]
            candidates = predictor.candidates(image)
            found.append((candidates, truth))
    if threshold is None:
        threshold = calibrate([points.scores for points, _ in found], [len(truth) for _, truth in found])
    evaluator = Evaluator(deltas=())
    for candidates, truth in found:
        evaluator.update(candidates.threshold(threshold), truth)
    return Validation(threshold, evaluator.compute(), locates=predictor.info.method != "density")


def calibrate(scores: Sequence[FloatArray], counts: Sequence[int]) -> float:
    """The threshold from 0.05 to 0.95, in steps of 0.01, with the least error of the count against the true.

    So every image weighs alike. By the absolute error a few crowded images would choose for all.

    Args:
        scores: of every candidate, an array for each image.
        counts: the true count of each image; one with nobody is taken as one with a single head.

    Returns:
        The best threshold; the one nearest to 0.5 among equals.
    """
    grid = np.arange(5, 96) / 100
    ordered = [np.sort(values) for values in scores]
    found = np.stack([len(values) - np.searchsorted(values, grid.astype(np.float32)) for values in ordered])
    true = np.asarray(counts)[:, None]
    errors = (np.abs(found - true) / np.maximum(true, 1)).mean(axis=0)
    best = np.flatnonzero(errors == errors.min())
    return float(grid[best[np.abs(grid[best] - 0.5).argmin()]])
