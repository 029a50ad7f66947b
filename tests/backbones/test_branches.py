"""Branches that return a constant, or whose units are dead, are told from those that work."""

import numpy as np
import pytest
import torch
from torch import nn

from crowdpoint.backbones.branches import Activity, Branch, watch
from crowdpoint.backbones.framing import ImageModel
from crowdpoint.config import load_recipe
from crowdpoint.methods.p2pnet.network import P2PNet
from crowdpoint.predict.torch import build

TINY = ("model.pyramid_channels=32", "model.head_channels=32")
MODELS = {
    "dense": ("p2pnet-lite", (*TINY, "model.head=dense")),
    "light": ("p2pnet-lite", (*TINY, "model.head=light", "model.predict_sizes=true")),
    "fidtm-lite": ("fidtm-lite", ()),
    "density": ("fidtm-lite", ("model={method: density, regressor: lite}",)),
    "csrnet": ("fidtm-shanghaitech-a", ("model.regressor=csrnet",)),
}


def built(name: str) -> ImageModel:
    torch.manual_seed(0)
    recipe, overrides = MODELS[name]
    return build(load_recipe(recipe, overrides).model).eval()


def observed(network: ImageModel) -> dict[str, Activity]:
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1)) * 255
    with torch.inference_mode(), watch(network.branches()) as activity:
        network(images[:1])
        network(images[1:])
        assert activity == {}, "known when all is seen"
    return activity


@pytest.mark.parametrize("name", MODELS)
def test_fresh_networks_work(name: str) -> None:
    activity = observed(built(name))
    assert activity
    for found in activity.values():
        assert found.fault is None
        assert found.spread > 0


def test_spread_and_dead_share_are_those_of_the_plain_numbers() -> None:
    network = built("dense")
    assert isinstance(network, P2PNet)
    outputs, hidden = [], []
    network.regression[-1].register_forward_hook(lambda _m, _i, out: outputs.append(out))
    network.regression[3].register_forward_hook(lambda _m, _i, out: hidden.append(out.clone()))
    nn.init.constant_(network.get_parameter("regression.2.bias")[:16], -1e3)
    found = observed(network)["regression"]
    values = torch.cat([out.transpose(0, 1).flatten(1) for out in outputs], dim=1).numpy()
    spread = np.std(values, axis=1).mean() * network.config.offset_scale
    assert found.spread == pytest.approx(spread, rel=1e-4)
    active = torch.stack([out.amax(dim=(0, 2, 3)) for out in hidden]).amax(dim=0) > 0
    assert found.dead == pytest.approx(1 - active.double().mean().item())
    assert found.dead >= 0.5


def test_layers_that_do_not_run_are_ignored() -> None:
    used, unused = nn.Conv2d(3, 2, 1), nn.ReLU()
    with watch({"a": Branch([used, unused], used), "b": Branch([], unused)}) as activity:
        used(torch.rand(1, 3, 4, 4) + torch.eye(4))
    assert activity.keys() == {"a"}
    assert activity["a"].spread > 0


@pytest.mark.parametrize(
    ("name", "layer", "branch"),
    [("dense", "regression.2", "regression"), ("fidtm-lite", "refine.1", "map")],
)
def test_a_dead_layer_is_a_fault(name: str, layer: str, branch: str) -> None:
    network = built(name)
    dying = network.get_submodule(layer)
    nn.init.zeros_(dying.weight)  # type: ignore[arg-type]
    nn.init.constant_(dying.bias, -1.0)  # type: ignore[arg-type]
    found = observed(network)
    assert found[branch].dead == 1
    assert found[branch].fault is not None
    assert all(other.fault is None for name, other in found.items() if name != branch)


@pytest.mark.parametrize("branch", ["regression", "classification", "size"])
def test_a_branch_that_returns_its_bias_is_a_fault(branch: str) -> None:
    network = built("light")
    nn.init.zeros_(network.get_submodule(branch)[-1].weight)  # type: ignore[index]
    found = observed(network)
    assert found[branch].spread < 1e-6
    assert [name for name, other in found.items() if other.fault] == [branch]


def test_a_constant_is_a_fault() -> None:
    assert "constant" in str(Activity(spread=0.0, dead=0.0).fault)
    assert Activity(spread=1.0, dead=0.4).fault is None
    assert "80%" in str(Activity(spread=1.0, dead=0.8).fault)


def test_watching_leaves_no_hooks() -> None:
    network = built("dense")
    observed(network)
    assert not any(module._forward_hooks for module in network.modules())


def test_branches_that_did_not_run_have_no_activity() -> None:
    with watch(built("dense").branches()) as activity:
        pass
    assert activity == {}
