"""The names of the parameters in the checkpoint that P2PNet's authors publish."""

import re

from crowdpoint.methods.method import Official

_BODY_STARTS = (0, 13, 23, 33)
"""Index in VGG16-BN's `features` of the first layer of body1 ... body4."""

_LAYERS = {
    "fpn.P5_1": "pyramid.lateral.16",
    "fpn.P4_1": "pyramid.lateral.8",
    "fpn.P4_2": "pyramid.merge",
} | {
    f"{branch}.{theirs}": f"{branch}.{ours}"
    for branch in ("regression", "classification")
    for theirs, ours in (("conv1", 0), ("conv2", 2), ("output", 4))
}

_UNUSED = re.compile(r"fpn\.(P5_2|P3_1|P3_2)\.|(regression|classification)\.conv[34]\.")


def rename(key: str) -> str | None:
    """Return our name of one of the authors' parameters; None for those that their network never uses."""
    if _UNUSED.match(key):
        return None
    if body := re.fullmatch(r"backbone\.body([1-4])\.(\d+)\.(\w+)", key):
        part, layer, parameter = body.groups()
        return f"backbone.features.{_BODY_STARTS[int(part) - 1] + int(layer)}.{parameter}"
    layer, _, parameter = key.rpartition(".")
    return f"{_LAYERS.get(layer, layer)}.{parameter}"


OFFICIAL = Official("p2pnet-vgg16", "P2PNet", "model", rename)
