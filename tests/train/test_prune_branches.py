"""The script that prunes the branches of a light P2PNet."""

import sys
from pathlib import Path

import prune_branches
import pytest
import torch
from tiny_runs import tiny_recipe, write_shanghaitech

from crowdpoint import checkpoint
from crowdpoint.predict.torch import build, load_network

LIGHT = ("model.head=light", "model.predict_sizes=true", "model.head_channels=16")


def test_channels_that_others_replace_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of twice as many hidden channels, each of which is there twice, half compute the same."""
    recipe = tiny_recipe(*LIGHT)
    torch.manual_seed(0)
    network = build(recipe.model).eval()
    with torch.no_grad():
        for name in prune_branches.BRANCHES:
            network.get_parameter(f"{name}.2.weight").normal_()
    wide = dict(network.state_dict())
    for name in prune_branches.BRANCHES:
        for key in (f"{name}.0.weight", f"{name}.0.bias"):
            wide[key] = wide[key].repeat_interleave(2, dim=0)
        wide[f"{name}.2.weight"] = wide[f"{name}.2.weight"].repeat_interleave(2, dim=1) / 2
    checkpoint.save(tmp_path / "wide", wide, recipe)
    data, out = write_shanghaitech(tmp_path / "data"), tmp_path / "pruned"
    monkeypatch.setattr(prune_branches, "BATCHES", 2)
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "wide"), "--data", str(data), "--out", str(out)])
    prune_branches.main()
    images = 255 * torch.rand(1, 3, 64, 64)
    for found, expected in zip(load_network(out)[0](images), network(images), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(prune_branches.BRANCHES)
    assert all("outputs change by 0.0000 (" in line for line in lines)
