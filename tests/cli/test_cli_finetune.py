"""`crowdpoint finetune` from twenty photos to a model for them, as a user's shell runs it."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from command_line import Outcome, crowdpoint
from tiny_runs import press_after, tiny_recipe, write_folder

from crowdpoint import checkpoint
from crowdpoint.cli.finetune import _describe_plan
from crowdpoint.predict import Predictor
from crowdpoint.predict.torch import build
from crowdpoint.recipe import DataConfig, RunConfig
from crowdpoint.train import journal
from crowdpoint.train.data import split

QUICK = ("run.steps=8", "run.images=2", "run.workers=0")
QUICKLY = [word for change in QUICK for word in ("--set", change)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("photos"), images=10)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights and a threshold of its own."""
    folder = tmp_path_factory.mktemp("runs") / "model"
    recipe = tiny_recipe("model.threshold=0.37", "loss.count_weight=0", "augment.crop=64")
    torch.manual_seed(0)
    checkpoint.save(folder, build(recipe.model).state_dict(), recipe)
    return folder


def finetune(model: Path, photos: Path, *arguments: object) -> Outcome:
    return crowdpoint("finetune", model, "--data", photos, "--accelerator", "cpu", *arguments)


def test_from_photos_to_a_model_that_predicts(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(journal, "QUIET", 0)
    outcome = finetune(model, photos, *QUICKLY)
    assert outcome.code == 0, outcome.err
    said = outcome.err.splitlines()
    assert said[0] == (
        "8 photos train for 8 steps and 2 validate; frozen: backbone; the threshold stays 0.37: 2 photos are "
        "too few to calibrate it"
    )
    told = [
        number for number, line in enumerate(said) if re.match(r"3 steps at \d+\.\d\d s: about \d+ s", line)
    ]
    assert said[told[0] + 1].startswith("step 6/8  about "), "progress although there is no terminal"
    tuned = Path("runs/model-tuned/best")
    assert said[-1] == f"count with it: crowdpoint predict PHOTO --model {tuned}"
    _, aside = split(DataConfig(name="folder"), photos, RunConfig(steps=1, held_out=0.2))
    judging = [sample.name for sample in aside]
    rows = [
        re.split(r"\s*│\s*", line.strip("│ ")) for line in outcome.out.splitlines() if line.startswith("│")
    ]
    assert [row[0] for row in rows] == [
        *judging,
        "mean count error",
        *(f"F1 within {sigma} pixels" for sigma in (4, 8)),
    ]

    (before, _), (after, recipe) = checkpoint.load(model), checkpoint.load(tuned)
    changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert "backbone" not in changed
    assert (recipe.model.threshold, recipe.model.interval) == (0.37, None)
    assert crowdpoint("predict", photos / "photo-1.png", "--model", tuned).code == 0

    again = finetune(model, photos, *QUICKLY)
    assert again.code == 2
    assert "runs/model-tuned holds a run; give --resume" in " ".join(again.err.replace("│", "").split())


def test_the_advice_has_the_size_at_which_the_model_was_tuned(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    small = ("--set", "data.0.max_side=128", "--out", tmp_path / "run")
    outcome = finetune(model, photos, *QUICKLY, *small)
    assert outcome.code == 0, outcome.err
    assert outcome.err.splitlines()[-1].endswith(f"--model {tmp_path / 'run' / 'best'} --max-side 128")
    tuned = Predictor.load(tmp_path / "run" / "best", max_side=128)
    _, aside = split(DataConfig(name="folder"), photos, RunConfig(steps=1, held_out=0.2))
    for sample in aside:
        row = next(line for line in outcome.out.splitlines() if sample.name in line)
        assert row.strip("│ ").split("│")[-1].strip() == f"{len(tuned.predict(sample.image))}"


def test_resumes_after_ctrl_c(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that is advised ends with the weights of a run that nothing stopped."""
    whole, cut = tmp_path / "whole", tmp_path / "cut short"
    assert finetune(model, photos, *QUICKLY, "--out", whole).code == 0
    with monkeypatch.context() as patch:
        press_after(patch, 3)
        stopped = finetune(model, photos, *QUICKLY, "--out", cut)
    assert stopped.code == 130
    command = f"crowdpoint finetune {model} --data {photos} --resume '{cut}'"
    assert stopped.err.splitlines()[-1] == f"crowdpoint: stopped; resume with: {command}"
    resumed = crowdpoint(*shlex.split(command)[1:], "--accelerator", "cpu")
    assert resumed.code == 0, resumed.err
    assert f"resumes from {cut / 'last'} after step 3/8" in resumed.err
    assert "mean count error" in resumed.out
    (one, _), (other, _) = checkpoint.load(whole / "best"), checkpoint.load(cut / "best")
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("nowhere",), 2, "nowhere: no such model"),
        (("p2pnet-vgg16",), 2, "no weights are embedded"),
        (("MODEL", "--dataset", "nowhere"), 2, "nowhere: unknown dataset"),
        (("MODEL", "--set", "run.stepz=1"), 2, "finetune: invalid configuration: run.stepz"),
        (("MODEL", "--resume", "nowhere"), 2, "no checkpoint there"),
    ],
)
def test_errors_are_one_line(
    model: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    named = [str(model) if word == "MODEL" else word for word in arguments]
    outcome = crowdpoint("finetune", *named, "--data", photos)
    assert (outcome.code, outcome.out) == (code, "")
    assert complaint in outcome.err
    assert outcome.err.count("\n") == 1


def test_the_dataset_of_a_run_that_is_resumed_is_its_own(model: Path, photos: Path) -> None:
    outcome = finetune(model, photos, "--dataset", "folder", "--resume", "nowhere")
    assert outcome.code == 2
    assert "leave out --out, --set and --dataset" in " ".join(outcome.err.replace("│", "").split())


def test_several_datasets_are_refused(model: Path, photos: Path, tmp_path: Path) -> None:
    """The comparison would be of the first alone."""
    two = ("--set", "data=[{name: folder}, {name: folder}]", "--out", tmp_path / "run")
    outcome = finetune(model, photos, *two)
    assert outcome.code == 2
    assert "finetune: data: expected one dataset to fine-tune on, found folder, folder" in outcome.err


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_run_is_named_after_the_run_of_its_model(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model, tmp_path / "runs" / "hall" / name)
    shutil.copytree(model, tmp_path / "runs" / "hall-tuned" / "last")
    outcome = finetune(Path("runs/hall") / name, photos)
    assert outcome.code == 2
    assert "runs/hall-tuned holds a run; give --resume" in " ".join(outcome.err.replace("│", "").split())


def test_one_photo_is_too_few(model: Path, tmp_path: Path) -> None:
    outcome = finetune(model, write_folder(tmp_path / "photos", images=1), "--out", tmp_path / "run")
    assert outcome.code == 1
    assert outcome.err == "crowdpoint: cannot hold out 1 of 1 images; add more images\n"


def test_a_threshold_that_is_not_calibrated_has_no_reason() -> None:
    kept = _describe_plan(tiny_recipe("run.calibrate=false", "model.threshold=0.37"), 80, 20)
    assert kept.endswith("the threshold stays 0.37")
    assert "threshold" not in _describe_plan(tiny_recipe(), 80, 20)


def test_nothing_is_frozen_without_a_pretrained_part() -> None:
    assert _describe_plan(tiny_recipe(), 80, 20) == "80 photos train for 2 steps and 20 validate"
