"""A process that decodes images and runs the models, so that a crash ends the answer for one image alone."""

import json
import signal
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from time import perf_counter
from typing import IO

from crowdpoint import images
from crowdpoint.errors import CrowdpointError, ImageError, ImageTooLargeError, ProcessError
from crowdpoint.formats.records import prediction
from crowdpoint.predict import Predictor
from crowdpoint.predict.engine import ModelInfo
from crowdpoint.processes import Child

Load = Callable[[], Mapping[str, Predictor]]
"""Loads the models by their names, at least one; runs in the process, so it must be possible to pickle it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One image to work on.

    Attributes:
        image: its name, which is only repeated.
        model: which model to ask.
        threshold: least score of a point; the model's own if None.
    """

    image: str
    model: str
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The record of one image as JSON, or what is wrong with it.

    Attributes:
        record: empty if there is none.
        status: of HTTP.
        detail: for the client, without the image's name.
        log: for the server's log alone.
        seconds: from the question to the answer.
    """

    record: bytes = b""
    status: int = 200
    detail: str = ""
    log: str = ""
    seconds: float = 0.0


class Worker:
    """Answers one image after the other, in a process of its own.

    Args:
        load: loads the models.
        pixels: the most pixels of an image.
    """

    def __init__(self, load: Load, pixels: int) -> None:
        self._child = Child(_work, load, pixels)

    def start(self) -> dict[str, ModelInfo]:
        """Load the models; returns what they are, the default first.

        Raises:
            CrowdpointError: if they cannot be loaded, or no process can be started.
        """
        loaded = self._child.start()
        if isinstance(loaded, CrowdpointError):
            raise loaded
        infos: dict[str, ModelInfo] = loaded
        return infos

    def answer(self, file: IO[bytes], question: Question) -> Answer:
        """Predict the image in a file; blocks until it is done, or `kill` is called."""
        start = perf_counter()
        try:
            if not self._child.running:
                self.start()
            self._child.send((file.read(), question))
            answer: Answer = self._child.receive()
        except ProcessError as error:
            broken = "the process that worked on it ended; the image may be damaged, or take too much memory"
            answer = Answer(status=500, detail=broken, log=f"the process that worked on it: {error}")
        return replace(answer, seconds=perf_counter() - start)

    def kill(self) -> None:
        """End the process and its answer; the next one starts another. May be called from any thread."""
        self._child.kill()

    def close(self) -> None:
        """End the process for good. May be called from any thread."""
        self._child.close()


def _work(connection: Connection, load: Load, pixels: int) -> None:
    """The process: load the models, then answer until nobody listens."""
    # Terminals send Ctrl-C to all processes, service managers SIGTERM, and the server still answers then.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        predictors = load()
    except CrowdpointError as error:
        connection.send(error)
        return
    with suppress(EOFError, ConnectionError):
        connection.send({name: predictor.info for name, predictor in predictors.items()})
        while True:
            content, question = connection.recv()
            connection.send(_answer(predictors[question.model], content, question, pixels))


def _answer(predictor: Predictor, content: bytes, question: Question, pixels: int) -> Answer:
    try:
        picture = images.read(content, pixel_limit=pixels)
        points = predictor.predict(picture, threshold=question.threshold)
        bounds = predictor.interval(points, threshold=question.threshold)
        document = prediction(question.image, points, bounds, question.model)
        return Answer(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
    except ImageTooLargeError:
        return Answer(status=413, detail=f"more than {pixels} pixels by its header; send a smaller one")
    except ImageError as error:
        return Answer(status=422, detail=str(error).removeprefix("image bytes: "))
    except Exception:  # whatever one image does, the others are still answered
        failed = "the server failed at this image; its log says why"
        return Answer(status=500, detail=failed, log=traceback.format_exc())
