"""What the networks that start from ImageNet weights share: its statistics and a strict loader.

Weights keep the names of their publishers, so that a downloaded checkpoint loads as it is.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from crowdpoint.errors import ModelError

MEAN = (123.675, 116.28, 103.53)
"""Mean of ImageNet's red, green and blue, from 0 to 255."""
STD = (58.395, 57.12, 57.375)
"""Standard deviation of ImageNet's red, green and blue, from 0 to 255."""

TORCHVISION_FILES = {
    "vgg16": "vgg16-397923af.pth",
    "vgg16_bn": "vgg16_bn-6c64b313.pth",
    "vgg19": "vgg19-dcbb9e9d.pth",
    "vgg19_bn": "vgg19_bn-c79401a0.pth",
}
"""Network -> the file that torchvision publishes; its name has the first digits of its SHA-256."""


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Copies `state` into `module`, whose names and shapes must agree with it.

    Only a batch norm's counter `num_batches_tracked` may be missing: checkpoints from before 2018 have
    none, and it does not change what the network computes.

    Args:
        module: the network that receives the weights.
        state: name -> tensor.
        what: what `state` should be, to begin the error message with and to tell the user what to give.

    Raises:
        ModelError: naming the first missing, unexpected and misshapen entries; nothing is loaded then.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    needed = {name for name in expected if not name.endswith("num_batches_tracked")}
    faults = (
        ("missing", sorted(needed - state.keys())),
        ("unexpected", sorted(state.keys() - expected.keys())),
        (
            "of another shape",
            [
                f"{name} {tuple(state[name].shape)} instead of {shape}"
                for name, shape in expected.items()
                if name in state and tuple(state[name].shape) != shape
            ],
        ),
    )
    found = "; ".join(f"{len(names)} {fault}: {_first(names)}" for fault, names in faults if names)
    if found:
        raise ModelError(f"not {what}: {found}. Give the checkpoint of exactly this network.")
    module.load_state_dict(state, strict=False)


def _first(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
