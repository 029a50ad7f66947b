"""Predict images in a process that is replaced when it crashes, runs out of memory or is killed.

The process answers image by image, so that the image that crashed it is known and no result is lost.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import zip_longest
from multiprocessing.connection import Connection

from crowdpoint.batch.model import PortableModel
from crowdpoint.errors import BatchError, ImageError, ProcessError
from crowdpoint.estimate import require_points
from crowdpoint.opening import ImageSource, fetch, open_image
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.processes import Child

Advance = Callable[[int], None]
"""Progress callback, called from any thread with a number of finished images."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Points of an image, with the interval, the warning and the finest working scale of `Predictor`."""

    points: Points
    interval: tuple[int, int] | None
    warning: str | None
    scale: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one image: its prediction, or an error."""

    image: str
    prediction: Prediction | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """How to read images: time limit per image in seconds, if any, and whether to read virtual rasters."""

    timeout: float | None = None
    allow_vrt: bool = False


class BatchWorker(Child):
    """Process with one thread that predicts images."""

    def __init__(self, model: PortableModel, options: Options | None = None) -> None:
        self._model = model
        self._options = options or Options()
        super().__init__(_work, model, self._options.allow_vrt)
        self._late = False

    def predict(self, images: Sequence[str], advance: Advance) -> list[Outcome]:
        """Predict images, and return their answers in order.

        Retries an image that crashed the process once, alone, before reporting an error.

        Raises:
            BatchError: if no process can be started, or the worker has been closed.
        """
        answers: list[Outcome] = []
        while len(answers) < len(images):
            answers += self._ask(images[len(answers) :], advance)
            if len(answers) < len(images):
                suspect = images[len(answers)]
                again = [] if self._late else self._ask([suspect], advance)
                if not again:
                    reason = f"crashed the process twice: {self.end}"
                    if self._late:
                        reason = f"took longer than {self._options.timeout:g} s; --timeout sets the limit"
                    again = [Outcome(suspect, error=reason)]
                    advance(1)
                answers += again
        return answers

    def _ask(self, images: Sequence[str], advance: Advance) -> list[Outcome]:
        """Collect the answers until all images are done or the process dies."""
        if not self.running:
            try:
                self.start()
            except ProcessError as error:
                raise BatchError(f"{self._model.name}: {error}") from error
        answers: list[Outcome] = []
        self._late = False
        with suppress(ProcessError):
            self.send(images)
            for _ in images:
                with self._limit_time():
                    answers.append(self.receive())
                advance(1)
        return answers

    @contextmanager
    def _limit_time(self) -> Iterator[None]:
        self._late = False  # the limit may have ended the process just after the last image's answer
        if self._options.timeout is None:
            yield
            return

        def end() -> None:
            self._late = True
            self.kill()

        clock = threading.Timer(self._options.timeout, end)
        clock.start()
        try:
            yield
        finally:
            clock.cancel()
            clock.join()


def _work(connection: Connection, model: PortableModel, allow_vrt: bool) -> None:
    """Load the model, then answer lists of images until the connection closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all its processes
    predictor = model.load(threads=1)
    with suppress(EOFError, ConnectionError), ThreadPoolExecutor(1) as reader:
        connection.send(None)
        while True:
            for image, content in _prefetch(connection.recv(), reader):
                connection.send(_answer(predictor, image, content, allow_vrt))


def _prefetch(images: Sequence[str], reader: ThreadPoolExecutor) -> Iterator[tuple[str, Future[str | bytes]]]:
    """Yield each image with its future content, reading the next one during its prediction."""
    following = reader.submit(fetch, images[0])
    for image, next_image in zip_longest(images, images[1:]):
        content = following
        if next_image is not None:
            following = reader.submit(fetch, next_image)
        yield image, content


def _answer(predictor: Predictor, image: str, content: Future[str | bytes], allow_vrt: bool) -> Outcome:
    try:
        source = content.result()
        if isinstance(source, str):
            with open_image(source, allow_vrt=allow_vrt) as opened:
                return Outcome(image, _predict(predictor, opened))
        return Outcome(image, _predict(predictor, source))
    except ImageError as error:
        return Outcome(image, error=str(error).removeprefix("image bytes: ").removeprefix(f"{image}: "))
    except Exception as error:  # an image must not stop the others
        return Outcome(image, error=f"{type(error).__name__}: {error}")


def _predict(predictor: Predictor, source: ImageSource) -> Prediction:
    found, scales = predictor.search(source)
    points = require_points(found, predictor.info.name)
    interval, warning = predictor.interval(points, scales), predictor.warning(points, scales)
    return Prediction(points, interval, warning, scales.finest)
