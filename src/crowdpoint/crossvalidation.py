"""Cross-validate: evaluate every image of a dataset once, by a model that was trained without it."""

import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from statistics import fmean
from typing import Any

from crowdpoint import datasets, outputs
from crowdpoint.datasets import Sample
from crowdpoint.evaluation import Evaluation, ImageResult, have_boxes, predict
from crowdpoint.metrics import Evaluator, Report, get_protocol
from crowdpoint.predict import Predictor


class CrossValidation:
    """Folds of a dataset, and the metrics of the evaluated ones.

    Args:
        dataset: name of the dataset, which chooses the metrics; a ConfigError if it is unknown.
        samples: its images, at least as many as folds; errors as `Sample.points`.
        folds: number of folds, at least 2.
        seed: random seed of the folds.

    Attributes:
        folds: images of each fold.
        reports: metrics of the evaluated folds, in their order.
    """

    def __init__(self, dataset: str, samples: Sequence[Sample], folds: int = 5, seed: int = 0) -> None:
        datasets.check_name(dataset)
        self.folds = [images for _, images in datasets.split_folds(samples, folds, seed)]
        self.reports: list[Report] = []
        self._dataset, self._seed = dataset, seed
        self._protocol = get_protocol(dataset)
        self._boxes = have_boxes(sample.points() for sample in samples)
        self._evaluators: list[Evaluator] = []

    def evaluate(self, predictor: Predictor) -> Iterator[ImageResult]:
        """Evaluate the next fold by the model that was trained without it, and yield each image."""
        evaluator = self._protocol.build_evaluator(boxes=self._boxes)
        limited = predictor.limit_as_in_training(self._dataset)
        predictions = predict(limited, self.folds[len(self.reports)])
        evaluation = Evaluation(predictions, limited.threshold, evaluator, self._protocol, limited)
        yield from evaluation
        self.reports.append(evaluation.report)
        self._evaluators.append(evaluator)

    def combine(self) -> Report:
        """Average MAE, RMSE, NAE and nAP of the evaluated folds, as papers do, and pool the other metrics."""
        naes = [report.nae for report in self.reports if report.nae is not None]
        naps = [report.nap for report in self.reports if report.nap is not None]
        means = {
            "mae": fmean(report.mae for report in self.reports),
            "rmse": fmean(report.rmse for report in self.reports),
            "nae": fmean(naes) if naes else None,
            "nap": {key: fmean(nap[key] for nap in naps) for key in naps[0]} if naps else None,
        }
        seconds = sum(report.seconds or 0.0 for report in self.reports)
        first = self.reports[0]
        pooled = self._protocol.build_evaluator(boxes=self._boxes)
        for evaluator in self._evaluators:
            pooled.merge(evaluator)
        report = pooled.compute(seconds, first.protocol, first.device, first.precision)
        return report.model_copy(update=means)

    def to_record(self) -> dict[str, Any]:
        """Collect the images and metrics of each fold, null if not evaluated, and the combined metrics."""
        reports = [report.model_dump(mode="json") for report in self.reports]
        folds = [
            {"images": [image.name for image in images], "report": report}
            for images, report in zip_longest(self.folds, reports)
        ]
        complete = len(reports) == len(self.folds)
        together = self.combine().model_dump(mode="json") if complete else None
        return {"dataset": self._dataset, "seed": self._seed, "folds": folds, "all": together}

    def write(self, path: Path) -> None:
        """Write the content as JSON, replacing the file as a whole."""
        outputs.write(path, (json.dumps(self.to_record(), indent=1) + "\n").encode())
