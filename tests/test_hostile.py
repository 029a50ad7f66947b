"""The trial of damaged inputs, with few of them: benchmarks/hostile.py reads tens of thousands."""

import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import hostile
import numpy as np
import pytest

from crowdpoint.errors import ImageError
from crowdpoint.processes import Child

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the trial reads /proc")


@pytest.mark.parametrize("kind", ["pictures", "annotations"])
def test_damaged_files_are_read_or_refused(kind: str) -> None:
    tally = hostile.trial(kind, 60, seed=7)
    assert tally.outcomes.total() == 60
    assert tally.sound, tally.faults


def _refuse(_: Path) -> object:
    raise ImageError("damaged")


def _fail(_: Path) -> object:
    raise KeyError("damaged")


def test_the_outcome_of_each_input_is_counted() -> None:
    uses: dict[str, Callable[[Path], object]] = {
        "read": str,
        "clear error": _refuse,
        "other exception": _fail,
    }
    for outcome, use in uses.items():
        assert hostile._use(0, Path("a"), use, lambda _: 0).outcome == outcome
    greedy = hostile._use(0, Path("a"), lambda _: np.ones(1 << 28, np.uint8), lambda _: 1000)
    assert (greedy.outcome, greedy.line) == ("too much memory", "0.3 GB for 0.0 megapixels")


def _spin(_: Path) -> object:
    while True:
        pass


def _misbehave(connection: Connection) -> None:
    connection.send(None)
    for number in connection.recv():
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60 if number == 3 else 0)
        if number == 5:
            hostile.HANG_SECONDS = 0.2
            hostile._use(number, Path("a"), _spin, lambda _: 0)
        connection.send(hostile.Found(number, "read"))


def test_a_process_that_dies_or_hangs_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child(_misbehave)
    died = list(hostile._answers(child, [0, 1, 2]))
    assert [(found.number, found.outcome) for found in died] == [(0, "read"), (1, "crash")]
    monkeypatch.setattr(hostile, "WAIT_SECONDS", 0.5)
    assert [found.outcome for found in hostile._answers(child, [3, 4])] == ["hang"]
    child.close()


def test_a_hang_is_detected_by_its_cpu_time() -> None:
    child = Child(_misbehave)
    assert [found.outcome for found in hostile._answers(child, [4, 5, 6])] == ["read", "hang"]
    child.close()
