"""A process that predicts images, and is replaced when it dies: of memory, of a decoder's crash, by a signal.

It answers image by image, so that it is known which image it died of and nothing that it said is lost.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from crowdpoint import rasters
from crowdpoint.errors import BatchError, ImageError, ProcessError
from crowdpoint.opening import storage
from crowdpoint.processes import Child

if TYPE_CHECKING:
    from crowdpoint.batch.model import Model
    from crowdpoint.points import Points
    from crowdpoint.predict import Predictor

Advance = Callable[[int], None]
"""Called with a number of images that are done, from any thread."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of one image: its points, or why there are none."""

    image: str
    points: "Points | None" = None
    error: str = ""


class Worker:
    """Predicts images in a process of its own, with one thread.

    Args:
        model: what the process loads.
    """

    def __init__(self, model: "Model") -> None:
        self._model = model
        self._child = Child(_work, model)

    def predict(self, images: Sequence[str], advance: Advance) -> list[Answer]:
        """An answer for each location of an image, in their order.

        An image that the process dies of is tried once more, alone; then its error says so.

        Raises:
            BatchError: if no process can be started, or the worker has been closed.
        """
        answers: list[Answer] = []
        while len(answers) < len(images):
            answers += self._ask(images[len(answers) :], advance)
            if len(answers) < len(images):
                suspect = images[len(answers)]
                again = self._ask([suspect], advance)
                if not again:
                    again = [Answer(suspect, error=f"the process died of it twice: {self._child.end}")]
                    advance(1)
                answers += again
        return answers

    def close(self) -> None:
        """Ends the process at once, and whatever it is asked; may be called from another thread."""
        self._child.close()

    def _ask(self, images: Sequence[str], advance: Advance) -> list[Answer]:
        """What the process says of the images until it dies, if it does."""
        if not self._child.running:
            self._start()
        answers: list[Answer] = []
        with suppress(ProcessError):
            self._child.send(images)
            for _ in images:
                answers.append(self._child.receive())
                advance(1)
        return answers

    def _start(self) -> None:
        try:
            self._child.start()
        except ProcessError as error:
            raise BatchError(f"{self._model.name}: {error}") from error


def _work(connection: Connection, model: "Model") -> None:
    """The process: loads the model, then answers lists of images until nobody listens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal
    predictor = model.load(threads=1)
    with suppress(EOFError, ConnectionError), ThreadPoolExecutor(1) as reader:
        connection.send(None)
        while True:
            for image, content in _fetched(connection.recv(), reader):
                connection.send(_answer(predictor, image, content))


def _fetched(images: Sequence[str], reader: ThreadPoolExecutor) -> Iterator[tuple[str, Future[str | bytes]]]:
    """Each image with what is to come of it; while one is predicted, the next one is fetched."""
    coming = reader.submit(_read, images[0])
    for image, following in zip_longest(images, images[1:]):
        content = coming
        if following is not None:
            coming = reader.submit(_read, following)
        yield image, content


def _read(image: str) -> str | bytes:
    """What is predicted: the path of a raster of this machine, and of everything else the bytes."""
    return image if storage.is_local(image) and rasters.is_raster(image) else storage.read(image)


def _answer(predictor: "Predictor", image: str, content: Future[str | bytes]) -> Answer:
    try:
        return Answer(image, predictor.predict(content.result()))
    except ImageError as error:
        return Answer(image, error=str(error).removeprefix("image bytes: ").removeprefix(f"{image}: "))
    except Exception as error:  # whatever one image does, the others are still done
        return Answer(image, error=f"{type(error).__name__}: {error}")
