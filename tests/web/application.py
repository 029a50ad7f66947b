"""The application around models that the tests choose, and a model that does what pictures say."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from fastapi.testclient import TestClient
from serving import photo
from tiny_models import INFO

from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.predict.looks import Scales
from crowdpoint.predict.predictor import Scale
from crowdpoint.web import schemas
from crowdpoint.web.app import create
from crowdpoint.web.limits import Limits
from crowdpoint.web.pool import Pool
from crowdpoint.web.worker import Load

WAIT_SECONDS = 60.0

PROBLEM = "application/problem+json"

DIE, RAISE, HOLD, LAST, GREEDY = (photo({(0, 0): level}) for level in (40, 80, 120, 160, 200))


class Scripted:
    """A predictor that does what the first pixel of a picture says; it finds nothing.

    `HOLD` makes the file `started` in its folder and waits for one named `stop`; `GREEDY` takes a gigabyte
    of memory.
    """

    info = INFO
    threshold = INFO.threshold

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def search(
        self, picture: npt.NDArray[np.uint8], *, threshold: float | None = None
    ) -> tuple[Points, Scales]:
        """No points at scale 1; or death, or an error that nobody expects, or a long wait."""
        level = picture[0, 0, 0]
        if level == 40:
            os.kill(os.getpid(), signal.SIGKILL)
        if level == 80:
            raise RuntimeError("secret of the house")
        if level == 120:
            (self._folder / "started").touch()
            wait_for(self._folder / "stop")
        if level == 200:
            np.ones(1 << 30, np.uint8)
        return Points.empty((picture.shape[1], picture.shape[0])), Scales(1.0, 1.0)

    def rescale(self, _scale: Scale) -> "Scripted":
        """Itself: it sees every picture at scale 1."""
        return self

    def interval(self, _points: Points, *, threshold: float | None = None) -> None:
        """None, as of a model that is not calibrated."""

    def warning(self, _points: Points, _scales: Scales) -> None:
        """None, as of a model without sizes."""


def wait_for(path: Path) -> None:
    """Waits until a file is there."""
    until = time.monotonic() + WAIT_SECONDS
    while not path.exists():
        if time.monotonic() > until:
            sys.exit(f"{path} does not come")
        time.sleep(0.02)


def _load_scripted(folder: Path) -> dict[str, Any]:
    return {"scripted": Scripted(folder)}


def _load_files(models: dict[str, Path]) -> dict[str, Predictor]:
    return {name: Predictor.load(path, threads=1) for name, path in models.items()}


def scripted(folder: Path) -> Load:
    """Loads a `Scripted`."""
    return partial(_load_scripted, folder)


def files(**models: Path) -> Load:
    """Loads models from their files."""
    return partial(_load_files, models)


@contextmanager
def application(
    load: Load, *, workers: int = 1, limits: Limits | None = None, **options: Any
) -> Iterator[TestClient]:
    """A client of the application."""
    with Pool(load, workers, limits) as pool, TestClient(create(pool, **options)) as client:
        yield client


def send(client: TestClient, *images: bytes, query: str = "", **headers: str) -> Any:
    """Sends images to be predicted."""
    files = [("image", (f"{index}.png", content)) for index, content in enumerate(images)]
    return client.post(f"/v1/predict{query}", files=files, headers=headers)


def refused(answer: Any, status: int) -> dict[str, Any]:
    """The problem object, after the checks that hold for each."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    document = answer.json()
    schemas.Problem.model_validate(document)
    assert document["status"] == status
    assert isinstance(document, dict)
    return document
