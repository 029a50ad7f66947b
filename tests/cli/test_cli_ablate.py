"""`crowdpoint ablate`: all rows of a table, once each, also after an interruption."""

import json
from pathlib import Path

import pytest
from command_line import crowdpoint
from tiny_runs import press_after, settings, write_folder, write_shanghaitech

FIDTM = ("model.regressor=lite", "run.steps=1", "run.images=2", "run.workers=0", "augment.crop=64")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_shanghaitech(root, split="test")
    return write_shanghaitech(root)


def test_interrupted_and_run_again(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the second row: the first is kept, trained and evaluated once."""
    command = (
        *("ablate", "4", "--recipe", "p2pnet-lite", "--data", data, "--out", tmp_path),
        *("--accelerator", "cpu", *settings(["model.points_per_cell=4", "run.steps=1", "run.seed=3"])),
    )
    steps = press_after(monkeypatch, 2)
    stopped = crowdpoint(*command)
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.splitlines()[-1] == "crowdpoint: stopped; run the same command again to resume"
    file = tmp_path / "p2pnet-lite" / "4.json"
    (first,) = json.loads(file.read_text())["rows"]
    assert first["labels"] == ["Center"]
    first["report"]["seconds"] = 1234.5  # to tell an old report from a new one
    file.write_text(json.dumps(json.loads(file.read_text()) | {"rows": [first]}))

    outcome = crowdpoint(*command)
    assert outcome.code == 0, outcome.err
    assert len(steps) == 2, "both networks were trained before"
    found = json.loads(file.read_text())
    assert (found["dataset"], found["split"]) == ("shanghaitech-a", "test")
    assert [row["labels"] for row in found["rows"]] == [["Center"], ["Grid"]]
    assert found["rows"][0] == first
    assert found["rows"][1]["report"]["images"] == 4
    assert found["rows"][1]["figures"]["mae"] == found["rows"][1]["report"]["mae"]
    for text in ("P2PNet, Table 4", "Center", "Grid", "52.74", "64.4%", f"{first['figures']['mae']:.2f}"):
        assert text in outcome.out

    annotation = data / "part_A" / "test_data" / "ground-truth" / "GT_IMG_1.mat"
    before = annotation.read_bytes()
    annotation.write_bytes(annotation.with_name("GT_IMG_2.mat").read_bytes())
    assert crowdpoint(*command).code == 0
    annotation.write_bytes(before)
    assert json.loads(file.read_text())["rows"][0]["report"]["seconds"] != 1234.5, "the images have changed"

    file.write_text('{"rows": [')
    damaged = crowdpoint(*command)
    assert damaged.code == 2
    assert "4.json: not a file of results; delete it to evaluate all rows again" in damaged.err

    file.unlink()
    changed = crowdpoint(*command, "--set", "run.seed=4")
    assert changed.code == 2
    assert "cannot resume, the recipe differs from the run's in run.seed" in changed.err


def test_images_that_train_are_no_test(tmp_path: Path) -> None:
    write_folder(tmp_path / "data")
    own = ("--data", tmp_path / "data", "--set", "data=[{name: folder}]", "--out", tmp_path / "out")
    outcome = crowdpoint("ablate", "5", "--recipe", "p2pnet-lite", *own)
    assert outcome.code == 2
    assert "folder: all its images are for training; use crossvalidate" in outcome.err
    assert not (tmp_path / "out").exists()


def test_one_training_for_all_thresholds(data: Path, tmp_path: Path) -> None:
    command = ("ablate", "xii", "--data", data, "--out", tmp_path, "--accelerator", "cpu", "--json")
    outcome = crowdpoint(*command, *(part for override in FIDTM for part in ("--set", override)))
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert len(found["rows"]) == 8
    assert outcome.err.count("step 1/1  mse") == 1
    files = sorted(path.name for path in (tmp_path / "fidtm-shanghaitech-a").iterdir())
    assert files == ["XII.json", "unchanged"], "another recipe has its own"
    assert len({row["weights"] for row in found["rows"]}) == 1


def test_one_dataset_is_evaluated(data: Path) -> None:
    outcome = crowdpoint("ablate", "6", "--recipe", "p2pnet-lite", "--data", data)
    assert outcome.code == 2
    assert "data: expected one dataset to evaluate on" in outcome.err
    outcome = crowdpoint("ablate", "7", "--data", data)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("crowdpoint: 7: no such table")
