"""Counts the parameters and the multiply-accumulate operations of an ONNX graph.

The exporter counts once and stores the figures in the file, so that `crowdpoint bench` needs no
`onnx`, which is a part of the `train` extra.
"""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crowdpoint.errors import requires

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

SIDE = 256
"""Side in pixels of the image that is counted on: a multiple of every stride, so nothing is padding."""

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Complexity:
    """The size of a network.

    Attributes:
        parameters: learned values of all convolutions, matrix products and batch norms, also those
            stored in another precision behind a cast. A folded batch norm is in its layer's bias.
        macs_per_pixel: multiply-accumulate operations of all convolutions and matrix products, divided
            by the pixels of the image. Times width and height it gives the MACs of any image whose
            sides are multiples of the network's deepest stride.
    """

    parameters: int
    macs_per_pixel: float


def count(path: Path) -> Complexity:
    """Counts a model by running it once with every layer's shape in sight.

    Operators inside control flow are not seen; the exported networks have none.

    Args:
        path: an ONNX file with the input `images` (B, 3, H, W).

    Raises:
        MissingExtraError: if `onnx` is not installed.
    """
    with requires("counting parameters and MACs", "train"):
        import onnx
    model = onnx.load(path)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    casts = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Cast"}
    layers = [node for node in model.graph.node if node.op_type in _MACS]
    learned = [node.input for node in layers]
    learned += [node.input[1:3] for node in model.graph.node if node.op_type == "BatchNormalization"]
    weights = {casts.get(name, name) for inputs in learned for name in inputs} & stored.keys()
    parameters = sum(prod(stored[name].dims) for name in weights)
    names = {name for node in layers for name in (*node.input[:2], node.output[0])}
    shapes: Shapes = {name: tuple(stored[name].dims) for name in names & stored.keys()}
    shapes |= _run_shapes(model, sorted(names - stored.keys()))
    return Complexity(parameters, sum(_MACS[node.op_type](node, shapes) for node in layers) / SIDE**2)


def _run_shapes(model: "ModelProto", names: list[str]) -> Shapes:
    """Shapes of intermediate tensors for one image; running settles what shape inference cannot."""
    import onnx
    import onnxruntime

    images = np.zeros((1, 3, SIDE, SIDE), np.float32)
    names = [name for name in names if name != "images"]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    values = session.run(names, {"images": images}) if names else []
    return {"images": images.shape} | {name: value.shape for name, value in zip(names, values, strict=True)}


def _convolution(node: "NodeProto", shapes: Shapes) -> int:
    """Every output element sums over C_in / groups x kernel elements; weight (C_out, C_in/g, *k)."""
    return prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])


def _transposed(node: "NodeProto", shapes: Shapes) -> int:
    """Every input element spreads over C_out / groups x kernel elements; weight (C_in, C_out/g, *k)."""
    return prod(shapes[node.input[0]]) * prod(shapes[node.input[1]][1:])


def _product(node: "NodeProto", shapes: Shapes) -> int:
    """(..., m, k) times (..., k, n): k per output element."""
    return prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]


_MACS = {"Conv": _convolution, "ConvTranspose": _transposed, "MatMul": _product, "Gemm": _product}
