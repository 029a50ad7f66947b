"""Writes a checkpoint as one ONNX file that describes itself; needs `crowdpoint[train]`.

The graph has the torch network's contract: 0-255 RGB of any size in, points in input pixels out.
"""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from crowdpoint.errors import ModelError
from crowdpoint.nn.engine import TorchEngine, describe, load_network
from crowdpoint.nn.framing import Framed
from crowdpoint.predict.engine import OUTPUTS, ModelInfo, OnnxEngine

OPSET = 18

TOLERANCE = 1e-4
"""How far scores may be apart in torch and in ONNX Runtime; points in units of their own magnitude."""


def export_onnx(folder: Path, out: Path, *, name: str | None = None, half: bool = False) -> None:
    """Exports a checkpoint and checks the file against the network in ONNX Runtime.

    Args:
        folder: the checkpoint.
        out: the file to write.
        name: the model's name in the file's metadata; the file's by default.
        half: store weights in half precision, which halves the file; they are widened when it is
            loaded, so that it computes in fp32 all the same.

    Raises:
        ModelError: if the checkpoint is incomplete, or the written file disagrees with the network.
    """
    network, recipe = load_network(folder)
    if half:
        network.half().float()  # round first, so that the check below compares what is stored
    model = _traced(network, OUTPUTS[recipe.model.method])
    info = describe(network, recipe, name or out.stem)
    helper.set_model_props(model, info.metadata())
    if half:
        _halve(model.graph)
    onnx.checker.check_model(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f"{out.name}.new")
    onnx.save(model, draft)
    _check(network, info, draft)
    draft.replace(out)


def _traced(network: nn.Module, outputs: Sequence[str]) -> onnx.ModelProto:
    """The network as an ONNX graph with free batch, height and width."""
    # The exporter warns of torchvision's operators, which no network here has, and of its own code.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
        program = torch.onnx.export(
            network,
            (torch.zeros(2, 3, 96, 160),),
            input_names=["images"],
            output_names=list(outputs),
            dynamic_shapes={"images": {0: "batch", 2: "height", 3: "width"}},
            opset_version=OPSET,
            dynamo=True,
            optimize=False,
            verbose=False,
        )
    if program is None:
        raise ModelError("the network could not be traced")
    model: onnx.ModelProto = program.model_proto
    return model


def _halve(graph: onnx.GraphProto) -> None:
    """Stores fp32 weights as fp16, each followed by a cast that ONNX Runtime folds at load."""
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim == 0:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _check(network: Framed, info: ModelInfo, path: Path) -> None:
    """Compares the file with the network on a size that is a multiple of nothing.

    Raises:
        ModelError: if an output differs by more than the tolerance.
    """
    images = np.random.default_rng(0).uniform(0, 255, (1, 3, 67, 131)).astype(np.float32)
    found = OnnxEngine(path, threads=1).run(images)
    for name, wanted in TorchEngine(network, info).run(images).items():
        scale = max(1.0, float(np.abs(wanted).max()))
        difference = float(np.abs(found[name] - wanted).max()) / scale
        if not difference <= TOLERANCE:  # nor where it is not a number
            raise ModelError(
                f"{path}: {name} differs from the network by {difference:.1e}, more than {TOLERANCE}"
            )
