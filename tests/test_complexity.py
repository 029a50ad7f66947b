import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_models import write_tiny

from crowdpoint.complexity import Complexity, count
from crowdpoint.errors import MissingExtraError


def _write(path: Path, nodes: list[onnx.NodeProto], weights: dict[str, tuple[int, ...]]) -> Path:
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["B", 3, "H", "W"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def test_convolutions(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Conv", ["images", "full", "bias"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Conv", ["a", "depthwise"], ["b"], group=8, pads=[2, 2, 2, 2]),
        node("Mul", ["b", "scale"], ["c"]),
        node("ConvTranspose", ["c", "up"], ["out"], strides=[2, 2]),
    ]
    weights = {
        "full": (8, 3, 3, 3),
        "bias": (8,),
        "depthwise": (8, 1, 5, 5),
        "scale": (1,),
        "up": (8, 4, 2, 2),
    }
    found = count(_write(tmp_path / "convolutions.onnx", nodes, weights))
    assert found.parameters == 8 * 3 * 9 + 8 + 8 * 25 + 8 * 4 * 4
    # all three work on, or from, a map of half the side
    assert found.macs_per_pixel == (8 * 3 * 9 + 8 * 25 + 8 * 4 * 4) / 4


def test_batch_norms_have_two_learned_values_a_channel(tmp_path: Path) -> None:
    nodes = [helper.make_node("BatchNormalization", ["images", "scale", "bias", "mean", "var"], ["out"])]
    found = count(
        _write(tmp_path / "norm.onnx", nodes, dict.fromkeys(("scale", "bias", "mean", "var"), (3,)))
    )
    assert found == Complexity(parameters=6, macs_per_pixel=0)


def test_products_and_shared_weights(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Transpose", ["images"], ["pixels"], perm=[0, 2, 3, 1]),
        node("MatMul", ["pixels", "weight"], ["a"]),
        node("MatMul", ["a", "weight"], ["b"]),
        node("Flatten", ["b"], ["rows"], axis=3),
        node("Gemm", ["rows", "last", "bias"], ["out"], transB=1),
    ]
    found = count(_write(tmp_path / "products.onnx", nodes, {"weight": (3, 3), "last": (5, 3), "bias": (5,)}))
    assert found == Complexity(parameters=9 + 15 + 5, macs_per_pixel=9 + 9 + 15)


def test_half_precision_behind_a_cast(tmp_path: Path) -> None:
    assert count(write_tiny(tmp_path / "tiny.onnx")) == Complexity(parameters=3, macs_per_pixel=3)


def test_no_layers(tmp_path: Path) -> None:
    path = _write(tmp_path / "none.onnx", [helper.make_node("Identity", ["images"], ["out"])], {})
    assert count(path) == Complexity(0, 0)


def test_without_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"counting parameters and MACs .*crowdpoint\[train\]"):
        count(tmp_path / "any.onnx")
