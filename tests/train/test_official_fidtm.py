"""FIDTM's checkpoint: a state dict with the prefix of data parallelism, on a network that takes any size."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from fidtm_reference import Official, narrow
from torch import nn

from crowdpoint import checkpoint
from crowdpoint.backbones import hrnet
from crowdpoint.backbones.hrnet import HRNet
from crowdpoint.config import load_recipe
from crowdpoint.errors import ConfigError, ModelError
from crowdpoint.export import export_onnx
from crowdpoint.methods.fidtm import network
from crowdpoint.methods.fidtm.config import FIDTMConfig, LMDSConfig
from crowdpoint.methods.fidtm.peaks import local_maxima
from crowdpoint.predict import Predictor
from crowdpoint.predict.torch import TorchEngine
from crowdpoint.train.official import import_official

NAME = "fidtm-hrnet-w48"


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's network with a twelfth of its channels; that of full width is in test_hrnet."""
    monkeypatch.setitem(network._REGRESSORS, "hrnet-w48", partial(HRNet, width=4))


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """The authors' file: the last bias puts the map where local maxima are people."""
    state = narrow().state_dict()
    state["last_layer.5.weight"] *= 0.1
    state["last_layer.5.bias"] += 0.5
    path = tmp_path / "model_best.pth"
    named = {f"module.{name}": value for name, value in state.items()}
    torch.save({"epoch": 9, "arch": None, "best_prec1": 57.0, "state_dict": named}, path)
    return path


def test_outputs_equal_the_official_ones(official: Path, tmp_path: Path) -> None:
    """Sides that are multiples of nothing: the official test code feeds images as they are."""
    import_official(official, NAME, tmp_path / "out", "shanghaitech-a")
    state = torch.load(official, weights_only=True)["state_dict"]
    theirs = Official({name.removeprefix("module."): value for name, value in state.items()})
    image = np.random.default_rng(5).integers(0, 256, (75, 109, 3), np.uint8)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        expected = theirs(batch)[0, 0].numpy()
    found = TorchEngine.load(tmp_path / "out").run(batch.numpy())["map"][0, 0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * float(np.ptp(expected)))
    predictor = Predictor.load(tmp_path / "out")
    assert (predictor.info.method.name, predictor.info.threshold) == ("fidtm", 100 / 255)
    points = predictor.predict(image)
    assert points.xy.tolist() == local_maxima(expected).xy.tolist()
    assert len(points) > 10


def test_the_dataset_selects_the_recipe(official: Path, tmp_path: Path) -> None:
    import_official(official, NAME, tmp_path / "out", "ucf-qnrf")
    _, recipe = checkpoint.load(tmp_path / "out")
    assert [data.name for data in recipe.data] == ["ucf-qnrf"]
    assert isinstance(recipe.model, FIDTMConfig)
    assert recipe.model.lmds.smooth
    assert recipe.run.calibrate is False
    with pytest.raises(ConfigError, match=r"trained on ucf: expected one of shanghaitech-a, .*ucf-qnrf"):
        import_official(official, NAME, tmp_path / "other", "ucf")


def test_rejects_other_checkpoints(official: Path, tmp_path: Path) -> None:
    def refused(content: object, complaint: str) -> None:
        torch.save(content, tmp_path / "their.pth")
        with pytest.raises(ModelError, match=complaint):
            import_official(tmp_path / "their.pth", NAME, tmp_path / "out", "shanghaitech-a")
        assert not (tmp_path / "out").exists()

    state = torch.load(official, weights_only=True)["state_dict"]
    refused({"model": state}, r'their\.pth: expected \{"state_dict": state_dict\}.*; found model')
    refused({"state_dict": {"a": 1}}, r"expected \{")
    lacking = {name: value for name, value in state.items() if name != "module.last_layer.5.bias"}
    refused({"state_dict": lacking}, r"authors' FIDTM checkpoint: .*: 1 missing: last_layer\.5\.bias")
    refused({"state_dict": state | {"module.x": torch.zeros(1)}}, r"1 unexpected: x")


def test_exports_with_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the blocks that leave shapes alone, and one module a stage: tracing takes time.

    `export_onnx` itself compares the file with the network, on sides that are multiples of nothing.
    """
    stage = hrnet._stage
    monkeypatch.setattr(hrnet, "_stage", lambda modules, widths: stage(1, widths))
    monkeypatch.setattr(hrnet, "_BasicBlock", lambda width: nn.Identity())
    recipe = load_recipe("fidtm-ucf-qnrf")
    shallow = narrow()
    checkpoint.save(tmp_path / "shallow", shallow.state_dict(), recipe)
    export_onnx(tmp_path / "shallow", tmp_path / "model.onnx")
    predictor = Predictor.load(tmp_path / "model.onnx", threads=1)
    assert predictor.info.config == FIDTMConfig(lmds=LMDSConfig(smooth=True))
    for size in ((64, 96), (31, 66), (1, 1)):
        image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
        batch = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            expected = shallow(batch)[0, 0].numpy()
        found = predictor.inspect(image).map
        assert found is not None
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
