"""Density regression through the same loop; its count is the integral."""

import csv
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import TINY, write_shanghaitech

from crowdpoint import checkpoint
from crowdpoint.config import load_recipe
from crowdpoint.predict import Predictor
from crowdpoint.train import journal, loop

OVERRIDES = [override for override in TINY if not override.startswith(("model.", "loss."))]


def test_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "EVERY", 4)
    own = (
        "model={method: density, regressor: lite, sigma: 4}",
        "run.steps=12",
        "optimizer.schedule=constant",
    )
    out = tmp_path / "run"
    recipe = load_recipe("fidtm-lite", (*OVERRIDES, *own))
    loop.train(recipe, write_shanghaitech(tmp_path / "data"), out, accelerator="cpu")
    with (out / "log.csv").open(newline="") as file:
        rows = [(row[1], float(row[2])) for row in list(csv.reader(file))[1:]]
    losses = [value for name, value in rows if name == "loss/mse"]
    assert losses[-1] < 0.9 * losses[0]
    _, best = checkpoint.load(out / "best")
    assert best.model.threshold == 0.5, "there is nothing to calibrate"
    predictor = Predictor.load(out / "best")
    assert predictor.info.method.name == "density"
    image = np.random.default_rng(0).integers(0, 60, (50, 70, 3), np.uint8)
    seen = predictor.inspect(image)
    assert seen.map is not None
    assert len(predictor.find(image)) == max(round(float(seen.map.sum(dtype=np.float64)) / 100), 0)
