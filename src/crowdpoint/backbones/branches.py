"""Detect branches of a network that return a constant, or have units that no image activates.

Good results can hide such a branch. Units behind a ReLU that no image activates get no gradient and stay
dead.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

CONSTANT = 1e-6
"""Standard deviation of the outputs, in the branch's unit, below which a branch counts as constant."""

DEAD_SHARE = 0.75
"""Minimum fraction of dead units in a layer for a warning."""


class Branch(NamedTuple):
    """Part of a network to watch.

    Attributes:
        rectified: layers with outputs (B, C, H, W) of C units; a unit is dead if its output is never above 0.
        output: layer that returns the result of the branch (B, C, H, W).
        unit: factor from outputs to a unit such as pixels.
    """

    rectified: Sequence[nn.Module]
    output: nn.Module
    unit: float = 1.0


class Activity(NamedTuple):
    """Statistics of a watched branch.

    Attributes:
        spread: standard deviation of the outputs over all images and cells, averaged over the channels.
        dead: largest fraction of dead units in one rectified layer; 0 without such layers.
    """

    spread: float
    dead: float

    @property
    def fault(self) -> str | None:
        """Description of the fault; None if the branch works."""
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

    def record_rectified(self, layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        peak = output.detach().amax(dim=(0, 2, 3))
        before = self.peaks.get(id(layer))
        self.peaks[id(layer)] = peak if before is None else torch.maximum(before, peak)

    def record_output(self, _layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        values = output.detach().double().transpose(0, 1).flatten(1)  # (C, B * H * W)
        self.count += values.shape[1]
        self.total = self.total + values.sum(dim=1)
        self.squares = self.squares + values.square().sum(dim=1)

    def compute_activity(self) -> Activity:
        mean, squares = torch.as_tensor(self.total) / self.count, torch.as_tensor(self.squares) / self.count
        spread = (squares - mean.square()).clamp(min=0).sqrt().mean().item() * self.branch.unit
        dead = [(peak <= 0).double().mean().item() for peak in self.peaks.values()]
        return Activity(spread, max(dead, default=0.0))


@contextmanager
def watch(branches: Mapping[str, Branch]) -> Iterator[dict[str, Activity]]:
    """Watch the branches of a network by name, as `ImageModel.branches` returns them, while it runs.

    Yields:
        A dictionary, filled with the activity of each branch by name when the context ends; empty if the
        network did not run.
    """
    found: dict[str, Activity] = {}
    watched = {name: _Watched(branch) for name, branch in branches.items()}
    handles = []
    for each in watched.values():
        handles.append(each.branch.output.register_forward_hook(each.record_output))
        handles += [layer.register_forward_hook(each.record_rectified) for layer in each.branch.rectified]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
    found.update({name: each.compute_activity() for name, each in watched.items() if each.count})
