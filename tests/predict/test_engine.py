import copy
import dataclasses
import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from tiny_models import INFO, info, write_tiny

from crowdpoint.errors import ConfigError, ModelError
from crowdpoint.methods.density.config import DensityConfig
from crowdpoint.methods.fidtm.config import FIDTMConfig, LMDSConfig
from crowdpoint.methods.p2pnet.config import GatherConfig, P2PNetConfig
from crowdpoint.predict import Predictor
from crowdpoint.predict.engine import ModelInfo
from crowdpoint.predict.onnx import OnnxEngine
from crowdpoint.recipe import IntervalConfig


def test_runs_images_of_any_size(tmp_path: Path) -> None:
    engine = OnnxEngine(write_tiny(tmp_path / "tiny.onnx"), threads=1)
    assert engine.info == INFO
    for height, width in ((1, 1), (3, 5), (8, 8), (17, 40)):
        outputs = engine.run(np.zeros((1, 3, height, width), np.float32))
        cells = -(-height // 8) * -(-width // 8)
        assert outputs["points"].shape == (1, cells, 2)
        assert outputs["scores"].shape == (1, cells)


def test_a_copy_in_another_process_predicts_the_same(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(1).integers(0, 256, (40, 61, 3), np.uint8)
    monkeypatch.chdir(tiny.parent)
    predictor = Predictor.load(tiny.name, threshold=0.9, threads=1)
    pickled, expected = pickle.dumps(predictor), predictor.predict(image)
    monkeypatch.chdir(tiny.root)
    for copied in (pickle.loads(pickled), copy.deepcopy(predictor)):
        assert copied.threshold == 0.9
        assert copied.predict(image) == expected


def test_info_survives_the_metadata_and_ignores_unknown_keys() -> None:
    plain = dataclasses.replace(INFO, parameters=None, macs_per_pixel=None)
    peaks = info(FIDTMConfig(lmds=LMDSConfig(kernel=5, adaptive=False)))
    gathering = info(P2PNetConfig(gather=GatherConfig(radius=9)))
    sized = info(P2PNetConfig(predict_sizes=True, interval=IntervalConfig(below=1, above=2.5)))
    for each in (INFO, plain, peaks, gathering, sized, info(DensityConfig(sigma=3))):
        assert ModelInfo.parse({**each.metadata(), "later": "1"}, Path("x.onnx")) == each


NAMES = {"name": "tiny", "training_data": "none", "crowdpoint_version": "0.1.0"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, r"not a crowdpoint model: its metadata lack name, training_data, .*, config"),
        (INFO.metadata() | {"parameters": "eight"}, r"metadata are damaged.*eight"),
        (INFO.metadata() | {"config": "kernel 5"}, r"metadata are damaged"),
        (INFO.metadata() | {"config": "[]"}, r"method None is unknown"),
        (INFO.metadata() | {"config": '{"method": "yolo"}'}, r"'yolo' is unknown; this version runs p2pnet"),
        (INFO.metadata() | {"config": "[" * 5000}, r"metadata are damaged"),
        (INFO.metadata() | {"config": '{"method": {}}'}, r"method {} is unknown"),
        (INFO.metadata() | {"max_sides": '{"a": "far"}'}, r"metadata are damaged"),
    ],
)
def test_foreign_metadata(tmp_path: Path, change: dict[str, str], message: str) -> None:
    path = write_tiny(tmp_path / "foreign.onnx", change)
    with pytest.raises(ModelError, match=rf"foreign\.onnx: .*{message}"):
        OnnxEngine(path)


@pytest.mark.parametrize("text", [b"Conv", b"crowdpoint_version"])
def test_texts_that_are_not_utf_8(text: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_tiny(tmp_path / "tiny.onnx")
    path.write_bytes(path.read_bytes().replace(text, b"\xff" * len(text)))
    with pytest.raises(ModelError, match=r"tiny\.onnx: not a"):
        OnnxEngine(path)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("threshold", ["nan", "1e308", "inf"])
def test_thresholds_are_in_0_to_1(threshold: str) -> None:
    metadata = INFO.metadata() | {"config": f'{{"method": "fidtm", "threshold": "{threshold}"}}'}
    with pytest.raises((ConfigError, ModelError), match=r"x\.onnx: .*threshold"):
        ModelInfo.parse(metadata, Path("x.onnx"))


def test_a_configuration_that_is_not_valid(tmp_path: Path) -> None:
    config = '{"method": "fidtm", "lmds": {"kernel": 2}}'
    path = write_tiny(tmp_path / "foreign.onnx", INFO.metadata() | {"config": config})
    with pytest.raises(ConfigError, match=r"foreign\.onnx: config: invalid configuration: lmds\.kernel: "):
        OnnxEngine(path)


def test_wrong_input_type(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "bytes.onnx", image_type=TensorProto.UINT8)
    with pytest.raises(ModelError, match=r"expected one input, images \(B, 3, H, W\) float32, found .*uint8"):
        OnnxEngine(path)


def test_a_model_that_predicts_sizes_has_their_output(tmp_path: Path) -> None:
    sized = P2PNetConfig(predict_sizes=True)
    path = write_tiny(tmp_path / "sized.onnx", info(sized).metadata())
    with pytest.raises(ModelError, match=r"expected outputs \['sides'\] too, found \['points', 'scores'\]"):
        OnnxEngine(path)


def test_missing_output(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "renamed.onnx", outputs=("points", "logits"))
    with pytest.raises(ModelError, match=r"expected outputs \['scores'\] too, found \['points', 'logits'\]"):
        OnnxEngine(path)


@pytest.mark.parametrize("content", [b"", b"\x00garbage" * 100])
def test_damaged_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.onnx: not an ONNX model"):
        OnnxEngine(path)


def test_truncated_file(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "tiny.onnx")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError, match=r"tiny\.onnx"):
        OnnxEngine(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        OnnxEngine(tmp_path / "none.onnx")


def test_threads_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="threads: expected at least 1, found 0"):
        OnnxEngine(write_tiny(tmp_path / "tiny.onnx"), threads=0)


def test_tiny_model_stores_half_precision(tmp_path: Path) -> None:
    model = onnx.load(write_tiny(tmp_path / "tiny.onnx"))
    assert TensorProto.FLOAT16 in {tensor.data_type for tensor in model.graph.initializer}
