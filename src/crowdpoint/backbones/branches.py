"""Detect branches of a network that return a constant, or have units that no image activates.

Good results can hide such a branch. Units behind a ReLU that no image activates have no gradient.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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


@contextmanager
def watch(branches: Mapping[str, Branch]) -> Iterator[dict[str, Activity]]:
    """Watch the branches of a network by name, as `ImageModel.branches` returns them, while it runs.

    Yields:
        A dictionary, filled with the activity of each branch that ran, by name, when the context ends.
    """
    found: dict[str, Activity] = {}
    peaks: dict[nn.Module, Tensor] = {}  # (C,)
    sums: dict[nn.Module, Tensor] = {}  # (3, C): counts, values, squares

    def record_peaks(layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        peak = output.detach().amax(dim=(0, 2, 3))
        peaks[layer] = torch.maximum(peaks.get(layer, peak), peak)

    def record_sums(layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        values = output.detach().double()
        powers = torch.stack([(values**power).sum(dim=(0, 2, 3)) for power in range(3)])
        sums[layer] = sums.get(layer, 0) + powers

    with ExitStack() as hooks:
        for branch in branches.values():
            hooks.callback(branch.output.register_forward_hook(record_sums).remove)
            for layer in branch.rectified:
                hooks.callback(layer.register_forward_hook(record_peaks).remove)
        yield found
    for name, branch in branches.items():
        if branch.output in sums:
            count, total, squares = sums[branch.output]
            variance = (squares / count - (total / count).square()).clamp(min=0)
            dead = [
                (peaks[layer] <= 0).double().mean().item() for layer in branch.rectified if layer in peaks
            ]
            found[name] = Activity(branch.unit * variance.sqrt().mean().item(), max(dead, default=0.0))
