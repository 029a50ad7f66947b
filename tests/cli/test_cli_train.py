"""`crowdpoint train` from its recipe to its checkpoint, as a user's shell runs it."""

import json
import signal
from pathlib import Path

import pytest
from command_line import crowdpoint
from tiny_runs import press_after, settings, write_shanghaitech

from crowdpoint import checkpoint
from crowdpoint.config import load_recipe

CPU = ("--accelerator", "cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shanghaitech(tmp_path_factory.mktemp("data"))


def test_trains_and_the_checkpoint_predicts(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = ("train", "p2pnet-lite", "--data", data, *CPU, *settings(["model.stride=8", "run.seed=5"]))
    outcome = crowdpoint(*run)
    assert (outcome.code, outcome.out) == (0, ""), outcome.err
    assert "step 2/2  classification " in outcome.err
    assert "step 2/2  validation: merit " in outcome.err
    folder = tmp_path / "runs" / "p2pnet-lite"
    _, recipe = checkpoint.load(folder / "last")
    assert (recipe.model.model_dump()["stride"], recipe.run.seed) == (8, 5)

    photo = next((data / "part_A" / "train_data" / "images").iterdir())
    predicted = crowdpoint("predict", photo, "--model", folder / "best", "--json", "--out", tmp_path / "out")
    assert predicted.code == 0, predicted.err
    assert json.loads(predicted.out)["width"] == 120

    again = crowdpoint(*run)
    assert again.code == 2
    assert "holds a run" in again.err
    resumed = crowdpoint(*run, "--resume", folder)
    assert resumed.code == 0, resumed.err
    other = crowdpoint(*run, "--set", "run.seed=6", "--resume", folder)
    assert (other.code, other.out) == (2, "")
    assert other.err.startswith(
        f"crowdpoint: {folder / 'last'}: cannot resume, the recipe differs from the run's in run.seed"
    )
    assert other.err.count("\n") == 1
    config = folder / "last" / "config.yaml"
    assert crowdpoint("train", config, "--data", data, *CPU, "--resume", folder).code == 0, (
        "as the message says"
    )
    tuned = crowdpoint(*run, "--from", folder / "best", "--out", tmp_path / "tuned")
    assert tuned.code == 0, tuned.err
    assert checkpoint.exists(tmp_path / "tuned" / "last")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_term(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    press_after(monkeypatch, 1, number)
    out = tmp_path / "my run"
    outcome = crowdpoint("train", "p2pnet-lite", "--data", data, *CPU, *settings([]), "--out", out)
    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err.splitlines()[-1] == f"crowdpoint: stopped; resume with --resume '{out}'"
    assert checkpoint.load_state(out / "last")["step"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("p2pnet-light",), 2, "p2pnet-light: no such recipe"),
        (
            ("p2pnet-lite", "--set", "run.stepz=1"),
            2,
            "p2pnet-lite.yaml: invalid configuration: run.stepz: Extra inputs",
        ),
        (("p2pnet-lite", "--set", "run.steps"), 2, "--set run.steps: expected key=value"),
        (("p2pnet-lite", "--set", "data=[{name: nowhere}]"), 2, "nowhere: unknown dataset"),
        (("p2pnet-shanghaitech-b",), 1, "has no folder part_B or part_B_final"),
        (
            ("p2pnet-lite", *settings(["loss.point_weight=1e38", "loss.point_norm=squared"])),
            1,
            "point is not finite at step 1",
        ),
        (("p2pnet-lite", *settings([]), "--from", "nowhere"), 2, "nowhere: no such model"),
        (
            ("p2pnet-lite", *settings([]), "--backbone-weights", __file__),
            2,
            "test_cli_train.py: not a torch checkpoint",
        ),
        (
            ("p2pnet-lite", *settings([]), "--resume", "nowhere"),
            2,
            "no checkpoint there, weights.safetensors is missing",
        ),
    ],
)
def test_errors_are_one_line(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = crowdpoint("train", *arguments, "--data", data, *CPU)
    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err.startswith("crowdpoint: ")
    assert complaint in outcome.err
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [], "a run that fails before its first step leaves nothing"


@pytest.mark.parametrize(
    "arguments",
    [
        ("p2pnet-lite",),
        ("p2pnet-lite", "--data", ".", "--resume", "run", "--out", "other"),
        ("p2pnet-lite", "--data", ".", "--accelerator", "abacus"),
        ("p2pnet-lite", "--data", ".", "--devices", "0"),
    ],
)
def test_usage(arguments: tuple[str, ...]) -> None:
    outcome = crowdpoint("train", *arguments)
    assert outcome.code == 2
    assert "Usage: crowdpoint train" in outcome.err


@pytest.mark.parametrize("name", ["best", "last", "best.old"])
def test_a_new_run_replaces_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Neither the model of a run whose state was deleted, nor a folder of another kind."""
    monkeypatch.setenv("COLUMNS", "300")
    (tmp_path / name).mkdir()
    (tmp_path / name / ("weights.safetensors" if "best" in name else "mine.txt")).touch()
    outcome = crowdpoint("train", "p2pnet-lite", "--data", data, *CPU, *settings([]), "--out", tmp_path)
    assert outcome.code == 2
    told = " ".join(outcome.err.replace("│", "").split())
    assert f"{name.removesuffix('.old')} exists, and a new run would replace it" in told
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_every_key_of_the_recipe_can_be_set() -> None:
    """What the help promises: `--set` reaches each field of each section."""
    recipe = load_recipe("p2pnet-lite")
    for section, values in recipe.model_dump(mode="json").items():
        keys = values if isinstance(values, dict) else {f"0.{key}": value for key, value in values[0].items()}
        for key, value in keys.items():
            load_recipe("p2pnet-lite", [f"{section}.{key}={json.dumps(value)}"])
