"""`crowdpoint import`: what it writes where, and what it says. What the networks compute: tests/train."""

from functools import partial
from pathlib import Path

import pytest
import torch
from command_line import crowdpoint

from crowdpoint import checkpoint
from crowdpoint.backbones.hrnet import HRNet
from crowdpoint.methods.fidtm import network

AS = ("--as", "fidtm-hrnet-w48")


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """FIDTM's file in its authors' layout, of the paper's network with a twelfth of its channels."""
    narrow = partial(HRNet, width=4)
    monkeypatch.setitem(network._REGRESSORS, "hrnet-w48", narrow)
    path = tmp_path / "model_best.pth"
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in narrow().state_dict().items()}}, path
    )
    return path


def datasets(out: Path) -> list[str]:
    """What a checkpoint says that it was trained on."""
    _, recipe = checkpoint.load(out)
    assert recipe.run.protocol == "paper"
    return [data.name for data in recipe.data]


def test_the_recipe_is_that_of_the_dataset(official: Path, tmp_path: Path) -> None:
    out = tmp_path / "fidtm qnrf"
    outcome = crowdpoint("import", official, *AS, "--trained-on", "ucf-qnrf", "--out", out)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"{out}: use it as a model, as in `crowdpoint predict photo.jpg --model '{out}'`\n"
    assert datasets(out) == ["ucf-qnrf"]


def test_the_assumed_dataset_is_reported(official: Path, tmp_path: Path) -> None:
    outcome = crowdpoint("import", official, *AS, "--out", tmp_path / "out")
    assert outcome.code == 0
    assert outcome.err.startswith(f"crowdpoint: {official}: assumed to be for shanghaitech-a;")
    assert "--trained-on" in outcome.err
    assert datasets(tmp_path / "out") == ["shanghaitech-a"]


def test_replaces_no_checkpoint(official: Path, tmp_path: Path) -> None:
    arguments = ("import", official, *AS, "--out", tmp_path / "out")
    assert crowdpoint(*arguments, "--trained-on", "ucf-qnrf").code == 0
    outcome = crowdpoint(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert f"{tmp_path / 'out'} holds a checkpoint" in outcome.err
    assert datasets(tmp_path / "out") == ["ucf-qnrf"]


def test_errors(tmp_path: Path) -> None:
    path, out = tmp_path / "their.pth", tmp_path / "out"
    torch.save({"model": {"fpn.P4_2.bias": torch.zeros(256)}}, path)
    for name, complaint in (
        ("p2pnet-vgg16", "1 of"),
        ("p2pnet-vgg99", "p2pnet-vgg99: no official checkpoint"),
    ):
        outcome = crowdpoint("import", path, "--as", name, "--out", out)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith("crowdpoint: ")
        assert (complaint if name != "p2pnet-vgg16" else "missing") in outcome.err
        assert outcome.err.count("\n") == 1
        assert not out.exists()
    for dataset in ("nope", "lite", "folder", "trancos"):
        outcome = crowdpoint("import", path, "--as", "p2pnet-vgg16", "--trained-on", dataset, "--out", out)
        assert (outcome.code, outcome.err) == (
            2,
            f"crowdpoint: trained on {dataset}: expected one of shanghaitech-a, shanghaitech-b, "
            "ucf-cc-50, ucf-qnrf, nwpu-crowd\n",
        )
    assert crowdpoint("import", tmp_path / "nowhere.pth", "--as", "p2pnet-vgg16", "--out", out).code == 2
    assert crowdpoint("import", path, "--out", out).code == 2
