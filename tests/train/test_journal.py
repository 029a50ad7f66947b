"""The journal: CSV, TensorBoard and plain lines, going on after a kill."""

import csv
import errno
import logging
import threading
from pathlib import Path
from unittest import mock

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import tiny_recipe

from crowdpoint.backbones.branches import Activity
from crowdpoint.errors import StorageError
from crowdpoint.metrics import Evaluator
from crowdpoint.points import Points
from crowdpoint.recipe import IntervalConfig
from crowdpoint.train import journal
from crowdpoint.train.journal import Journal
from crowdpoint.train.validation import Validation

RECIPE = tiny_recipe("run.steps=6")


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(journal, "EVERY", 2)
    caplog.set_level(logging.INFO, "crowdpoint")


def rows(out: Path) -> list[list[str]]:
    with (out / "log.csv").open(newline="") as file:
        return list(csv.reader(file))


def steps(out: Path, name: str) -> list[int]:
    return [int(row[0]) for row in rows(out)[1:] if row[1] == name]


def test_records_means_and_validations(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    evaluator = Evaluator(deltas=())
    evaluator.update(Points.empty((9, 9)), Points([[1, 2], [3, 4]], image_size=(9, 9)))
    nobody = Evaluator(deltas=())
    nobody.update(Points.empty((9, 9)), Points.empty((9, 9)))
    with Journal(tmp_path, RECIPE, first=0, active=True) as record:
        for step in (1, 2, 3):
            record.step(step, {"classification": step, "point": 1.0, "a_third_term": 1e9}, 1e-3)
        activity = {"regression": Activity(1.5, 0.25), "size": Activity(0.0, 1.0)}
        reports, heads = {"a": evaluator.compute(), "empty": nobody.compute()}, {"a": 2, "empty": 0}
        record.validation(
            3,
            Validation(0.4, IntervalConfig(below=1, above=2), reports, heads, activity=activity),
        )
    found = {(row[0], row[1]): row[2] for row in rows(tmp_path)[1:]}
    assert rows(tmp_path)[0] == ["step", "name", "value"]
    assert found["2", "loss/classification"] == "1.5"
    assert found["2", "loss/point"] == "1"
    assert found["2", "rate"] == "0.001"
    assert float(found["2", "seconds_per_step"]) >= 0
    assert found["3", "validation/a/mae"] == "2"
    assert float(found["3", "validation/a/error"]) == pytest.approx(2 / 3, rel=1e-4)
    assert found["3", "validation/threshold"] == "0.4"
    assert found["3", "validation/a/f1_8"] == "0"
    assert found["3", "validation/empty/mae"] == "0"
    assert ("3", "validation/empty/f1_8") not in found
    assert found["3", "validation/regression_spread"] == "1.5"
    assert found["3", "validation/size_dead"] == "1"
    assert ("3", "rate") not in found
    starts = ("step 2/6  classification 1.5000", "step 3/6  a: mae 2", "step 3/6  empty: mae 0")
    *lines, warning = caplog.messages
    assert [line.startswith(start) for line, start in zip(lines, starts, strict=False)] == [True] * 3
    assert lines[3].startswith("step 3/6  validation: merit")
    assert len(lines) == 4
    assert warning == (
        "the size branch returns a constant (standard deviation 0.0e+00); lower optimizer.rate, or warm up "
        "longer"
    )
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("loss/classification")] == [2]
    assert board.Scalars("validation/a/mae")[0].value == 2


def test_a_log_continues_at_the_checkpoint(tmp_path: Path) -> None:
    """Lines of steps after the checkpoint go, and so does one that a kill cut short."""
    with Journal(tmp_path, RECIPE, first=0, active=True) as record:
        for step in range(1, 5):
            record.step(step, {"point": 1.0}, 1e-3)
    with (tmp_path / "log.csv").open("a") as file:
        file.write("6,loss/po")
    with Journal(tmp_path, RECIPE, first=2, active=True) as record:
        for step in range(3, 7):
            record.step(step, {"point": 1.0}, 1e-3)
    assert steps(tmp_path, "loss/point") == [2, 4, 6]


def test_a_log_is_whole_between_two_lines(tmp_path: Path) -> None:
    """A resumed run that is killed at once keeps the lines of the steps before."""
    with Journal(tmp_path, RECIPE, first=0, active=True) as record:
        record.step(2, {"point": 1.0}, 1e-3)
    with Journal(tmp_path, RECIPE, first=2, active=True) as record:
        record.step(3, {"point": 1.0}, 1e-3)
        assert steps(tmp_path, "loss/point") == [2]
        record.step(4, {"point": 1.0}, 1e-3)
        assert steps(tmp_path, "loss/point") == [2, 4]


def test_a_new_run_starts_a_new_log(tmp_path: Path) -> None:
    for _ in range(2):
        with Journal(tmp_path, RECIPE, first=0, active=True) as record:
            record.step(1, {"point": 1.0}, 1e-3)
            record.step(2, {"point": 1.0}, 1e-3)
    assert steps(tmp_path, "loss/point") == [2]


def test_a_run_without_a_step_writes_nothing(tmp_path: Path) -> None:
    """It keeps the log of the run before it, too."""
    with Journal(tmp_path, RECIPE, first=0, active=True) as record:
        record.step(2, {"point": 1.0}, 1e-3)
    before = rows(tmp_path), len(list((tmp_path / "tensorboard").iterdir()))
    with Journal(tmp_path, RECIPE, first=0, active=True):
        pass
    assert (rows(tmp_path), len(list((tmp_path / "tensorboard").iterdir()))) == before
    with Journal(tmp_path / "run", RECIPE, first=0, active=True):
        pass
    assert not (tmp_path / "run").exists()


def test_other_processes_do_not_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Journal(tmp_path / "run", RECIPE, first=0, active=False) as record:
        record.step(2, {"point": 1.0}, 1e-3)
    assert caplog.messages == []
    assert not (tmp_path / "run").exists()


def record_steps(out: Path) -> None:
    """Record more than the queue of TensorBoard's thread holds."""
    with Journal(out, RECIPE, first=0, active=True) as record:
        for step in range(2, 40, 2):
            record.step(step, {"point": 1.0}, 1e-3)


NO_SPACE = r"cannot be written \(No space left on device\); free some space"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full disk to write to")
def test_a_full_disk_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "log.csv").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=NO_SPACE):
        record_steps(tmp_path)


def test_a_disk_that_is_full_for_tensorboard_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """TensorBoard writes in a thread of its own, whose error comes up at the next call."""
    before = threading.excepthook
    full = mock.Mock(side_effect=[None, OSError(errno.ENOSPC, "No space left on device")])
    monkeypatch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)
    with pytest.raises(StorageError, match=NO_SPACE):
        record_steps(tmp_path)
    assert capfd.readouterr() == ("", "")
    assert threading.excepthook is before


def test_logs_the_expected_time_and_the_progress(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the steps after the first, which waits for data; a resumed run counts its own steps."""
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    monkeypatch.setattr(journal, "EVERY", 1000)
    with Journal(tmp_path, tiny_recipe("run.steps=900"), first=100, active=True) as record:
        for step in range(101, 121):
            now += 60 if step == 101 else 2
            record.step(step, {"point": 1.0}, 1e-3)
    assert caplog.messages == [
        "795 steps at 2.00 s: about 27 min",
        "step 113/900  about 27 min left",
    ]
    assert [journal._format_duration(seconds) for seconds in (7, 89, 91, 7200)] == [
        "7 s",
        "89 s",
        "2 min",
        "2 h 0 min",
    ]
