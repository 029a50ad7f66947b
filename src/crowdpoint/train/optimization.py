"""Optimizer with its parameter groups, learning rate schedule, and moving average of the weights."""

import math
from typing import Any

import torch
from torch import nn

from crowdpoint.backbones.framing import ImageModel
from crowdpoint.recipe import OptimizerConfig


def build_optimizer(network: ImageModel, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Create Adam or AdamW with four groups: backbone or not, convolution weights, which decay, or not.

    Frozen parameters are in no group. Each group has its full learning rate as `rate`.
    """
    groups: list[dict[str, Any]] = []
    for backbone, rate in ((True, config.backbone_rate), (False, config.rate)):
        for decayed in (True, False):
            chosen = [
                parameter
                for name, parameter in network.named_parameters()
                if parameter.requires_grad
                and network.is_pretrained(name) == backbone
                and (parameter.ndim > 1) == decayed
            ]
            decay = config.weight_decay if decayed else 0.0
            groups.append({"params": chosen, "lr": rate, "rate": rate, "weight_decay": decay})
    return torch.optim.Adam(groups) if config.name == "adam" else torch.optim.AdamW(groups)


def rate_factor(step: int, config: OptimizerConfig, steps: int) -> float:
    """Compute the fraction of the full learning rate at a step, counted from 0."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    if config.schedule == "constant":
        return 1.0
    progress = (step - config.warmup) / max(1, steps - config.warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Update the exponential moving average of all weights and statistics in place, after `step` others.

    The decay is smaller in the first steps, so that the initial weights have little influence.
    """
    past = min(decay, (1 + step) / (10 + step))
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - past)
        else:
            mean.copy_(value)
