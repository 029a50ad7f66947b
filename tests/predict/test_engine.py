import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from tiny_models import INFO, write_tiny

from crowdpoint.decoder_config import GatherConfig, IntervalConfig, LMDSConfig
from crowdpoint.errors import ConfigError, ModelError
from crowdpoint.predict.engine import ModelInfo
from crowdpoint.predict.onnx import OnnxEngine


def test_runs_images_of_any_size(tmp_path: Path) -> None:
    engine = OnnxEngine(write_tiny(tmp_path / "tiny.onnx"), threads=1)
    assert engine.info == INFO
    for height, width in ((1, 1), (3, 5), (8, 8), (17, 40)):
        outputs = engine.run(np.zeros((1, 3, height, width), np.float32))
        cells = -(-height // 8) * -(-width // 8)
        assert outputs["points"].shape == (1, cells, 2)
        assert outputs["scores"].shape == (1, cells)


def test_info_survives_the_metadata_and_ignores_unknown_keys() -> None:
    plain = dataclasses.replace(INFO, parameters=None, macs_per_pixel=None)
    peaks = dataclasses.replace(INFO, method="fidtm", lmds=LMDSConfig(kernel=5, adaptive=False))
    gathering = dataclasses.replace(INFO, gather=GatherConfig(radius=9))
    sized = dataclasses.replace(INFO, predicts_sizes=True, interval=IntervalConfig(below=1, above=2.5))
    for info in (INFO, plain, peaks, gathering, sized):
        assert ModelInfo.parse({**info.metadata(), "later": "1"}, Path("x.onnx")) == info


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, r"not a crowdpoint model: its metadata lack method, name, stride"),
        (INFO.metadata() | {"stride": "eight"}, r"metadata are damaged.*eight"),
        (INFO.metadata() | {"lmds": "kernel 5"}, r"metadata are damaged"),
        (INFO.metadata() | {"method": "yolo"}, r"method 'yolo' is unknown; this version runs p2pnet"),
    ],
)
def test_foreign_metadata(tmp_path: Path, change: dict[str, str], message: str) -> None:
    path = write_tiny(tmp_path / "foreign.onnx", change)
    with pytest.raises(ModelError, match=rf"foreign\.onnx: .*{message}"):
        OnnxEngine(path)


def test_settings_that_are_not_valid(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "foreign.onnx", INFO.metadata() | {"lmds": '{"kernel": 2}'})
    with pytest.raises(ConfigError, match=r"foreign\.onnx: lmds: invalid configuration: kernel: "):
        OnnxEngine(path)


def test_wrong_input_type(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "bytes.onnx", image_type=TensorProto.UINT8)
    with pytest.raises(ModelError, match=r"expected one input, images \(B, 3, H, W\) float32, found .*uint8"):
        OnnxEngine(path)


def test_a_model_that_predicts_sizes_has_their_output(tmp_path: Path) -> None:
    sized = dataclasses.replace(INFO, predicts_sizes=True)
    path = write_tiny(tmp_path / "sized.onnx", sized.metadata())
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
