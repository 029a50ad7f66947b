"""Weights & Biases and MLflow: real ones where they are installed, and stand-ins for what goes wrong."""

import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from tiny_runs import tiny_recipe

from crowdpoint.errors import ConfigError, MissingExtraError
from crowdpoint.train import journal
from crowdpoint.train.journal import Journal
from crowdpoint.train.start import _list_differences


def record(out: Path, name: str, first: int = 0, last: int = 4) -> None:
    """Record steps, of which every second writes its mean loss."""
    recipe = tiny_recipe("run.steps=6", f"run.loggers=[{name}]")
    with Journal(out, recipe, first=first, active=True) as journal:
        for step in range(first + 1, last + 1):
            journal.step(step, {"point": float(step)}, 1e-3)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "EVERY", 2)


@pytest.mark.filterwarnings("ignore")  # of their own
def test_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, for a later upload; two trainings of a process are two runs, and a resumed one is one run."""
    pytest.importorskip("wandb", reason="wandb is not installed: pip install -e '.[wandb]'")
    pytest.importorskip("pytorch_lightning", reason="wandb is not installed: pip install -e '.[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    ids = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        record(tmp_path / name, "wandb")
        ids.append(json.loads((tmp_path / name / "trackers.json").read_text())["wandb"])
        [written] = (tmp_path / name / "wandb").glob(f"offline-run-*/run-{ids[-1]}.wandb")
        assert b"loss/point" in written.read_bytes()
        assert b"head_channels" in written.read_bytes(), "the recipe"
    assert len(set(ids)) == 2
    record(tmp_path / "two", "wandb", first=4, last=6)
    assert json.loads((tmp_path / "two" / "trackers.json").read_text()) == {"wandb": ids[1]}
    folders = list((tmp_path / "two" / "wandb").glob("offline-run-*"))
    assert [folder.name.rpartition("-")[2] for folder in folders] == [ids[1], ids[1]]
    assert all((folder / f"run-{ids[1]}.wandb").is_file() for folder in folders)


@pytest.mark.filterwarnings("ignore")  # of their own
def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed: pip install -e '.[mlflow]'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    record(tmp_path / "run", "mlflow")
    run = json.loads((tmp_path / "run" / "trackers.json").read_text())["mlflow"]
    client = mlflow.MlflowClient()
    assert client.get_run(run).data.params["run/steps"] == "6"
    assert client.get_run(run).info.run_name == "run"
    record(tmp_path / "run", "mlflow", first=4, last=6)
    history = client.get_metric_history(run, "loss/point")
    assert [(one.step, one.value) for one in history] == [(2, 1.5), (4, 3.5), (6, 5.5)]
    assert client.get_run(run).info.status == "FINISHED"
    with (
        pytest.raises(RuntimeError, match="the disk"),
        Journal(tmp_path / "bad", tiny_recipe("run.loggers=[mlflow]"), first=0, active=True),
    ):
        raise RuntimeError("the disk")
    run = json.loads((tmp_path / "bad" / "trackers.json").read_text())["mlflow"]
    assert client.get_run(run).info.status == "FAILED"


class StandIn:
    """Lightning's logger of MLflow, as far as it is used."""

    made: ClassVar[list["StandIn"]] = []
    fails_at: ClassVar[str] = ""

    def __init__(self, experiment: str, *, run_name: str, tracking_uri: str, run_id: str | None) -> None:
        self.given = experiment, run_name, tracking_uri, run_id
        self.version = run_id or "a1"
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.made.append(self)

    def _call(self, name: str) -> None:
        if self.fails_at == name:
            raise OSError("the server is gone")

    @property
    def experiment(self) -> object:
        self._call("experiment")
        return self

    def log_hyperparams(self, values: Mapping[str, Any]) -> None:
        self._call("log_hyperparams")

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        self._call("log_metrics")
        self.logged.append((step, dict(values)))

    def finalize(self, status: str) -> None:
        self._call("finalize")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    """MLflow, whether it is installed or not."""
    loggers, mlflow = ModuleType("loggers"), ModuleType("mlflow")
    loggers.MLFlowLogger = StandIn  # type: ignore[attr-defined]
    mlflow.get_tracking_uri = lambda: "http://tracker"  # type: ignore[attr-defined]
    lightning = ModuleType("pytorch_lightning")
    for name, module in (
        ("mlflow", mlflow),
        ("pytorch_lightning", lightning),
        ("pytorch_lightning.loggers", loggers),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(StandIn, "made", [])
    monkeypatch.setattr(StandIn, "fails_at", "")
    return StandIn


def test_a_resumed_run_continues_in_the_tracker(
    stand_in: type[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "crowds")
    record(tmp_path / "run", "mlflow")
    monkeypatch.setattr(stand_in, "fails_at", "log_hyperparams")  # which MLflow refuses to change
    record(tmp_path / "run", "mlflow", first=4, last=6)
    monkeypatch.setattr(stand_in, "fails_at", "")
    record(tmp_path / "run", "mlflow")
    assert [logger.given[3] for logger in stand_in.made] == [None, "a1", None]
    assert stand_in.made[0].given[:3] == ("crowds", "run", "http://tracker")
    step, values = stand_in.made[1].logged[0]
    assert (step, values["loss/point"], values["rate"]) == (6, 5.5, 1e-3)


def test_a_tracker_that_cannot_be_started_is_an_error(
    stand_in: type[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand_in, "fails_at", "experiment")
    with pytest.raises(ConfigError, match=r"^run.loggers=mlflow cannot be started: the server is gone$"):
        record(tmp_path, "mlflow")


@pytest.mark.parametrize(
    ("call", "message"),
    [("log_metrics", "mlflow does not record the run any more"), ("finalize", "mlflow does not end the run")],
)
def test_a_tracker_that_fails_later_is_one_warning(
    call: str,
    message: str,
    stand_in: type[StandIn],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "crowdpoint")
    monkeypatch.setattr(stand_in, "fails_at", call)
    record(tmp_path, "mlflow")
    assert caplog.messages == [f"{message}: the server is gone"]
    assert "4,loss/point,3.5" in (tmp_path / "log.csv").read_text()


def test_a_tracker_is_ended_if_the_next_one_cannot_be_started(
    stand_in: type[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(stand_in, "finalize", lambda _, status: ended.append(status))
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises((MissingExtraError, ConfigError)):
        record(tmp_path, "mlflow, wandb")
    assert ended == ["failed"]


def test_damaged_ids_of_runs_name_their_file(stand_in: type[StandIn], tmp_path: Path) -> None:
    record(tmp_path, "mlflow")
    (tmp_path / "trackers.json").write_text("[1")
    with pytest.raises(ConfigError, match=r"trackers.json: damaged; delete it"):
        record(tmp_path, "mlflow", first=4, last=6)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_lightning.loggers", None)
    with pytest.raises(MissingExtraError, match=rf"run.loggers={name} needs .* 'crowdpoint\[{name}\]'"):
        record(tmp_path, name)
    assert not (tmp_path / "log.csv").exists()


def test_no_tracker_leaves_no_file(tmp_path: Path) -> None:
    record(tmp_path, "")
    assert {path.name for path in tmp_path.iterdir()} == {"log.csv", "tensorboard"}


def test_a_run_can_be_resumed_with_other_trackers() -> None:
    assert _list_differences(tiny_recipe("run.loggers=[mlflow]"), tiny_recipe()) == []
