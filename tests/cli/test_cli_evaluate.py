"""`crowdpoint evaluate`: the keys of its JSON, its table, and what it cannot evaluate."""

import json
from pathlib import Path

import pytest
from command_line import crowdpoint
from tiny_models import write_tiny
from tiny_runs import tiny_recipe, write_shanghaitech

from crowdpoint import datasets, formats
from crowdpoint.metrics import Evaluator
from crowdpoint.nn.engine import build
from crowdpoint.predict import Predictor
from crowdpoint.train import checkpoint


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_shanghaitech(tmp_path / "data", images=3, split="test")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "tiny.onnx")


def test_json(data: Path, tiny: Path, tmp_path: Path) -> None:
    save = tmp_path / "points.json"
    outcome = crowdpoint(
        "evaluate",
        tiny,
        "--data",
        data,
        "--dataset",
        "shanghaitech-a",
        "--threshold",
        0.4,
        "--save",
        save,
        "--json",
    )
    assert (outcome.code, outcome.err) == (0, "")
    report = json.loads(outcome.out)
    assert list(report) == ["images", "mae", "rmse", "nae", "localization", "nap", "seconds"]
    assert list(report["localization"]) == ["4", "8"]
    assert list(report["localization"]["4"]) == ["precision", "recall", "f1"]
    assert list(report["nap"]) == ["0.05", "0.25", "0.5", "mean"]
    assert report["images"] == 3
    assert report["seconds"] > 0

    predictor, evaluator = Predictor.load(tiny, threshold=0.4), Evaluator()
    saved = formats.read(save)
    for sample in datasets.load("shanghaitech-a", data, "test"):
        candidates = predictor.candidates(sample.image)
        found = predictor.select(candidates)
        evaluator.update(found, sample.points(), candidates)
        assert saved[sample.name] == found
    expected = evaluator.compute().model_dump()
    for key in ("images", "mae", "rmse", "nae", "localization", "nap"):
        assert report[key] == expected[key]
    assert report["localization"]["8"]["f1"] > 0.1, "the comparison would be of nothing"
    assert report["nap"]["mean"] > 0


def test_table(data: Path, tiny: Path) -> None:
    outcome = crowdpoint("evaluate", tiny, "--data", data, "--dataset", "shanghaitech-a")
    assert outcome.code == 0
    for text in ("3 images", "MAE", "RMSE", "NAE", "sigma 4", "sigma 8", "nAP 0.05", "nAP mean"):
        assert text in outcome.out


def test_a_checkpoint_evaluates_like_a_file(data: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe()
    checkpoint.save(tmp_path / "run", build(recipe.model).state_dict(), recipe)
    outcome = crowdpoint(
        "evaluate", tmp_path / "run", "--data", data, "--dataset", "shanghaitech-a", "--json"
    )
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["images"] == 3


def test_errors_are_one_line(data: Path, tiny: Path, tmp_path: Path) -> None:
    (data / "part_A" / "test_data" / "images" / "IMG_2.png").write_bytes(b"no image")
    for arguments, code, complaint in (
        ((tiny, "--data", data, "--dataset", "shanghaitech-a"), 1, "IMG_2.png: "),
        (
            (tiny, "--data", tmp_path, "--dataset", "shanghaitech-a"),
            1,
            "no folder part_A or part_A_final in it",
        ),
        ((tiny, "--data", data, "--dataset", "shanghaitech"), 1, "shanghaitech: no such dataset"),
        ((tiny, "--data", data, "--dataset", "shanghaitech-a", "--split", "val"), 1, "no split val"),
        (("p2pnet-lit", "--data", data, "--dataset", "shanghaitech-a"), 2, "did you mean p2pnet-lite"),
    ):
        outcome = crowdpoint("evaluate", *arguments, "--json")
        assert (outcome.code, outcome.out) == (code, "")
        assert outcome.err.startswith("crowdpoint: ")
        assert complaint in outcome.err
        assert outcome.err.count("\n") == 1
    assert crowdpoint("evaluate", tiny, "--data", data).code == 2
    assert crowdpoint("evaluate", tiny, "--data", data, "--dataset", "x", "--threshold", 2).code == 2
