"""`crowdpoint import`: what it says when a file is not what it should be. What it computes: tests/nn."""

from pathlib import Path

import torch
from command_line import crowdpoint


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
    assert crowdpoint("import", tmp_path / "nowhere.pth", "--as", "p2pnet-vgg16", "--out", out).code == 2
    assert crowdpoint("import", path, "--out", out).code == 2
