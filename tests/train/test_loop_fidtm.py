"""FIDTM through the loop that P2PNet trains by."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import TINY, write_shanghaitech

import crowdpoint
from crowdpoint import checkpoint
from crowdpoint.config import load_recipe
from crowdpoint.predict.torch import build
from crowdpoint.train import journal, loop

OVERRIDES = [override for override in TINY if not override.startswith(("model.", "loss."))]


def test_the_papers_regressors_go_through_the_loop(tmp_path: Path) -> None:
    """By the paper's recipe but for the size; CSRNet is the cheapest."""
    own = ("model.regressor=csrnet", "augment.crop=32", "augment.crops_per_image=2", "run.images=1")
    recipe = load_recipe("fidtm-shanghaitech-a", (*OVERRIDES, *own))
    out = tmp_path / "run"
    loop.train(recipe, write_shanghaitech(tmp_path / "data"), out, accelerator="cpu")
    found, _ = checkpoint.load(out / "best")
    torch.manual_seed(recipe.run.seed)
    fresh = build(recipe.model).state_dict()
    still = {name for name, value in found.items() if torch.equal(value, fresh[name])}
    assert not still


def test_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "EVERY", 6)
    recipe = load_recipe("fidtm-lite", (*OVERRIDES, "run.steps=24", "optimizer.schedule=constant"))
    out = tmp_path / "run"
    loop.train(recipe, write_shanghaitech(tmp_path / "data"), out, accelerator="cpu")
    with (out / "log.csv").open(newline="") as file:
        rows = [(row[1], float(row[2])) for row in list(csv.reader(file))[1:]]
    for term in ("mse", "independent"):
        losses = [value for name, value in rows if name == f"loss/{term}"]
        assert losses[-1] < 0.9 * losses[0], term
    _, best = checkpoint.load(out / "best")
    assert best.model.threshold == dict(rows)["validation/threshold"]
    points = crowdpoint.load(out / "best").predict(np.zeros((50, 70, 3), np.uint8))
    assert points.image_size == (70, 50)
