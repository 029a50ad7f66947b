"""Export: one ONNX file that computes what the network does, for any size, and says what it is."""

import logging
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from math import prod
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import pytest
import torch
from command_line import crowdpoint
from onnx import TensorProto, numpy_helper

from crowdpoint import checkpoint, export, zoo
from crowdpoint.backbones.framing import ImageModel
from crowdpoint.config import load_recipe
from crowdpoint.errors import ModelError
from crowdpoint.export import export_onnx, export_openvino
from crowdpoint.methods import METHODS
from crowdpoint.methods.p2pnet.network import P2PNet
from crowdpoint.predict import Predictor
from crowdpoint.predict.loading import load_engine
from crowdpoint.predict.onnx import OnnxEngine
from crowdpoint.predict.torch import TorchEngine, build, describe, load_network
from crowdpoint.version import __version__


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose proposals and scores are well spread."""
    torch.manual_seed(0)
    recipe = load_recipe(
        "p2pnet-lite",
        [
            "model.head_channels=16",
            "model.points_per_cell=2",
            "model.threshold=0.43",
            "model.head=dense",
            "model.predict_sizes=false",
        ],
    )
    network = build(recipe.model)
    assert isinstance(network, P2PNet)
    for branch in (network.regression, network.classification):
        torch.nn.init.normal_(branch[-1].weight, std=0.5)  # type: ignore[arg-type]
    folder = tmp_path_factory.mktemp("export") / "run"
    checkpoint.save(folder, network.half().float().state_dict(), recipe)  # `traced` is used with half, too
    return folder


@pytest.fixture(scope="module")
def traced(folder: Path) -> onnx.ModelProto:
    """The graph, traced once: it takes ten seconds. A warning here is an error."""
    network, recipe = load_network(folder)
    return export._trace(export._fold(network)[0], METHODS[recipe.model.method].outputs(recipe.model))


@pytest.fixture(scope="module", autouse=True)
def _traced_once(traced: onnx.ModelProto) -> Iterator[None]:
    with mock.patch.object(export, "_trace", side_effect=lambda *_: deepcopy(traced)):
        yield


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    export_onnx(folder, folder.parent / "out" / "whole.onnx")
    return folder.parent / "out" / "whole.onnx"


@pytest.fixture(scope="module")
def half(folder: Path) -> Path:
    outcome = crowdpoint("export", folder, "--out", folder.parent / "half.onnx", "--name", "small", "--half")
    assert outcome.code == 0
    assert re.fullmatch(r".*half\.onnx: \d+\.\d MB\n", outcome.out)
    assert outcome.err == ""
    return folder.parent / "half.onnx"


def images(batch: int, height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(height).uniform(0, 255, (batch, 3, height, width)).astype(np.float32)


@pytest.mark.parametrize("size", [(1, 64, 96), (1, 67, 131), (2, 33, 70), (3, 5, 9), (1, 1, 1)])
def test_agrees_with_torch_for_any_size(folder: Path, whole: Path, size: tuple[int, int, int]) -> None:
    found = OnnxEngine(whole, threads=1).run(images(*size))
    wanted = TorchEngine.load(folder).run(images(*size))
    assert found.keys() == {"points", "scores"}
    count = 2 * -(-size[1] // 4) * -(-size[2] // 4)
    assert found["points"].shape == wanted["points"].shape == (size[0], count, 2)
    if count > 100:
        assert wanted["scores"].std() > 0.01, "the comparison would be of nothing"
        assert (wanted["points"] % 4).std() > 0.1
    np.testing.assert_allclose(found["scores"], wanted["scores"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found["points"], wanted["points"], rtol=1e-4, atol=1e-4)


def test_images_are_only_padded_before_the_first_convolution(whole: Path, half: Path) -> None:
    """Its weights normalise them."""
    for path in (whole, half):
        readers = {node.op_type for node in onnx.load(path).graph.node if "images" in node.input}
        assert readers <= {"Pad", "Shape"}


def test_a_network_without_a_backbone_keeps_its_normalisation() -> None:
    class Plain(ImageModel):
        def __init__(self) -> None:
            super().__init__(alignment=4)
            self.layer = torch.nn.Conv2d(3, 1, 3)

    folded, scales = export._fold(Plain())
    assert scales == {}
    values = 255 * torch.rand(1, 3, 5, 6)
    assert torch.equal(folded.frame(values)[..., :5, :6], (values - folded.mean) / folded.std)


def test_metadata(folder: Path, whole: Path, half: Path) -> None:
    info = OnnxEngine(whole, threads=1).info
    network = build(checkpoint.load(folder)[1].model)
    assert info == describe(network, checkpoint.load(folder)[1], "whole"), "the file's name is the model's"
    assert info.config == checkpoint.load(folder)[1].model
    assert info.threshold == 0.43
    assert info.training_data.startswith("shanghaitech-a, shanghaitech-b, photos, classrooms, ")
    assert info.crowdpoint_version == __version__
    assert info.parameters == sum(p.numel() for p in network.parameters())
    assert info.macs_per_pixel is not None
    assert info.macs_per_pixel > 1000
    assert OnnxEngine(half, threads=1).info.name == "small"


def test_half_precision_halves_the_file_and_little_else(whole: Path, half: Path) -> None:
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    wide, narrow = (OnnxEngine(path, threads=1).run(images(1, 64, 96)) for path in (whole, half))
    np.testing.assert_allclose(narrow["scores"], wide["scores"], rtol=0, atol=0.02)
    np.testing.assert_allclose(narrow["points"], wide["points"], rtol=0, atol=0.2)
    stored = onnx.load(half).graph.initializer
    elements = {kind: sum(prod(t.dims) for t in stored if t.data_type == kind) for kind in (1, 10)}
    assert elements[TensorProto.FLOAT] < 0.02 * elements[TensorProto.FLOAT16], "but for scales and biases"


def test_a_file_in_half_precision_is_a_checkpoint(folder: Path, whole: Path, half: Path) -> None:
    weights, recipe = checkpoint.load(zoo.find_checkpoint(half))
    wanted, same = checkpoint.load(folder)
    assert recipe == same
    assert weights.keys() == wanted.keys()
    for name, tensor in wanted.items():
        rounded = tensor.half().float() if tensor.is_floating_point() else tensor
        assert torch.equal(weights[name], rounded), name
    with pytest.raises(ModelError, match=r"whole\.onnx: holds no recipe; give a checkpoint folder"):
        checkpoint.load(zoo.find_checkpoint(whole))


@pytest.mark.parametrize("narrow", [False, True])
def test_openvino_files_equal_onnx_files(
    folder: Path, whole: Path, half: Path, tmp_path: Path, narrow: bool
) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed: pip install -e '.[openvino]'")
    out = tmp_path / "new" / "small.xml"
    options = ["--half"] if narrow else []
    outcome = crowdpoint("export", folder, "--to", "openvino", "--out", out, *options)
    assert (outcome.code, outcome.err) == (0, "")
    assert re.fullmatch(r".*small\.xml: \d+\.\d MB\n.*small\.bin: \d+\.\d MB\n", outcome.out)
    assert sorted(path.name for path in out.parent.iterdir()) == ["small.bin", "small.xml"]
    weights = out.with_suffix(".bin").stat().st_size
    parameters = describe(*load_network(folder), "any").parameters
    assert parameters is not None
    assert b"optimizer" not in out.read_bytes(), "the recipe, of no use there"
    assert weights == pytest.approx((2 if narrow else 4) * parameters, rel=0.04)
    engine = load_engine(out, threads=1)
    twin = OnnxEngine(half if narrow else whole, threads=1)
    assert engine.info == replace(twin.info, name="small")
    for size in ((1, 67, 131), (2, 33, 70)):
        found, wanted = engine.run(images(*size)), twin.run(images(*size))
        np.testing.assert_allclose(found["scores"], wanted["scores"], rtol=0, atol=1e-4)
        np.testing.assert_allclose(found["points"], wanted["points"], rtol=1e-4, atol=1e-4)


def test_runs_like_any_model(whole: Path) -> None:
    points = Predictor.load(whole).predict(np.zeros((50, 70, 3), np.uint8))
    assert points.image_size == (70, 50)
    assert [path.name for path in whole.parent.iterdir()] == ["whole.onnx"]


def test_a_file_that_disagrees_never_gets_the_name(
    folder: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one that answers with what is not a number."""
    out = tmp_path / "model.onnx"
    out.write_bytes(b"the one before")
    for wrong in (1.0, float("nan")):
        model = onnx.load(whole)
        weight = next(
            tensor for tensor in model.graph.initializer if tensor.name == "classification.4.weight"
        )
        changed = numpy_helper.to_array(weight) * np.float32(1 + wrong)
        weight.CopyFrom(numpy_helper.from_array(changed, weight.name))
        monkeypatch.setattr(export, "_trace", lambda *_, model=model: model)
        with pytest.raises(
            ModelError, match=r"model\.onnx: scores differs from the network by (nan|\d.*), more than 0\.0001"
        ):
            export_onnx(folder, out)
    assert out.read_bytes() == b"the one before"
    assert list(tmp_path.iterdir()) == [out]


def test_command_line_errors(folder: Path, tmp_path: Path) -> None:
    missing = crowdpoint("export", tmp_path / "nowhere", "--out", tmp_path / "model.onnx")
    assert missing.code == 2
    assert "nowhere" in missing.err
    (tmp_path / "empty").mkdir()
    empty = crowdpoint("export", tmp_path / "empty", "--out", tmp_path / "model.onnx")
    assert (empty.code, empty.out) == (2, "")
    assert (
        empty.err == f"crowdpoint: {tmp_path / 'empty'}: not a checkpoint; "
        "expected a folder with weights.safetensors and config.yaml, or with one .onnx file\n"
    )
    for target, name in (("onnx", "model.xml"), ("openvino", "model.onnx"), ("openvino", "model")):
        # Refused at once, before the checkpoint is looked for.
        misnamed = crowdpoint("export", tmp_path / "nowhere", "--to", target, "--out", tmp_path / name)
        assert misnamed.code == 2
        ends = (".onnx", "openvino", ".xml") if target == "onnx" else (".xml", "onnx", ".onnx")
        expected = "expected a name that ends with {}, or with --to {} one that ends with {}, found"
        assert expected.format(*ends) in " ".join(misnamed.err.split())
        with pytest.raises(ModelError, match=f"{name}: expected a name that ends with {ends[0]}, by which"):
            (export_onnx if target == "onnx" else export_openvino)(folder, tmp_path / name)
    assert crowdpoint("export", folder, "--to", "coreml", "--out", tmp_path / "model").code == 2


def test_export_prints_no_warnings_of_torch(whole: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Exporting in this module has raised no warning, or these tests would have failed; nor does it log."""
    assert whole.is_file()
    assert not logging.getLogger("torch.onnx._internal.exporter._registration").isEnabledFor(logging.WARNING)


@pytest.mark.parametrize("branch", ["regression", "classification"])
def test_a_branch_that_returns_a_constant_is_not_exported(folder: Path, tmp_path: Path, branch: str) -> None:
    weights, recipe = checkpoint.load(folder)
    last = max(name for name in weights if name.startswith(branch) and name.endswith("weight"))
    checkpoint.save(tmp_path / "dead", weights | {last: torch.zeros_like(weights[last])}, recipe)
    with pytest.raises(ModelError, match=f"the {branch} branch of the network returns a constant"):
        export_onnx(tmp_path / "dead", tmp_path / "dead.onnx")
    assert not (tmp_path / "dead.onnx").exists()
