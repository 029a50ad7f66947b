"""Tiny ONNX models with the contract of the real ones, for tests that need a file to run."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from crowdpoint.methods import METHODS
from crowdpoint.methods.p2pnet.config import P2PNetConfig
from crowdpoint.predict.engine import ModelInfo
from crowdpoint.recipe import ModelConfig

CELL: Final = 8
"""Pixels per cell; a point lies in the centre of its cell."""

TINY_SIDE: Final = 1000
"""Side in pixels of the head of a white dot on a tiny map."""

INFO = ModelInfo(
    name="tiny",
    config=P2PNetConfig(stride=CELL, points_per_cell=1),
    training_data="none",
    crowdpoint_version="0.1.0",
    parameters=9,
    macs_per_pixel=9.0,
)


def info(config: ModelConfig) -> ModelInfo:
    """What a tiny model with this configuration says of itself."""
    return replace(INFO, config=config)


def write_tiny(
    path: Path,
    metadata: dict[str, str] | None = None,
    image_type: int = TensorProto.FLOAT,
    outputs: tuple[str, str] = ("points", "scores"),
) -> Path:
    """A P2PNet without learning: one proposal per 8 x 8 cell, scored by its brightest pixel.

    So a white dot on black is one point in the centre of its cell, with a score of 1. The one layer has
    a weight in half precision behind a cast, as the embedded models do.

    Args:
        path: the file to write.
        metadata: the strings stored in the file; those of `INFO` by default.
        image_type: element type of the input, to make a file that breaks the contract.
        outputs: names of the outputs, to make a file that breaks the contract.
    """
    grey = np.full((1, 3, 1, 1), 1 / (3 * 255), np.float16)
    constants: dict[str, npt.NDArray[np.generic]] = {
        "weight16": grey,
        "flat": np.array([0, -1], np.int64),
        "front": np.array([0], np.int64),
        "plane": np.array([2, 3], np.int64),
        "xy": np.array([1, 0], np.int64),
        "cell": np.array(CELL, np.float32),
        "half": np.array(CELL / 2, np.float32),
    }
    points, scores = outputs
    node = helper.make_node
    nodes = [
        node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        node("Cast", ["weight16"], ["weight"], to=TensorProto.FLOAT),
        node("Conv", ["pixels", "weight"], ["grey"]),
        node("MaxPool", ["grey"], ["cells"], kernel_shape=[CELL] * 2, strides=[CELL] * 2, ceil_mode=1),
        node("Reshape", ["cells", "flat"], [scores]),
        node("Shape", ["cells"], ["shape"]),
        node("Gather", ["shape", "plane"], ["size"]),
        node(
            "ConstantOfShape",
            ["size"],
            ["ones"],
            value=helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        ),
        node("NonZero", ["ones"], ["rows_columns"]),  # (2, M)
        node("Gather", ["rows_columns", "xy"], ["columns_rows"]),
        node("Transpose", ["columns_rows"], ["indices"]),  # (M, 2)
        node("Cast", ["indices"], ["indices_float"], to=TensorProto.FLOAT),
        node("Mul", ["indices_float", "cell"], ["corners"]),
        node("Add", ["corners", "half"], ["centers"]),
        node("Unsqueeze", ["centers", "front"], [points]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", image_type, ["B", 3, "H", "W"])],
        [
            helper.make_tensor_value_info(points, TensorProto.FLOAT, ["B", "M", 2]),
            helper.make_tensor_value_info(scores, TensorProto.FLOAT, ["B", "M"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, INFO.metadata() if metadata is None else metadata)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def write_tiny_map(path: Path, config: ModelConfig) -> Path:
    """A network that predicts a map without learning: how bright each pixel is, from 0 to 1.

    If the configuration predicts sizes, the head in a cell of 4 x 4 pixels has a side of its brightest pixel
    times `TINY_SIDE`.

    Args:
        path: the file to write.
        config: what the file says of itself; its method decides what the map is taken for.
    """
    weight = np.full((1, 3, 1, 1), 1 / (3 * 255), np.float32)
    outputs = METHODS[config.method].outputs(config)
    nodes = [helper.make_node("Conv", ["images", "weight"], ["map"])]
    if "sides" in outputs:
        nodes.append(
            helper.make_node("MaxPool", ["map"], ["cells"], kernel_shape=[4, 4], strides=[4, 4], ceil_mode=1)
        )
        nodes.append(helper.make_node("Mul", ["cells", "side"], ["sides"]))
    graph = helper.make_graph(
        nodes,
        "tiny map",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["B", 3, "H", "W"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 1, None, None]) for name in outputs],
        [
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(np.array(TINY_SIDE, np.float32), "side"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, info(config).metadata())
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
