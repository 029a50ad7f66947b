"""HRNet with FIDTM's head: the official names, the official computation, size and cost."""

from pathlib import Path

import pytest
import torch
from fidtm_reference import Official, narrow
from torch import Tensor, nn

from crowdpoint.backbones.hrnet import HRNet
from crowdpoint.errors import ModelError


@pytest.fixture(scope="module")
def small() -> HRNet:
    return narrow()


@pytest.fixture(scope="module")
def full() -> HRNet:
    """The paper's network, without storage for its weights."""
    with torch.device("meta"):
        return HRNet()


def test_names_and_shapes_are_the_official_ones(full: HRNet, shared_data: Path) -> None:
    listing = shared_data.parent / "checkpoints" / "fidtm_official_state_dict.txt"
    if not listing.is_file():
        pytest.skip(f"no list of the official names at {listing}: export CROWDPOINT_DATA=FOLDER/data")
    lines = (line.split(maxsplit=1) for line in listing.read_text(encoding="utf-8").splitlines())
    official = {name.removeprefix("module."): shape for name, shape in lines}
    assert {name: str(tuple(tensor.shape)) for name, tensor in full.state_dict().items()} == official


def test_has_the_papers_parameters_and_macs(full: HRNet) -> None:
    """FIDTM, Table XV: 426.7 G at 768x1024.

    The paper's counter multiplies a transposed convolution's kernel by its output positions, of which each
    sees only a quarter of the taps at stride 2, and adds norms and activations, some 0.3 percent.
    """
    published, real = 0, 0

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal published, real
        assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        taps = module.weight.numel()
        real += taps * (output if isinstance(module, nn.Conv2d) else inputs[0])[0, 0].numel()
        published += taps * output[0, 0].numel()

    handles = [
        module.register_forward_hook(count)
        for module in full.modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    ]
    with torch.no_grad():
        full(torch.empty(1, 3, 768, 1024, device="meta"))
    for handle in handles:
        handle.remove()
    assert published == pytest.approx(426.7e9, rel=0.004)
    assert real == 316_085_108_736
    assert sum(parameter.numel() for parameter in full.parameters()) == 66_584_049


@pytest.mark.parametrize(("height", "width"), [(64, 96), (61, 70), (33, 130), (98, 63), (4, 200), (3, 5)])
def test_outputs_equal_the_official_network(small: HRNet, height: int, width: int) -> None:
    image = torch.rand(2, 3, height, width) * 255
    with torch.no_grad():
        found, expected = small(image), Official(small.state_dict())(image)
    assert found.shape == (2, 1, height, width)
    spread = float(expected.max() - expected.min())
    assert spread > 0.01 * expected.abs().max(), "a flat map would compare nothing"
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * spread)


def test_every_parameter_is_trained() -> None:
    torch.manual_seed(0)
    network = HRNet(width=4)
    network(torch.rand(2, 3, 64, 64) * 255).square().sum().backward()
    cancelled = "last_layer.0.bias"  # the batch norm behind it subtracts it again while training
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert name == cancelled or parameter.grad.abs().max() > 0, name


def imagenet(network: HRNet) -> dict[str, Tensor]:
    """A stand-in for HRNet's ImageNet checkpoint: all but the head, and a classifier."""
    state = {k: v + 1 for k, v in network.state_dict().items() if not k.startswith("last_layer.")}
    extra = ("incre_modules.0.0.conv1.weight", "downsamp_modules.0.0.bias", "final_layer.0.bias")
    return {**state, **dict.fromkeys((*extra, "classifier.weight"), torch.zeros(1))}


def test_loads_an_imagenet_checkpoint_and_leaves_the_head() -> None:
    network = HRNet(width=2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_imagenet(imagenet(network))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name] + (not name.startswith("last_layer."))), name


def test_refuses_an_imagenet_checkpoint_of_another_network() -> None:
    network = HRNet(width=2)
    state = imagenet(network)
    del state["stage4.2.fuse_layers.3.1.1.0.weight"]
    with pytest.raises(ModelError, match=r"ImageNet.*missing: stage4\.2\.fuse_layers\.3\.1\.1\.0\.weight"):
        network.load_imagenet(state)
    with pytest.raises(ModelError, match=r"shape: transition1\.0\.0\.weight \(4, 256, 3, 3\) instead of"):
        network.load_imagenet(imagenet(HRNet(width=4)))
