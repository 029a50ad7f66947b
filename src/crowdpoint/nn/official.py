"""Reads the checkpoints that the papers' authors published into our networks.

Only their layout is known here: names and shapes. What their networks never use is left out.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from crowdpoint.config import load_recipe
from crowdpoint.errors import ModelError
from crowdpoint.nn.engine import build
from crowdpoint.nn.imagenet import load_strictly
from crowdpoint.train import checkpoint

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


def import_official(path: Path, name: str, out: Path, trained_on: str = "shanghaitech-a") -> None:
    """Writes an official checkpoint as one of ours.

    Coordinates need no correction. P2PNet's reference points are centred in their cells and counted from the
    corner of the image, as ours are. A peak of FIDTM's map belongs to a pixel, which its authors name by its
    corner, and we by its centre.

    Args:
        path: the authors' file.
        name: `p2pnet-vgg16` or `fidtm-hrnet-w48`.
        out: the checkpoint folder to write.
        trained_on: the dataset that the file is for; the paper's recipe for it goes into the checkpoint.

    Raises:
        ModelError: for an unknown name, or a file that does not hold that network.
        ConfigError: if there is no recipe of the paper for that dataset.
    """
    if name not in OFFICIAL:
        raise ModelError(f"{name}: no official checkpoint of it is known; expected {', '.join(OFFICIAL)}")
    method, key, renamed = OFFICIAL[name]
    recipe = load_recipe(f"{method.lower()}-{trained_on}")
    network = build(recipe.model)
    load_strictly(network, renamed(_state(path, key)), f"the authors' {method} checkpoint: {path}")
    checkpoint.save(out, network.state_dict(), recipe)


def p2pnet_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The official P2PNet state dict under our names, without the parameters that it never uses.

    Names that are not known stay as they are, for a strict load to complain of.
    """
    return {_p2pnet_name(key): value for key, value in state.items() if not _P2PNET_UNUSED.match(key)}


def fidtm_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The official FIDTM state dict under our names: without the prefix that data parallelism gave it."""
    return {key.removeprefix("module."): value for key, value in state.items()}


class _Official(NamedTuple):
    """A checkpoint that authors publish: its method, the key of its state dict, and our names for it."""

    method: str
    key: str
    renamed: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


OFFICIAL = {
    "p2pnet-vgg16": _Official("P2PNet", "model", p2pnet_weights),
    "fidtm-hrnet-w48": _Official("FIDTM", "state_dict", fidtm_weights),
}
"""Model name -> what its authors publish."""


def _p2pnet_name(key: str) -> str:
    if body := re.fullmatch(r"backbone\.body([1-4])\.(\d+)\.(\w+)", key):
        part, layer, parameter = body.groups()
        return f"backbone.features.{_BODY_STARTS[int(part) - 1] + int(layer)}.{parameter}"
    layer, _, parameter = key.rpartition(".")
    return f"{_P2PNET_LAYERS.get(layer, layer)}.{parameter}"


def _state(path: Path, key: str) -> Mapping[str, Tensor]:
    content = checkpoint.load_torch(path)
    state = content.get(key)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        found = ", ".join(map(str, content)) or "nothing"
        raise ModelError(
            f'{path}: expected {{"{key}": state_dict}}, as the authors publish it; found {found}'
        )
    return state
