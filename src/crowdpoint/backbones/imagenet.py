"""ImageNet statistics, and a strict loader of published weights under their published names."""

from collections.abc import Mapping

from torch import Tensor, nn

from crowdpoint.errors import ModelError

MEAN = (123.675, 116.28, 103.53)
"""Mean of red, green and blue in ImageNet, 0-255."""
STD = (58.395, 57.12, 57.375)
"""Standard deviation of red, green and blue in ImageNet, 0-255."""


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load `state` into `module`; names and shapes must be equal.

    Only `num_batches_tracked` of batch norms may be missing, as in checkpoints from before 2018. It does not
    affect the outputs. `what` describes the expected weights in the message of an error.

    Raises:
        ModelError: naming missing, unexpected and misshapen tensors; nothing is loaded then.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    needed = {name for name in expected if not name.endswith("num_batches_tracked")}
    misshapen = [
        f"{name} {tuple(state[name].shape)} instead of {shape}"
        for name, shape in expected.items()
        if name in state and tuple(state[name].shape) != shape
    ]
    faults = (
        ("missing", sorted(needed - state.keys())),
        ("unexpected", sorted(state.keys() - expected.keys())),
        ("of another shape", misshapen),
    )
    found = "; ".join(
        f"{len(names)} {fault}: {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}"
        for fault, names in faults
        if names
    )
    if found:
        raise ModelError(f"not {what}: {found}. Give the checkpoint of exactly this network.")
    module.load_state_dict(state, strict=False)
