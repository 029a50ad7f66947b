"""Reads the checkpoints that the papers' authors published into our networks.

Only their layout is known here: names and shapes. What their networks never use is left out.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from crowdpoint.config import load_recipe
from crowdpoint.errors import ModelError
from crowdpoint.nn.engine import build
from crowdpoint.nn.imagenet import load_strictly
from crowdpoint.train import checkpoint

RECIPES = {"p2pnet-vgg16": "p2pnet-shanghaitech-a"}
"""Model name -> the recipe whose network the authors' checkpoint fits."""

_BODY_STARTS = (0, 13, 23, 33)
"""Index in VGG16-BN's `features` of the first layer of body1 ... body4."""

_P2PNET_LAYERS = {
    "fpn.P5_1": "pyramid.lateral.16",
    "fpn.P4_1": "pyramid.lateral.8",
    "fpn.P4_2": "pyramid.merge",
} | {
    f"{branch}.{theirs}": f"{branch}.{ours}"
    for branch in ("regression", "classification")
    for theirs, ours in (("conv1", 0), ("conv2", 2), ("output", 4))
}

_P2PNET_UNUSED = re.compile(r"fpn\.(P5_2|P3_1|P3_2)\.|(regression|classification)\.conv[34]\.")


def import_official(path: Path, name: str, out: Path) -> None:
    """Writes an official checkpoint as one of ours.

    Coordinates need no correction: the authors' reference points are centred in their cells and counted
    from the corner of the image as ours are, so the constant between their origin and ours is (0, 0).

    Args:
        path: the authors' file.
        name: `p2pnet-vgg16`.
        out: the checkpoint folder to write.

    Raises:
        ModelError: for an unknown name, or a file that does not hold that network.
    """
    if name not in RECIPES:
        raise ModelError(f"{name}: no official checkpoint of it is known; expected {', '.join(RECIPES)}")
    recipe = load_recipe(RECIPES[name])
    network = build(recipe.model)
    load_strictly(network, p2pnet_weights(_state(path)), f"the authors' P2PNet checkpoint: {path}")
    checkpoint.save(out, network.state_dict(), recipe)


def p2pnet_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The official P2PNet state dict under our names, without the parameters that it never uses.

    Names that are not known stay as they are, for a strict load to complain of.
    """
    return {_p2pnet_name(key): value for key, value in state.items() if not _P2PNET_UNUSED.match(key)}


def _p2pnet_name(key: str) -> str:
    if body := re.fullmatch(r"backbone\.body([1-4])\.(\d+)\.(\w+)", key):
        part, layer, parameter = body.groups()
        return f"backbone.features.{_BODY_STARTS[int(part) - 1] + int(layer)}.{parameter}"
    layer, _, parameter = key.rpartition(".")
    return f"{_P2PNET_LAYERS.get(layer, layer)}.{parameter}"


def _state(path: Path) -> Mapping[str, Tensor]:
    state = checkpoint.load_torch(path).get("model")
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f'{path}: expected {{"model": state_dict}}, as the authors publish it')
    return state
