"""Export a checkpoint to an ONNX or OpenVINO file with metadata. Needs `crowdpoint[train]`.

The graph has the torch network's contract: 0-255 RGB of any size in, points in input pixels out.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from crowdpoint import checkpoint
from crowdpoint.backbones.branches import CONSTANT, watch
from crowdpoint.backbones.efficientnet import EfficientNetLite0
from crowdpoint.backbones.framing import ImageModel
from crowdpoint.errors import ModelError, requires, wrap_write_errors
from crowdpoint.outputs import write_atomically
from crowdpoint.predict.engine import Engine
from crowdpoint.predict.onnx import OnnxEngine
from crowdpoint.predict.torch import TorchEngine, describe, load_network
from crowdpoint.recipe import Recipe

OPSET = 18

TOLERANCE = 1e-4
"""Maximum difference between the outputs of torch and of the exported file, relative to values above 1."""


def export_onnx(folder: Path, out: Path, *, name: str | None = None, half: bool = False) -> None:
    """Export a checkpoint, and compare the file with the network in ONNX Runtime.

    Args:
        folder: the checkpoint.
        out: the file to write.
        name: the model's name in the file's metadata; the file's by default.
        half: store weights in half precision, and compute in fp32. Such a file is a checkpoint, too, to train
            from or to export: it includes the recipe and the weights that the graph lacks.

    Raises:
        ModelError: if the checkpoint is incomplete, the suffix is wrong, or file and network disagree.
    """
    with _draft(out, ".onnx") as draft:
        network, recipe, model = _describe_graph(folder, name or out.stem, half)
        if half:
            checkpoint.embed(model, network.state_dict(), recipe)
        onnx.save(model, draft)
        _check(network, OnnxEngine(draft, threads=1), out)


def export_openvino(folder: Path, out: Path, *, name: str | None = None, half: bool = False) -> None:
    """Export a checkpoint, and compare the files with the network in OpenVINO.

    The `.xml` file `out` has its weights beside it, in a `.bin` file. Arguments and errors as `export_onnx`;
    with `half`, too, the files are no checkpoint.
    """
    with requires("export to OpenVINO", "openvino"):
        from crowdpoint.predict.openvino import OpenVinoEngine, convert
    with _draft(out, ".xml") as draft:
        network, _, model = _describe_graph(folder, name or out.stem, half)
        convert(model.SerializeToString(), draft)
        _check(network, OpenVinoEngine(draft, threads=1), out)


@contextmanager
def _draft(out: Path, suffix: str) -> Iterator[Path]:
    """Yield a temporary path, and on success move its files to `out`, which must end with `suffix`."""
    if out.suffix != suffix:
        raise ModelError(f"{out}: expected a name that ends with {suffix}, by which models are known")
    with wrap_write_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(out) as draft:
            yield draft


def _describe_graph(folder: Path, name: str, half: bool) -> tuple[ImageModel, Recipe, onnx.ModelProto]:
    """Load a checkpoint, and build its network's graph with metadata; arguments as `export_onnx`."""
    network, recipe = load_network(folder)
    if half:
        network.half().float()  # round first, so that the check compares what is stored
    folded, scales = _fold(network)
    info = describe(network, recipe, name)
    model = _trace(folded, info.method.outputs(info.config))
    helper.set_model_props(model, info.metadata())
    if half:
        _halve(model.graph, network.state_dict(), scales)
    onnx.checker.check_model(model)
    return network, recipe, model


def _fold(network: ImageModel) -> tuple[ImageModel, dict[str, Tensor]]:
    """Fold every batch norm into the convolution before it, and the lite models' normalisation of images.

    Returns a copy of the network, and the factors of the output channels by name of each folded weight.
    """
    twin = deepcopy(network)
    scales = {}
    for path, parent in list(twin.named_modules()):
        for (before, layer), (name, norm) in pairwise(list(parent.named_children())):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, before, fuse_conv_bn_eval(layer, norm))
                setattr(parent, name, nn.Identity())
                variance = cast(Tensor, norm.running_var)
                scales[f"{path}.{before}.weight".lstrip(".")] = norm.weight / (variance + norm.eps).sqrt()
    backbone = getattr(twin, "backbone", None)  # a method of your own may have none
    if isinstance(backbone, EfficientNetLite0):
        scales["backbone._conv_stem.weight"] *= _fold_normalization(twin, backbone._conv_stem)
    return twin, scales


def _fold_normalization(network: ImageModel, first: nn.Conv2d) -> float:
    """Fold the normalisation of images, the same for all channels, into the first convolution with its bias.

    Saves two passes over the image, 3 % of the time of the lite models. Returns the factor of the weight.
    """
    mean, factor = float(network.mean[0, 0]), 1 / float(network.std[0, 0])
    border = cast(int, first.padding[0])
    with torch.no_grad():
        first.weight *= factor
        cast(Tensor, first.bias).sub_(mean * first.weight.sum(dim=(1, 2, 3)))
    first.padding = (0, 0)  # the image is padded with its mean instead, which is 0 after normalisation
    network.frame = partial(network.pad, border=border, value=mean)  # type: ignore[method-assign]
    return factor


def _trace(network: nn.Module, outputs: Sequence[str]) -> onnx.ModelProto:
    # The exporter warns of torchvision's operators, which are not used, and of its own code.
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
            verbose=False,
        )
    if program is None:
        raise ModelError("the network could not be traced")
    model: onnx.ModelProto = program.model_proto
    for node in model.graph.node:
        node.ClearField("metadata_props")  # large stack traces
    return model


def _halve(graph: onnx.GraphProto, weights: Mapping[str, Tensor], scales: Mapping[str, Tensor]) -> None:
    """Store large fp32 initializers as fp16, each followed by a cast that ONNX Runtime folds at load.

    Folded weights are stored unfolded and scaled after the cast, so that they are not rounded once more.
    """
    nodes = []
    for tensor in list(graph.initializer):
        name = tensor.name
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 64 or name not in weights:
            continue
        whole = f"{name}.cast" if name in scales else name
        nodes.append(helper.make_node("Cast", [f"{name}{checkpoint.HALF}"], [whole], to=TensorProto.FLOAT))
        if name in scales:
            scale = scales[name].detach().numpy().reshape(-1, 1, 1, 1)
            graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
            nodes.append(helper.make_node("Mul", [whole, f"{name}.scale"], [name]))
        stored = weights[name].numpy().astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(stored, f"{name}{checkpoint.HALF}"))
    nodes.extend(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)


def _check(network: ImageModel, engine: Engine, path: Path) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (1, 3, 67, 131)).astype(np.float32)
    found = engine.run(images)
    with watch(network.branches()) as activity:
        outputs = TorchEngine(network, engine.info).run(images)
    for name, branch in activity.items():
        if branch.spread < CONSTANT:
            raise ModelError(f"{path}: not written: the {name} branch of the network {branch.fault}")
    for name, wanted in outputs.items():
        difference = float(np.abs(found[name] - wanted).max()) / max(1.0, float(np.abs(wanted).max()))
        if not difference <= TOLERANCE:  # also if it is NaN
            raise ModelError(
                f"{path}: {name} differs from the network by {difference:.1e}, more than {TOLERANCE}"
            )
