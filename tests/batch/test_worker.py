import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from crowdpoint.batch.local import predict_locally
from crowdpoint.batch.model import PortableModel
from crowdpoint.batch.worker import BatchWorker, Options
from crowdpoint.errors import BatchError
from crowdpoint.points import Points
from crowdpoint.predict.looks import Scales

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


class Fragile:
    """A predictor that does what the bytes of an image say."""

    info = SimpleNamespace(name="fragile")

    def search(self, content: bytes) -> tuple[Points, Scales]:
        """A point; or death, or an error that nobody expects."""
        if content == b"kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if content == b"wait":
            time.sleep(600)
        if content == b"raise":
            raise RuntimeError("out of luck")
        return Points(np.ones((1, 2), np.float32), image_size=(8, 8)), Scales(1, 1)

    def interval(self, *_: object) -> None:
        """It has none."""

    def warning(self, *_: object) -> None:
        """It has none."""


@dataclass(frozen=True, slots=True)
class FragileModel(PortableModel):
    """Loads a `Fragile`; or, named `broken`, does not."""

    def load(self, threads: int) -> Fragile:  # type: ignore[override]
        """The predictor."""
        if self.name == "broken":
            sys.exit(3)
        return Fragile()


def model(name: str = "fragile") -> FragileModel:
    return FragileModel("", {}, name, "", 0.5, "fp32", uses_gpus=False)


def photos(folder: Path, *contents: str) -> list[str]:
    paths = [folder / f"{number}.jpg" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    return [str(path) for path in paths]


def test_an_image_that_crashes_its_process_fails_alone(tmp_path: Path) -> None:
    images = photos(tmp_path, "good", "kill", "good", "raise", "kill")
    images.append(str(tmp_path / "nope.jpg"))
    counted: list[int] = []
    worker = BatchWorker(model())
    answers = worker.predict(images, counted.append)
    worker.close()
    assert [answer.image for answer in answers] == images
    assert [answer.prediction is not None for answer in answers] == [True, False, True, False, False, False]
    assert answers[1].error == answers[4].error == "crashed the process twice: killed by SIGKILL"
    assert answers[3].error == "RuntimeError: out of luck"
    assert answers[5].error == "download failed (No such file or directory)"
    assert sum(counted) == len(images)


def test_an_image_beyond_the_time_limit_fails_alone(tmp_path: Path) -> None:
    worker = BatchWorker(model(), Options(timeout=3))
    answers = worker.predict(photos(tmp_path, "good", "wait", "good", "kill"), lambda _: None)
    worker.close()
    assert [answer.prediction is not None for answer in answers] == [True, False, True, False]
    assert answers[1].error == "took longer than 3 s; --timeout sets the limit"
    assert answers[3].error == "crashed the process twice: killed by SIGKILL"


class EndedAfterAnAnswer(BatchWorker):
    """Ends the process, as the limit does, just after the answer to the first image."""

    received = 0

    def receive(self) -> object:
        """The next message; the first one says that the process is ready."""
        answer = super().receive()
        self.received += 1
        if self.received == 2:
            self._late = True
            self.kill()
        return answer


def test_an_image_does_not_fail_by_the_limit_of_the_one_before(tmp_path: Path) -> None:
    worker = EndedAfterAnAnswer(model(), Options(timeout=600))
    answers = worker.predict(photos(tmp_path, "good", "good", "good"), lambda _: None)
    worker.close()
    assert [answer.error for answer in answers] == ["", "", ""]


def test_a_process_killed_from_outside_loses_no_image(tmp_path: Path) -> None:
    images = photos(tmp_path, *["good"] * 40)
    killed: list[int] = []

    def advance(count: int) -> None:
        if not killed:
            killed.extend(child.pid or 0 for child in multiprocessing.active_children())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    chunks = (images[start : start + 10] for start in range(0, 40, 10))
    parts = list(predict_locally(chunks, model(), 2, advance))
    assert killed
    assert (len({part.name for part in parts}), sum(part.predicted for part in parts)) == (4, 40)
    assert not any(part.failed for part in parts)


def test_a_process_that_dies_while_it_sends_loses_no_image(tmp_path: Path) -> None:
    (image,) = photos(tmp_path, "good")
    worker = BatchWorker(model())
    worker.predict([image], lambda _: None)

    def cut() -> None:
        raise OSError("got end of file during message")  # as `multiprocessing` says it

    connection = worker._connection
    worker._connection = SimpleNamespace(send=connection.send, recv=cut, close=connection.close)  # type: ignore[assignment]
    (answer,) = worker.predict([image], lambda _: None)
    worker.close()
    assert answer.prediction is not None


def test_closing_ends_the_processes(tmp_path: Path) -> None:
    images = photos(tmp_path, *["good"] * 20)
    parts = predict_locally(iter([[image] for image in images]), model(), 2, lambda _: None)
    next(parts)
    children = [child.pid for child in multiprocessing.active_children()]
    assert children
    parts.close()
    until = time.monotonic() + 60
    while multiprocessing.active_children() and time.monotonic() < until:
        time.sleep(0.01)
    assert not multiprocessing.active_children()


def test_a_process_that_never_starts_ends_the_batch(tmp_path: Path) -> None:
    worker = BatchWorker(model("broken"))
    with pytest.raises(BatchError, match="broken: no process can be started: ended with exit code 3"):
        worker.predict(photos(tmp_path, "good"), lambda _: None)
