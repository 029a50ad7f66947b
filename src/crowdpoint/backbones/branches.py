"""Whether each branch of a network works: what it returns must vary, and its units must be active at times.

A network whose total is good can hide a dead branch: units behind a rectifier that no image activates get no
gradient and stay dead, and their branch returns a constant.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

CONSTANT = 1e-6
"""A branch whose outputs have a smaller standard deviation than this, in its own unit, is constant."""

DEAD_SHARE = 0.75
"""Share of dead units in a layer from which on training warns."""


class Branch(NamedTuple):
    """A part of a network to watch.

    Attributes:
        rectified: layers whose outputs are (B, C, H, W) with C units; a unit is dead where its output is
            never above 0.
        output: the layer that returns the branch's result (B, C, H, W).
        unit: what one of the branch's outputs means, such as pixels for offsets.
    """

    rectified: Sequence[nn.Module]
    output: nn.Module
    unit: float = 1.0


class Activity(NamedTuple):
    """How a branch behaved while it was watched.

    Attributes:
        spread: standard deviation of the outputs over all places of all images, averaged over the channels.
        dead: largest share of dead units in one of its rectified layers; 0 without such layers.
    """

    spread: float
    dead: float

    @property
    def fault(self) -> str | None:
        """What is wrong with the branch, in words; None if nothing is."""
        if self.spread < CONSTANT:
            return f"returns a constant (standard deviation {self.spread:.1e})"
        if self.dead >= DEAD_SHARE:
            return f"has a layer with {self.dead:.0%} of its units dead"
        return None


class _Watched:
    """Running statistics of one branch."""

    def __init__(self, branch: Branch) -> None:
        self.branch = branch
        self.peaks: dict[int, Tensor] = {}
        self.count = 0
        self.total: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def rectified(self, layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        peak = output.detach().amax(dim=(0, 2, 3))
        before = self.peaks.get(id(layer))
        self.peaks[id(layer)] = peak if before is None else torch.maximum(before, peak)

    def output(self, _layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        values = output.detach().double().transpose(0, 1).flatten(1)  # (C, B * H * W)
        self.count += values.shape[1]
        self.total = self.total + values.sum(dim=1)
        self.squares = self.squares + values.square().sum(dim=1)

    def activity(self) -> Activity:
        mean, squares = torch.as_tensor(self.total) / self.count, torch.as_tensor(self.squares) / self.count
        spread = (squares - mean.square()).clamp(min=0).sqrt().mean().item() * self.branch.unit
        return Activity(
            spread, max(((peak <= 0).double().mean().item() for peak in self.peaks.values()), default=0.0)
        )


@contextmanager
def watch(branches: Mapping[str, Branch]) -> Iterator[dict[str, Activity]]:
    """Watch the branches of a network while it runs.

    Args:
        branches: by name, as `ImageModel.branches` returns them.

    Yields:
        A dictionary that is empty until the context ends and then holds each branch's activity by its name;
        it stays empty if the network never ran.
    """
    found: dict[str, Activity] = {}
    watched = {name: _Watched(branch) for name, branch in branches.items()}
    handles = []
    for each in watched.values():
        handles.append(each.branch.output.register_forward_hook(each.output))
        handles += [layer.register_forward_hook(each.rectified) for layer in each.branch.rectified]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
    found.update({name: each.activity() for name, each in watched.items() if each.count})
