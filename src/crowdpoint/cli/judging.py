"""Models judged on a dataset's images by its protocol, for the commands that evaluate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crowdpoint.datasets import Sample
    from crowdpoint.metrics import Evaluator
    from crowdpoint.points import Points
    from crowdpoint.predict import Predictor


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one image, where objects count on it.

    Attributes:
        name: the image's name.
        points: the selected points.
        candidates: all scored points.
        maximum: the largest value of the whole image's map; None without a map, or if it was not asked for.
    """

    name: str
    points: "Points"
    candidates: "Points"
    maximum: float | None = None


def predictions(
    predictor: "Predictor", samples: "Sequence[Sample]", task: str, *, maxima: bool = False
) -> Iterator[Prediction]:
    """Predicts the images one after the other, with a bar named `task` on a terminal.

    `maxima` says whether the largest values of maps are asked for, for which the maps are put together.
    """
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    for sample in track(samples, task, console=console, disable=not console.is_terminal):
        maximum = None
        if maxima:
            seen = predictor.inspect(sample.image)
            candidates = seen.candidates
            maximum = None if seen.map is None else float(seen.map.max())
        else:
            candidates = predictor.candidates(sample.image)
        points = predictor.select(candidates)  # of the whole image: a threshold may depend on it
        yield Prediction(sample.name, _within(sample, points), _within(sample, candidates), maximum)


class Judge:
    """The heads of a dataset's images, read at once, and how predictions are judged by them.

    Args:
        dataset: the dataset's name.
        samples: its images, at least one.

    Attributes:
        truth: image name -> heads, those within its region where it has one.

    Raises:
        DatasetError: if an image has no annotation.
        FormatError: if an annotation or a region cannot be read.
        ImageError: if an image's header cannot be read.
    """

    def __init__(self, dataset: str, samples: "Sequence[Sample]") -> None:
        from crowdpoint import metrics

        protocol = metrics.protocol(dataset)
        self.truth = {sample.name: _within(sample, sample.points()) for sample in samples}
        self._groups = {
            sample.name: protocol.groups_of(len(self.truth[sample.name]), sample.labels) for sample in samples
        }
        crowded = [heads for heads in self.truth.values() if len(heads)]
        self._boxes = bool(crowded) and all(heads.sizes is not None for heads in crowded)
        self._protocol = protocol

    def evaluator(self) -> "Evaluator":
        """A new evaluator by the dataset's protocol; with boxes where every head has one."""
        return self._protocol.evaluator(boxes=self._boxes)

    def judge(self, prediction: Prediction, evaluator: "Evaluator") -> None:
        """Adds one image to an evaluator."""
        name = prediction.name
        evaluator.update(
            prediction.points,
            self.truth[name],
            prediction.candidates,
            groups=self._groups[name],
            name=name,
        )


def _within(sample: "Sample", points: "Points") -> "Points":
    """The points where objects count."""
    from crowdpoint.metrics import within_region

    region = sample.region()
    return points if region is None else within_region(points, region)
