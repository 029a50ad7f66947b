import json
from pathlib import Path

import pytest
from command_line import crowdpoint

from crowdpoint import zoo


def test_json_lists_every_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    (tmp_path / "p2pnet-lite.onnx").touch()
    outcome = crowdpoint("models", "--json")
    assert outcome.code == 0
    models = {model["name"]: model for model in json.loads(outcome.out)}
    assert list(models) == [model.name for model in zoo.list_models()]
    assert models["p2pnet-lite"]["embedded"] is True
    assert models["p2pnet-vgg16"]["embedded"] is False
    assert all(model["parameters"] > 1e6 and model["description"] for model in models.values())


def test_table() -> None:
    outcome = crowdpoint("models")
    assert outcome.code == 0
    for model in zoo.list_models():
        assert model.name in outcome.out
