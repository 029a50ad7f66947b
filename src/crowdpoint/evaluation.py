"""Evaluate a model on annotated images.

Three steps overlap: one thread reads the next image, the calling thread runs the network, and another thread
matches the previous image. Results have the order of the images.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from crowdpoint.datasets import Sample, check_name
from crowdpoint.errors import DatasetError
from crowdpoint.estimate import Found, apply_threshold
from crowdpoint.metrics import Evaluator, ImageScore, Protocol, Report, filter_by_region, get_protocol
from crowdpoint.opening import OpenedImage, open_image
from crowdpoint.points import BoolArray, Points
from crowdpoint.predict import Predictor

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Prediction:
    """Scored points of one image of a dataset, in its region of interest.

    Attributes:
        sample: the image.
        truth: annotated heads; None if they are not published.
        candidates: all scored points, in pixels of the image; an estimate of a method that only counts.
        map_maximum: largest value of the predicted map; None without a map, or if not requested.
    """

    sample: Sample
    truth: Points | None
    candidates: Found
    map_maximum: float | None


@dataclass(frozen=True, slots=True)
class ImageResult(Prediction):
    """One evaluated image.

    Attributes:
        points: predicted points with at least the threshold, or an estimate.
        score: counts, and numbers of matched heads.
    """

    truth: Points
    points: Found
    score: ImageScore


class Evaluation(Iterable[ImageResult]):
    """Results of one model: an iterator over the images, and `report`, the metrics.

    Images are predicted and matched during the iteration, which `report` completes.

    Args:
        predictions: predictions on annotated images.
        threshold: minimum score of a point.
        evaluator: new accumulator of the metrics.
        dataset: protocol of the dataset.
        predictor: the model, whose protocol, device and precision are in the report.
    """

    def __init__(
        self,
        predictions: Iterable[Prediction],
        threshold: float,
        evaluator: Evaluator,
        dataset: Protocol | None = None,
        predictor: Predictor | None = None,
    ) -> None:
        self._threshold = threshold
        self._evaluator = evaluator
        self._protocol = dataset or Protocol()
        self._predictor = predictor
        self._seconds: float | None = None
        self._results = self._run(predictions)

    def __iter__(self) -> Iterator[ImageResult]:
        return self._results

    @property
    def report(self) -> Report:
        """Metrics over all images; raises a ValueError without images, or after a failed iteration."""
        for _ in self._results:
            pass
        if self._seconds is None:
            raise ValueError("report: expected every image to be evaluated, found an iteration that failed")
        model = self._predictor
        if model is None:
            return self._evaluator.compute(self._seconds)
        return self._evaluator.compute(self._seconds, model.info.protocol, model.device, model.precision)

    def _run(self, predictions: Iterable[Prediction]) -> Iterator[ImageResult]:
        start = perf_counter()
        yield from _in_thread(self._score, predictions)
        self._seconds = perf_counter() - start

    def _score(self, prediction: Prediction) -> ImageResult:
        sample, truth, candidates = prediction.sample, prediction.truth, prediction.candidates
        if truth is None:
            raise DatasetError(f"{sample.image}: expected an annotation to evaluate by, found none")
        points = apply_threshold(candidates, self._threshold)
        groups = self._protocol.find_groups(len(truth), sample.labels)
        score = self._evaluator.update(points, truth, candidates, groups=groups, name=sample.name)
        return ImageResult(sample, truth, candidates, prediction.map_maximum, points, score)


def evaluate(
    predictor: Predictor,
    samples: Sequence[Sample],
    dataset: str = "folder",
    *,
    map_maxima: bool = False,
    curves: bool = False,
) -> Evaluation:
    """Evaluate a model on annotated images, by the protocol of their dataset.

    All annotations are read first, to report faults early; images are read one by one. Large images are
    shrunk as in the model's training on this dataset, unless the predictor has a limit.

        samples = datasets.load("folder", Path("my-crowds"), "test")
        evaluation = crowdpoint.evaluate(crowdpoint.load(), samples)
        for image in evaluation:
            print(image.sample.name, len(image.points), len(image.truth))
        print(evaluation.report.mae)

    Args:
        predictor: the model, with its threshold.
        samples: the images, as `datasets.load` returns them.
        dataset: name of their dataset, which chooses the metrics: one of `datasets.DATASETS`, or another that
            the model was trained on.
        map_maxima: add the largest value of the predicted map to the results, if there is a map.
        curves: as in `metrics.Evaluator`.

    Raises:
        ConfigError: if the dataset is unknown.
        DatasetError: if an image has no annotation.
        FormatError: if an annotation or, during the iteration, a region cannot be read.
        ImageError: if an image cannot be read, during the iteration if its header is intact.
    """
    check_name(dataset, predictor.info.max_sides)
    predictor = predictor.limit_as_in_training(dataset)
    rules = get_protocol(dataset)
    truths = [sample.points() for sample in samples]
    return Evaluation(
        predict(predictor, samples, truths, map_maxima=map_maxima),
        predictor.threshold,
        rules.build_evaluator(boxes=have_boxes(truths), curves=curves),
        rules,
        predictor,
    )


def predict(
    predictor: Predictor,
    samples: Iterable[Sample],
    truths: Iterable[Points] | None = None,
    *,
    map_maxima: bool = False,
) -> Iterator[Prediction]:
    """Predict the images of a dataset, annotated or not.

    `truths` has the heads of each image; without it, they are read with their image.

    Raises:
        ValueError: during the iteration, if the numbers of images and of their heads differ.
    """
    pairs = zip(samples, repeat(None)) if truths is None else zip(samples, truths, strict=True)
    for sample, image, truth, region in _in_thread(_read, pairs):
        maximum = None
        if map_maxima:
            seen = predictor.inspect(image)
            candidates = seen.candidates
            maximum = None if seen.map is None else float(seen.map.max())
        else:
            candidates = predictor.find(image, threshold=0.0)
        if region is not None:
            candidates = filter_by_region(candidates, region)
        yield Prediction(sample, truth, candidates, maximum)


def have_boxes(truths: Iterable[Points]) -> bool:
    """Tell whether every head of all images has a box; False without heads."""
    crowded = [heads for heads in truths if len(heads)]
    return bool(crowded) and all(heads.sizes is not None for heads in crowded)


def _read(
    pair: tuple[Sample, Points | None],
) -> tuple[Sample, OpenedImage | Path, Points | None, BoolArray | None]:
    sample, truth = pair
    region = sample.region()
    if truth is None and sample.annotation is not None:
        truth = sample.points()
    if truth is not None and region is not None:
        truth = filter_by_region(truth, region)
    with open_image(sample.image) as opened:
        return sample, opened if opened.in_memory else sample.image, truth, region


def _in_thread(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Apply a function to items in a thread, one item ahead; results have the order of the items."""
    with ThreadPoolExecutor(1) as pool:
        ahead: deque[Future[Result]] = deque()
        failure: Exception | None = None
        rest = iter(items)
        while failure is None:
            try:
                ahead.append(pool.submit(function, next(rest)))
            except StopIteration:
                break
            except Exception as error:  # of the next item; the results before it come first
                failure = error
            if len(ahead) > 1:
                yield ahead.popleft().result()
        for last in ahead:
            yield last.result()
        if failure:
            raise failure
