"""VGG features: torchvision's names and layout, strides, and strict loading."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from crowdpoint.backbones.vgg import VGG16, VGG19
from crowdpoint.errors import ModelError

# Indices of the convolutions in torchvision's `features`, from its published checkpoints.
TORCHVISION = {
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    "vgg16_bn": (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40),
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
    "vgg19_bn": (0, 3, 7, 10, 14, 17, 20, 23, 27, 30, 33, 36, 40, 43, 46, 49),
}


def build(name: str) -> VGG16 | VGG19:
    kind = VGG16 if name.startswith("vgg16") else VGG19
    return kind(batch_norm=name.endswith("_bn"))


@pytest.mark.parametrize("name", TORCHVISION)
def test_names_are_torchvisions(name: str) -> None:
    with torch.device("meta"):
        state = build(name).state_dict()
    convolutions = {int(key.split(".")[1]) for key, tensor in state.items() if tensor.ndim == 4}
    norms = {int(key.split(".")[1]) for key in state if key.endswith("running_mean")}
    assert convolutions == set(TORCHVISION[name])
    assert norms == ({index + 1 for index in convolutions} if name.endswith("_bn") else set())
    assert all(key.startswith("features.") for key in state)


@pytest.mark.parametrize(("kind", "parameters"), [(VGG16, 14_714_688), (VGG19, 20_024_384)])
def test_parameters_of_the_convolutions(kind: type[VGG16] | type[VGG19], parameters: int) -> None:
    with torch.device("meta"):
        network = kind(batch_norm=False)
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("deepest", [4, 8, 16])
def test_maps_have_the_promised_strides_and_channels(deepest: int) -> None:
    network = VGG16(batch_norm=True, deepest=deepest).eval()  # type: ignore[arg-type]
    assert network.channels == {s: c for s, c in {4: 256, 8: 512, 16: 512}.items() if s <= deepest}
    with torch.no_grad():
        maps = network(torch.randn(2, 3, 35, 50))
    assert {s: tuple(m.shape) for s, m in maps.items()} == {
        s: (2, c, 35 // s, 50 // s) for s, c in network.channels.items()
    }
    assert all(m.min() == 0 for m in maps.values()), "maps are taken after a ReLU"


def test_outputs_equal_the_official_layout() -> None:
    """Against the network written out from Simonyan and Zisserman's table D."""
    network = VGG16(batch_norm=False).eval()
    state = network.state_dict()
    image = torch.randn(1, 3, 32, 48)
    x, expected = image, {}
    for index in TORCHVISION["vgg16"]:
        if index in (5, 10, 17, 24):
            x = F.max_pool2d(x, 2, 2)
        x = F.relu(F.conv2d(x, state[f"features.{index}.weight"], state[f"features.{index}.bias"], padding=1))
        if index in (14, 21, 28):
            expected[image.shape[-1] // x.shape[-1]] = x
    with torch.no_grad():
        found = network(image)
    assert found.keys() == expected.keys()
    for stride, features in expected.items():
        torch.testing.assert_close(found[stride], features)


def test_every_parameter_is_trained() -> None:
    network = VGG19(batch_norm=False)
    network(torch.randn(1, 3, 16, 16))[16].sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def checkpoint(batch_norm: bool = True) -> dict[str, Tensor]:
    """A stand-in for torchvision's file: random features without counters, and a classifier."""
    state = {k: v for k, v in VGG16(batch_norm).state_dict().items() if not k.endswith("num_batches_tracked")}
    return {**state, "classifier.0.weight": torch.zeros(1), "classifier.6.bias": torch.zeros(1)}


@pytest.mark.parametrize("deepest", [8, 16])
def test_loads_a_torchvision_checkpoint(deepest: int) -> None:
    state = checkpoint()
    network = VGG16(batch_norm=True, deepest=deepest)  # type: ignore[arg-type]
    network.load_imagenet(state)
    for name, tensor in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(tensor, state[name]), name


def test_refuses_a_checkpoint_of_another_network() -> None:
    network = VGG16(batch_norm=True, deepest=4)
    before = network.state_dict()["features.0.weight"].clone()
    state = checkpoint()
    without = {k: v for k, v in state.items() if k != "features.7.bias"}
    with pytest.raises(ModelError, match=r"torchvision's vgg16_bn weights.*1 missing: features\.7\.bias"):
        network.load_imagenet(without)
    with pytest.raises(ModelError, match=r"1 unexpected: head\.weight"):
        network.load_imagenet({**state, "head.weight": torch.zeros(1)})
    with pytest.raises(
        ModelError,
        match=r"1 of another shape: features\.0\.weight \(64, 1, 3, 3\) instead of \(64, 3, 3, 3\)",
    ):
        network.load_imagenet({**state, "features.0.weight": torch.zeros(64, 1, 3, 3)})
    with pytest.raises(ModelError, match=r"missing.*unexpected"):
        network.load_imagenet(checkpoint(batch_norm=False))
    assert torch.equal(network.state_dict()["features.0.weight"], before), (
        "a refused checkpoint changes nothing"
    )
