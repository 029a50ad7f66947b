"""`crowdpoint evaluate`: the keys of its JSON, its table, and what it cannot evaluate."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import drawn_datasets as drawn
import numpy as np
import pytest
from command_line import Outcome, crowdpoint
from PIL import Image
from tiny_models import INFO, write_tiny
from tiny_runs import tiny_recipe, write_shanghaitech

from crowdpoint import checkpoint, datasets, formats, report
from crowdpoint.errors import FormatError
from crowdpoint.metrics import Evaluator
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.predict.torch import build


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_shanghaitech(tmp_path / "data", images=3, split="test")


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
    keys = ["images", "device", "precision", "mae", "rmse", "nae", "localization", "nap", "seconds"]
    assert list(report) == keys
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
        assert saved[f"part_A/test_data/images/{sample.name}.png"] == found
    expected = evaluator.compute().model_dump()
    for key in ("images", "mae", "rmse", "nae", "localization", "nap"):
        assert report[key] == expected[key]
    assert report["localization"]["8"]["f1"] > 0.1, "the comparison would be of nothing"
    assert report["nap"]["mean"] > 0


def test_table(data: Path, tiny: Path) -> None:
    outcome = crowdpoint("evaluate", tiny, "--data", data, "--dataset", "shanghaitech-a")
    assert outcome.code == 0
    for text in (
        "Images",
        "MAE",
        "RMSE",
        "NAE",
        "σ = 4 px",
        "σ = 8 px",
        "nAP, δ = 0.05",
        "nAP, mean",
        "Seconds",
    ):
        assert text in outcome.out.replace("\u00a0", " ")


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
            "has no folder part_A or part_A_final",
        ),
        (("p2pnet-lit", "--data", data, "--dataset", "shanghaitech-a"), 2, "did you mean p2pnet-lite"),
    ):
        outcome = crowdpoint("evaluate", *arguments, "--json")
        assert (outcome.code, outcome.out) == (code, "")
        assert outcome.err.startswith("crowdpoint: ")
        assert complaint in outcome.err
        assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("tiny.onnx", "--dataset", "shanghaitech-a", "--threshold", 2), "--threshold"),
        (("tiny.onnx",), "Missing option '--dataset'"),
        (
            ("tiny.onnx", "--dataset", "shanghaitech"),
            "shanghaitech: unknown dataset; choose one of shanghaitech-a, shang",
        ),
        (
            ("tiny.onnx", "--dataset", "shanghaitech-a", "--split", "val"),
            "shanghaitech-a: unknown split val; choose one of train, test",
        ),
        (("tiny.onnx", "tiny.onnx", "--dataset", "shanghaitech-a"), "MODEL: expected models that differ"),
        (
            ("tiny.onnx", "b.onnx", "--dataset", "shanghaitech-a", "--save", "points.csv"),
            "--save: expected a folder for 2 models, found the file points.csv",
        ),
    ],
)
def test_usage(
    data: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path / "b.onnx")
    outcome = crowdpoint("evaluate", *arguments, "--data", data)
    assert (outcome.code, outcome.out) == (2, "")
    assert complaint in outcome.err


def test_a_folder_of_points_that_cannot_be_created(tiny: Path, tmp_path: Path) -> None:
    data = write_shanghaitech(tmp_path / "data", 2, "test")
    (tmp_path / "file").touch()
    command = ("evaluate", tiny, "--data", data, "--dataset", "shanghaitech-a")
    outcome = crowdpoint(*command, "--save", tmp_path / "file" / "points")
    assert outcome.code == 1
    assert "file/points: cannot be written (Not a directory)" in outcome.err


def test_points_are_not_written_into_the_dataset(tiny: Path, tmp_path: Path) -> None:
    """They would replace its annotations, also those of other splits, or be taken for some."""
    data = tmp_path / "data"
    for split in ("train", "test"):
        drawn.draw_image(data / split / "a.png")
    drawn.save_text(data / "train" / "a.csv", "image,x,y\na.png,1,2\n")
    drawn.save_text(tmp_path / "heads.csv", "image,x,y\na.png,3,4\n")
    (data / "test" / "a.csv").symlink_to(tmp_path / "heads.csv")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    command = ("evaluate", tiny, "--data", data, "--dataset", "folder")
    for save in ("data", "data/new", "data/test/a.csv", "data/train/a.csv", "heads.csv"):
        outcome = crowdpoint(*command, "--save", tmp_path / save)
        assert outcome.code == 2
        assert "is in the dataset; choose a place outside of --data" in outcome.err
        assert {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()} == before
    assert not (data / "new").exists()
    assert crowdpoint(*command, "--save", tmp_path / "new").code == 0


def test_several_models_have_a_column_and_a_line_each(data: Path, tiny: Path, tmp_path: Path) -> None:
    """A checkpoint is called by its run's name and its own, as every run has a `best`."""
    recipe = tiny_recipe()
    best = tmp_path / "runs" / "mine" / "best"
    checkpoint.save(best, build(recipe.model).state_dict(), recipe)
    save = tmp_path / "points"
    command = ("evaluate", tiny, best, "--data", data, "--dataset", "shanghaitech-a", "--threshold", 0.4)
    outcome = crowdpoint(*command, "--json", "--save", save)
    assert outcome.code == 0, outcome.err
    first, second = map(json.loads, outcome.out.splitlines())
    assert (first.pop("model"), second.pop("model")) == ("tiny", "mine/best")
    assert {path.name for path in save.iterdir()} == {"tiny.csv", "mine-best.csv"}
    single = crowdpoint("evaluate", tiny, *command[3:], "--json", "--save", tmp_path / "tiny.csv")
    alone = json.loads(single.out)
    assert {**alone, "seconds": 0} == {**first, "seconds": 0}
    assert formats.read(save / "tiny.csv") == formats.read(tmp_path / "tiny.csv")
    table = crowdpoint(*command).out
    assert "tiny" in table
    assert "mine/best" in table


def test_models_of_one_name_have_different_names(data: Path, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other = write_tiny(tmp_path / "b" / "tiny.onnx")
    outcome = crowdpoint("evaluate", tiny, other, "--data", data, "--dataset", "shanghaitech-a", "--json")
    assert [json.loads(line)["model"] for line in outcome.out.splitlines()] == [str(tiny), str(other)]


DOTS = Points(np.array([(12.0, 20), (36, 12), (12, 36), (52, 20)]))


def draw_dots(image: Path) -> None:
    """White dots on black, in the centres of the tiny model's cells; it finds them with a score of 1."""
    pixels = np.zeros((drawn.SIZE[1], drawn.SIZE[0], 3), np.uint8)
    columns, rows = DOTS.xy.astype(int).T
    pixels[rows, columns] = 255
    Image.fromarray(pixels).save(image, quality=100, subsampling=0)


def test_metrics_of_nwpu_crowd_are_reported(tiny: Path, tmp_path: Path) -> None:
    """Four dots found on an image with three heads, and on one with nobody."""
    drawn.nwpu_crowd(tmp_path / "data")
    for name in ("0004", "0005"):
        draw_dots(tmp_path / "data" / "images" / f"{name}.jpg")
    command = ("evaluate", tiny, "--data", tmp_path / "data", "--dataset", "nwpu-crowd", "--split", "val")
    report = json.loads(crowdpoint(*command, "--json").out)
    assert list(report["localization"]) == ["4", "8", "s", "l"]
    assert report["recall_by_head_size"].keys() == {"A1"}
    one, four = ({"images": 1, "mae": error, "rmse": error} for error in (1, 4))
    average = {"images": 2, "mae": 2.5, "rmse": 2.5}
    assert report["groups"] == {
        "scene_level": {"S0": four, "S1": one, "average": average},
        "luminance": {"L0": four, "L2": one, "average": average},
    }
    table = crowdpoint(*command).out
    for text in ("σl of each head", "by head size", "A1", "by scene level", "S0", "by luminance", "average"):
        assert text in table


def test_points_outside_of_the_region_of_trancos_do_not_count(tiny: Path, tmp_path: Path) -> None:
    """Vehicles count above row 30: two of the three heads and three of the four dots."""
    drawn.trancos(tmp_path / "data")
    draw_dots(tmp_path / "data" / "images" / "image-1-000004.jpg")
    command = ("evaluate", tiny, "--data", tmp_path / "data", "--dataset", "trancos")
    report = json.loads(crowdpoint(*command, "--json", "--save", tmp_path / "points.json").out)
    assert report["mae"] == report["game"]["0"] == 1
    assert report["game"].keys() == {"0", "1", "2", "3"}
    assert report["localization"]["8"] == {"precision": 1 / 3, "recall": 0.5, "f1": 0.4}
    (saved,) = formats.read(tmp_path / "points.json").values()
    assert len(saved) == 3
    assert "GAME(3)" in crowdpoint(*command).out


@pytest.mark.parametrize(
    ("dataset", "keys", "groups"),
    [
        ("ucf-qnrf", ["4", "8", "1:100"], []),
        ("jhu-crowd++", ["4", "8", "s", "l"], ["crowd_level", "weather"]),
    ],
)
def test_protocols_of_other_datasets(
    tiny: Path, tmp_path: Path, dataset: str, keys: list[str], groups: list[str]
) -> None:
    drawn.DRAW[dataset](tmp_path / "data")
    report = json.loads(
        crowdpoint("evaluate", tiny, "--data", tmp_path / "data", "--dataset", dataset, "--json").out
    )
    assert list(report["localization"]) == keys
    assert list(report.get("groups", [])) == groups


def test_a_split_without_annotations_is_only_predicted(tiny: Path, tmp_path: Path) -> None:
    drawn.nwpu_crowd(tmp_path / "data")
    command = ("evaluate", tiny, "--data", tmp_path / "data", "--dataset", "nwpu-crowd")
    for further in ((), ("--json", "--save", "x.csv"), ("--report", tmp_path / "page", "--save", "x.csv")):
        outcome = crowdpoint(*command, *further)
        assert (outcome.code, outcome.out) == (2, "")
        assert "do not publish the annotations of test" in outcome.err
    outcome = crowdpoint(*command, "--save", tmp_path / "points.csv")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == f"{tmp_path / 'points.csv'}: the points on 2 images\n"
    assert list(formats.read(tmp_path / "points.csv")) == ["images/0007.jpg", "images/0008.jpg"]


def test_a_split_without_annotations_is_shrunk_as_in_training(tmp_path: Path) -> None:
    drawn.nwpu_crowd(tmp_path / "data")
    data = ("--data", tmp_path / "data", "--dataset", "nwpu-crowd", "--threshold", 0)
    limited = replace(INFO, max_sides={"nwpu-crowd": 16})
    found = {}
    for name, info in (("limited", limited), ("whole", INFO)):
        model = write_tiny(tmp_path / f"{name}.onnx", info.metadata())
        for options in ((), ("--max-side", 16)):
            save = tmp_path / f"{name}{len(options)}.csv"
            assert crowdpoint("evaluate", model, *data, "--save", save, *options).code == 0
            found[name, len(options)] = save.read_text("utf-8")
    assert found["limited", 0] == found["whole", 2] != found["whole", 0]


def reported(*arguments: object) -> tuple[Outcome, tuple[Any, ...]]:
    """`crowdpoint evaluate` on ShanghaiTech A, and what it gave to `report.write`."""
    pytest.importorskip("matplotlib", reason="the extra report is not installed: pip install -e '.[report]'")
    pytest.importorskip("jinja2", reason="the extra report is not installed: pip install -e '.[report]'")
    with mock.patch("crowdpoint.cli.evaluate.write", wraps=report.write) as write:
        outcome = crowdpoint("evaluate", *arguments, "--dataset", "shanghaitech-a")
    return outcome, write.call_args.args


def test_a_report_knows_the_models_and_their_candidates(data: Path, tiny: Path, tmp_path: Path) -> None:
    page = tmp_path / "page"
    outcome, written = reported(tiny, "--data", data, "--threshold", 0.9, "--report", page, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.err == f"report: {page / 'index.html'}\n"
    assert json.loads(outcome.out)["images"] == 3
    assert "tiny" in (page / "index.html").read_text(encoding="utf-8")
    folder, dataset, truth, (system,), images = written
    evaluator = Evaluator(curves=True)
    assert (folder, dataset) == (page, "shanghaitech-a")
    assert (system.name, system.method) == ("tiny", "p2pnet")
    samples = datasets.load("shanghaitech-a", data, "test")
    assert truth == {sample.name: sample.points() for sample in samples}
    assert images == {sample.name: sample.image for sample in samples}
    predictor = Predictor.load(tiny, threshold=0.9)
    for sample in samples:
        candidates = predictor.candidates(sample.image)
        assert system.predictions[sample.name] == predictor.select(candidates)
        evaluator.update(predictor.select(candidates), sample.points(), candidates, name=sample.name)
    expected = evaluator.compute()
    assert (system.report.rows, system.report.curves) == (expected.rows, expected.curves)


def test_max_side_limits_the_predictor(data: Path, tiny: Path) -> None:
    command = ("evaluate", tiny, "--data", data, "--dataset", "shanghaitech-a", "--json")
    samples = datasets.load("shanghaitech-a", data, "test")
    for max_side in (60, 1000):
        predictor = Predictor.load(tiny, max_side=max_side)
        errors = [abs(len(predictor.predict(each.image)) - len(each.points())) for each in samples]
        found = json.loads(crowdpoint(*command, "--max-side", max_side).out)
        assert found["mae"] == pytest.approx(sum(errors) / len(errors))
    whole = json.loads(crowdpoint(*command).out)
    assert whole["mae"] == found["mae"], "no side is as long as 1000 pixels"


def test_a_report_of_fidtm_has_the_maxima_of_its_maps(data: Path, tmp_path: Path) -> None:
    page = tmp_path / "page"
    outcome, written = reported("fidtm-lite", "--data", data, "--set", "adaptive=true", "--report", page)
    assert outcome.code == 0, outcome.err
    (system,) = written[3]
    predictor = Predictor.load("fidtm-lite")
    for sample in datasets.load("shanghaitech-a", data, "test"):
        seen = predictor.inspect(sample.image)
        assert seen.map is not None
        assert system.maxima[sample.name] == seen.map.max()
    assert system.empty_below == predictor.info.method.empty_below(predictor.info.config)
    assert "Map maxima of fidtm-lite" in (page / "index.html").read_text(encoding="utf-8")


def test_figures_are_printed_if_the_points_cannot_be_written(
    data: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise FormatError("full.csv: cannot be written ([Errno 28] No space left on device)")

    command = ("evaluate", tiny, "--data", data, "--dataset", "shanghaitech-a", "--json")
    below_a_file = crowdpoint(*command, "--save", tiny / "x.csv")
    assert (below_a_file.code, below_a_file.out) == (1, ""), "before the work"
    monkeypatch.setattr(formats, "write", fail)
    outcome = crowdpoint(*command, "--save", tmp_path / "full.csv")
    assert outcome.code == 1
    assert json.loads(outcome.out)["images"] > 0
    assert "No space left on device" in outcome.err
