"""The script that averages checkpoints."""

import sys
from pathlib import Path

import average_checkpoints
import pytest
import torch
from tiny_runs import tiny_recipe, write_shanghaitech

from crowdpoint import checkpoint
from crowdpoint.errors import ModelError
from crowdpoint.methods.p2pnet.config import GatherConfig, P2PNetConfig
from crowdpoint.predict import Predictor
from crowdpoint.predict.torch import build


def write(folder: Path, seed: int, *overrides: str) -> Path:
    torch.manual_seed(seed)
    recipe = tiny_recipe(*overrides)
    checkpoint.save(folder, build(recipe.model).state_dict(), recipe)
    return folder


def test_the_mean_of_weights(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", 0), write(tmp_path / "b", 1)
    found = average_checkpoints.average([first, second, second])
    (one, _), (other, _) = checkpoint.load(first), checkpoint.load(second)
    assert found.keys() == one.keys()
    name = "backbone._conv_stem.weight"
    torch.testing.assert_close(found[name], (one[name] + 2 * other[name]) / 3)
    assert found["backbone._bn0.num_batches_tracked"].dtype == torch.int64


def test_other_networks_have_no_mean(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", 0), write(tmp_path / "b", 0, "model.head_channels=16")
    with pytest.raises(ModelError, match=r"b: is not of the network that .*a is of"):
        average_checkpoints.average([first, second])


def test_the_threshold_is_calibrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_shanghaitech(tmp_path / "data")
    source, out = write(tmp_path / "a", 0, "model.threshold=0.98"), tmp_path / "mean"
    monkeypatch.setattr(
        sys,
        "argv",
        ["", *map(str, (source, source, "--data", data, "--out", out, "--set", "model.gather.radius=5"))],
    )
    average_checkpoints.main()
    info = Predictor.load(out).info
    threshold = info.threshold
    assert 0.05 <= threshold <= 0.95
    assert isinstance(info.config, P2PNetConfig)
    assert info.config.gather == GatherConfig(radius=5)
    assert capsys.readouterr().out.startswith(f"{out}: threshold {threshold:.2f}  merit ")

    sys.argv += ["--threshold", "0.97"]
    average_checkpoints.main()
    assert Predictor.load(out).info.threshold == 0.97
