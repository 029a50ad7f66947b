"""Decode images and run models in a process, so that a crash affects a single image only."""

import json
import math
import signal
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from time import perf_counter
from typing import IO, Any

from crowdpoint import images, memory
from crowdpoint.errors import ConfigError, CrowdpointError, ImageError, ImageTooLargeError, ProcessError
from crowdpoint.estimate import require_points
from crowdpoint.formats.records import to_prediction
from crowdpoint.predict import Predictor
from crowdpoint.predict.engine import ModelInfo
from crowdpoint.predict.predictor import AUTO, Scale
from crowdpoint.processes import Child
from crowdpoint.web.limits import Limits

Load = Callable[[], Mapping[str, Predictor]]
"""Picklable function that loads at least one model, by name, in the process."""

CRASHED = "the worker process crashed; the image may be damaged, or take too much memory"
"""Error of an image whose process died."""


def load_models(models: Sequence[str], **options: Any) -> dict[str, Predictor]:
    """Load the models of a server by their names. Options are those of `Predictor.load`, for all of them."""
    predictors: dict[str, Predictor] = {}
    for model in models:
        predictor = Predictor.load(model, **options).require_locating()
        name = predictor.info.name
        if name in predictors:
            raise ConfigError(
                f"--model {model}: a model with the name {name} is served already; serve one of them"
            )
        predictors[name] = predictor
    return predictors


@dataclass(frozen=True, slots=True)
class Job:
    """Name and model of an image, and how to predict it.

    Attributes:
        image: name of the image.
        model: name of the model.
        threshold: minimum score of a point; None for the model's own.
        scale: working scale.
        max_side: maximum side of the model's images.
    """

    image: str
    model: str
    threshold: float | None
    scale: Scale = AUTO
    max_side: int | None = None


@dataclass(frozen=True, slots=True)
class JobResult:
    """Record of one image as JSON, or an error.

    Attributes:
        record: JSON record; empty on error.
        status: HTTP status.
        detail: error message for the client, without the image's name.
        log: message for the server's log only.
        seconds: processing time.
    """

    record: bytes = b""
    status: int = 200
    detail: str = ""
    log: str = ""
    seconds: float = 0.0


class WebWorker(Child):
    """Process that predicts one image at a time. After `kill`, the next image starts a new one."""

    def __init__(self, load: Load, limits: Limits) -> None:
        super().__init__(_work, load, limits.pixels, limits.worker_bytes)

    def start(self) -> dict[str, ModelInfo]:
        """Load the models, and return their descriptions, the default first.

        Raises:
            CrowdpointError: if they cannot be loaded, or no process can be started.
        """
        loaded: dict[str, ModelInfo] | CrowdpointError = super().start()
        if isinstance(loaded, CrowdpointError):
            raise loaded
        return loaded

    def answer(self, file: IO[bytes], question: Job) -> JobResult:
        """Predict the image in a file, blocking until it is done or `kill` is called."""
        start = perf_counter()
        try:
            if not self.running:
                self.start()
            self.send((file.read(), question))
            answer: JobResult = self.receive()
        except ProcessError as error:
            answer = JobResult(status=500, detail=CRASHED, log=f"the worker process: {error}")
        return replace(answer, seconds=perf_counter() - start)


def _work(connection: Connection, load: Load, pixels: int, memory_bytes: int) -> None:
    """Load the models, then answer until the connection closes."""
    # Ignore Ctrl-C and SIGTERM, which reach all processes: the server still finishes its requests.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        predictors = load()
    except CrowdpointError as error:
        connection.send(error)
        return
    memory.restrict(memory_bytes)
    with suppress(EOFError, ConnectionError):
        connection.send({name: _describe(predictor) for name, predictor in predictors.items()})
        while True:
            content, question = connection.recv()
            connection.send(_predict(predictors[question.model], content, question, pixels))


def _describe(predictor: Predictor) -> ModelInfo:
    """Describe a model, with the threshold in use."""
    config = predictor.info.config.model_copy(update={"threshold": predictor.threshold})
    return replace(predictor.info, config=config)


def _predict(predictor: Predictor, content: bytes, question: Job, pixels: int) -> JobResult:
    try:
        picture = images.read(content, pixel_limit=pixels)
        if question.scale != AUTO:
            height, width = picture.shape[:2]
            if math.prod(images.scaled_size((width, height), question.scale, question.max_side)) > pixels:
                detail = f"more than {pixels} pixels at a scale of {question.scale:g}; choose a smaller scale"
                return JobResult(status=413, detail=detail)
        predictor = predictor.rescale(question.scale)
        least = predictor.threshold if question.threshold is None else question.threshold
        found, scales = predictor.search(picture, threshold=least)
        points = require_points(found, question.model)
        used = max(least, predictor.threshold)  # at a lower one, as the page's, the model's own still counts
        selected = points.threshold(used)
        bounds = predictor.interval(selected, threshold=used)
        warning = predictor.warning(selected, scales)
        document = to_prediction(question.image, points, bounds, warning, scales.finest, question.model)
        return JobResult(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
    except (ImageTooLargeError, MemoryError):
        detail = f"more than {pixels} pixels, or more memory than a worker has; send a smaller image"
        return JobResult(status=413, detail=detail)
    except ImageError as error:
        return JobResult(status=422, detail=str(error).removeprefix("image bytes: "))
    except Exception:  # an image must not stop the others
        failed = "prediction failed; see the server's log"
        return JobResult(status=500, detail=failed, log=traceback.format_exc())
