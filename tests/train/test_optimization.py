"""Rates over time, parameter groups, and the moving average against its formula."""

import math

import pytest
import torch
from tiny_runs import tiny_recipe
from torch import nn

from crowdpoint.predict.torch import build
from crowdpoint.recipe import OptimizerConfig
from crowdpoint.train.optimization import build_optimizer, rate_factor, update_ema


def test_constant_rate_after_a_linear_warm_up() -> None:
    config = OptimizerConfig(warmup=4)
    assert [rate_factor(step, config, 100) for step in (0, 1, 3, 4, 99)] == [0.25, 0.5, 1, 1, 1]
    assert rate_factor(0, OptimizerConfig(), 100) == 1


def test_cosine_rate() -> None:
    config = OptimizerConfig(schedule="cosine", warmup=10)
    factors = [rate_factor(step, config, 110) for step in range(110)]
    assert factors[9:11] == [1, 1]
    assert factors[60] == pytest.approx(0.5)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert 0 < factors[-1] < 0.001


def test_groups() -> None:
    network = build(tiny_recipe().model)
    config = OptimizerConfig(name="adamw", rate=1e-3, backbone_rate=1e-4, weight_decay=0.1)
    found = build_optimizer(network, config)
    assert type(found) is torch.optim.AdamW
    rates = {
        id(p): (group["rate"], group["weight_decay"]) for group in found.param_groups for p in group["params"]
    }
    assert (
        sum(len(group["params"]) for group in found.param_groups)
        == len(rates)
        == len(list(network.parameters()))
    )
    for name, parameter in network.named_parameters():
        rate = 1e-4 if name.startswith("backbone.") else 1e-3
        assert rates[id(parameter)] == (rate, 0.1 if parameter.ndim == 4 else 0), name
    assert type(build_optimizer(network, OptimizerConfig())) is torch.optim.Adam


def test_frozen_parameters_are_in_no_group() -> None:
    network = build(tiny_recipe().model)
    network.freeze(["backbone"])
    trained = {
        id(p) for group in build_optimizer(network, OptimizerConfig()).param_groups for p in group["params"]
    }
    for name, parameter in network.named_parameters():
        assert (id(parameter) in trained) != name.startswith("backbone."), name


def test_average_follows_its_formula() -> None:
    """Weights and statistics alike; the past weighs (1 + n) / (10 + n) until that reaches the decay."""
    networks = [nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    current, mean = (network.state_dict() for network in networks)  # views of the weights
    expected = current["0.weight"].item()
    for step in range(30):
        current["0.weight"].fill_(step)
        current["1.running_mean"].fill_(step)
        current["1.num_batches_tracked"].fill_(step)
        if step == 0:
            mean["1.running_mean"].fill_(expected)  # both averages start alike
        update_ema(networks[1], networks[0], 0.7, step)
        past = min(0.7, (1 + step) / (10 + step))
        expected = past * expected + (1 - past) * step
    assert mean["0.weight"].item() == pytest.approx(expected)
    assert mean["1.running_mean"].item() == pytest.approx(expected)
    assert mean["1.num_batches_tracked"].item() == 29
    assert not math.isclose(current["0.weight"].item(), expected)
