"""The script that measures the gradients of a loss's terms."""

import sys
from collections import defaultdict
from itertools import islice
from pathlib import Path

import measure_gradients
import pytest
import torch
from tiny_runs import tiny_recipe, write_shanghaitech

from crowdpoint import checkpoint
from crowdpoint.predict.torch import build


def test_each_term_reaches_its_own_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = write_shanghaitech(tmp_path / "data"), tmp_path / "run"
    recipe = tiny_recipe("optimizer.frozen=[backbone]")
    checkpoint.save(run, build(recipe.model).state_dict(), recipe)
    network = build(recipe.model).train()
    network.freeze(recipe.optimizer.frozen)
    torch.manual_seed(0)
    found: dict[tuple[str, str], list[torch.Tensor]] = defaultdict(list)
    for batch in islice(measure_gradients.gradients(network, recipe, data), 2):
        for key, gradient in batch.items():
            found[key].append(gradient)
    assert {part for part, _ in found} == {"pyramid", "regression", "classification"}
    assert all(len(own) == 2 for own in found.values())
    reached = {key for key, own in found.items() if any(gradient.any() for gradient in own)}
    assert ("regression", "point") in reached
    assert ("classification", "classification") in reached
    assert not {("regression", "classification"), ("classification", "point")} & reached

    arguments = (run, "--data", data, "--batches", 1)
    monkeypatch.setattr(sys, "argv", ["", *map(str, arguments)])
    measure_gradients.main()
    rows = [line.strip("│").split("│") for line in capsys.readouterr().out.splitlines()]
    assert ["classification", "point", "0.0e+00", "0.0e+00"] in [
        [cell.strip() for cell in row] for row in rows
    ]
