"""`crowdpoint crossvalidate`: every image is judged once, by a network that has not seen it."""

import json
import re
import shutil
from pathlib import Path
from statistics import fmean

import pytest
import tiny_runs
from command_line import crowdpoint
from tiny_runs import press_after, settings, write_shanghaitech

from crowdpoint import checkpoint, datasets
from crowdpoint.metrics import Evaluator
from crowdpoint.outputs import lock_folder
from crowdpoint.predict import Predictor

IMAGES = 4
FOLDS = 2
SIDE = 128
OWN = ("run.seed=4", "data.0.path=crowds", f"data.0.max_side={SIDE}")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images that are larger than `SIDE`, in a folder of their own."""
    root = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tiny_runs, "SIZE", (200, 160))
        write_shanghaitech(root / "crowds", images=IMAGES)
    return root


def command(data: Path, *more: str) -> tuple[object, ...]:
    return (
        *("crossvalidate", "p2pnet-lite", "--data", data, "--folds", FOLDS),
        *("--accelerator", "cpu", "--precision", "bf16", *settings([*OWN, *more])),
    )


def test_interrupted_and_run_again(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the second fold: the first one is kept, the second resumes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    out = tmp_path / "runs" / "p2pnet-lite-folds"
    steps = press_after(monkeypatch, 3)
    stopped = crowdpoint(*command(data))
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.splitlines()[-1] == "crowdpoint: stopped; run the same command again to resume"
    first, second = json.loads((out / "folds.json").read_text())["folds"]
    assert first["report"]["images"] == 2
    assert second["report"] is None
    trained = (out / "fold-1" / "best" / "weights.safetensors").stat().st_mtime_ns

    outcome = crowdpoint(*command(data))
    assert outcome.code == 0, outcome.err
    for text in ("fold 1", "fold 2", "all", "MAE", "σ = 8 px"):
        assert text in outcome.out.replace("\u00a0", " ")
    assert steps == [1, 2, 1, 2], "one step of the second fold was kept"
    assert (out / "fold-1" / "best" / "weights.safetensors").stat().st_mtime_ns == trained
    found = json.loads((out / "folds.json").read_text())
    assert (found["dataset"], found["seed"]) == ("shanghaitech-a", 4)

    samples, pooled = datasets.load("shanghaitech-a", data / "crowds"), Evaluator()
    for number, (fold, (_, images)) in enumerate(
        zip(found["folds"], datasets.split_folds(samples, FOLDS, 4), strict=True), start=1
    ):
        assert fold["images"] == [sample.name for sample in images]
        _, recipe = checkpoint.load(out / f"fold-{number}" / "best")
        assert (recipe.data[0].fold, recipe.data[0].folds) == (number, FOLDS)
        predictor = Predictor.load(out / f"fold-{number}" / "best", max_side=SIDE, precision="bf16")
        own = Evaluator()
        for sample in images:
            candidates = predictor.candidates(sample.image)
            for evaluator in (own, pooled):
                evaluator.update(predictor.select(candidates), sample.points(), candidates)
        wanted = own.compute(protocol="held-out", device="cpu", precision="bf16").model_dump()
        assert {**fold["report"], "seconds": None} == wanted
    again = json.loads(crowdpoint(*command(data), "--json").out)
    reports = [fold["report"] for fold in found["folds"]]
    for report, same in zip(reports, again["folds"], strict=True):
        assert {**report, "seconds": 0} == {**same["report"], "seconds": 0}
    together = found["all"]
    assert together["images"] == IMAGES
    assert (together["device"], together["precision"]) == ("cpu", "bf16")
    assert together["localization"] == pooled.compute().model_dump()["localization"]
    for key in ("mae", "rmse"):
        assert together[key] == pytest.approx(fmean(report[key] for report in reports))

    other = crowdpoint(*command(data, "optimizer.rate=0.5"))
    assert other.code == 2
    assert "cannot resume, the recipe differs from the run's in optimizer.rate" in other.err


def test_folds_of_other_images_are_not_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image more moves others from fold to fold; another folder has other images of the same names."""
    monkeypatch.setenv("COLUMNS", "300")
    write_shanghaitech(tmp_path / "data" / "crowds", images=IMAGES)
    again = (*command(tmp_path / "data", "run.steps=1"), "--out", tmp_path / "out")
    begun = crowdpoint(*again)
    assert begun.code == 0, begun.err
    told = crowdpoint(*again, "--backbone-weights", tmp_path / "nowhere.pth")
    assert told.code == 0, told.err
    for fold in (1, 2):
        assert f"fold-{fold} has begun: --from and --backbone-weights are not read again" in told.err

    write_shanghaitech(tmp_path / "data" / "crowds", images=IMAGES + 1)
    more = crowdpoint(*again)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tiny_runs, "SIZE", (130, 110))
        write_shanghaitech(tmp_path / "other" / "crowds", images=IMAGES)
    other = crowdpoint(*command(tmp_path / "other", "run.steps=1"), "--out", tmp_path / "out")
    for outcome, change in ((more, "new in"), (other, "other files of the same names")):
        assert (outcome.code, outcome.out) == (2, "")
        assert re.search(rf"cannot resume, the images are not the run's: \d {change}", outcome.err)
    shutil.rmtree(tmp_path / "out" / "fold-1" / "last")
    kept = crowdpoint(*again)
    assert kept.code == 2
    assert "best exists, and a new run would replace it" in " ".join(kept.err.replace("│", "").split())


def test_a_fold_that_another_process_trains_is_left_alone(data: Path, tmp_path: Path) -> None:
    with lock_folder(tmp_path / "out" / "fold-1"):
        outcome = crowdpoint(*command(data), "--out", tmp_path / "out")
        assert not (tmp_path / "out" / "fold-1" / "last").exists()
    assert outcome.code == 1
    assert "another run is writing here" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("p2pnet-lite",), 2, "expected one dataset to cross-validate, found shanghaitech-a, shanghaitech-b"),
        (("p2pnet-lite", *settings(OWN), "--folds", 7), 1, "cannot split 4 images into 7 folds"),
        (("p2pnet-lite", *settings([]), "--folds", 1), 2, "--folds"),
    ],
)
def test_errors(data: Path, tmp_path: Path, arguments: tuple[object, ...], code: int, complaint: str) -> None:
    outcome = crowdpoint("crossvalidate", *arguments, "--data", data, "--out", tmp_path / "out")
    assert (outcome.code, outcome.out) == (code, "")
    assert complaint in outcome.err
    assert not (tmp_path / "out").exists()
