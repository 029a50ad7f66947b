"""CSRNet and BL, plain and with a pyramid: the papers' sizes, any image size, and no idle parameter."""

import pytest
import torch
from torch import nn

from crowdpoint.backbones.csrnet import BL, CSRNet
from crowdpoint.backbones.vgg import VGG16

VARIANTS = [(CSRNet, False), (CSRNet, True), (BL, False), (BL, True)]


def convolutions(module: nn.Module) -> list[tuple[int, int, int]]:
    """(output channels, kernel side, dilation) of each convolution."""
    return [
        (m.out_channels, m.kernel_size[0], m.dilation[0])
        for m in module.modules()
        if isinstance(m, nn.Conv2d)
    ]


@pytest.mark.parametrize(("kind", "parameters"), [(CSRNet, 16_263_489), (BL, 21_499_457)])
def test_plain_networks_have_the_papers_parameters(kind: type[CSRNet | BL], parameters: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in kind().parameters()) == parameters


@pytest.mark.parametrize("fpn", [False, True])
def test_heads_are_the_papers(fpn: bool) -> None:
    with torch.device("meta"):
        csrnet, bl = CSRNet(fpn), BL(fpn)
    dilated = [(width, 3, 2) for width in (512, 512, 512, 256, 128, 64)]
    assert convolutions(csrnet.head) == [*dilated, (1, 1, 1)]
    assert convolutions(bl.head) == [(256, 3, 1), (128, 3, 1), (1, 1, 1)]
    assert len(convolutions(csrnet.backbone)) == (13 if fpn else 10)
    assert len(convolutions(bl.backbone)) == 16


@pytest.mark.parametrize(
    ("kind", "fpn", "stride"), [(*v, s) for v, s in zip(VARIANTS, (8, 4, 8, 4), strict=True)]
)
def test_map_has_the_size_of_the_image(kind: type[CSRNet | BL], fpn: bool, stride: int) -> None:
    network = kind(fpn).eval()
    coarse = []
    network.head.register_forward_hook(lambda module, inputs, output: coarse.append(tuple(output.shape)))
    with torch.no_grad():
        found = network(torch.rand(2, 3, 17, 41) * 255)
    assert found.shape == (2, 1, 17, 41)
    padded = [-(-side // network.alignment) * network.alignment for side in (17, 41)]
    assert coarse == [(2, 1, padded[0] // stride, padded[1] // stride)]


@pytest.mark.parametrize(("kind", "fpn"), VARIANTS)
def test_every_parameter_is_trained(kind: type[CSRNet | BL], fpn: bool) -> None:
    torch.manual_seed(0)
    network = kind(fpn)
    network(torch.rand(1, 3, 32, 32) * 255).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_map_is_aligned_with_the_image() -> None:
    """A head that answers where the features are bright puts its peak where the image is."""
    network = CSRNet()
    with torch.no_grad():
        for layer in (*network.backbone.modules(), *network.head.modules()):
            if isinstance(layer, nn.Conv2d):
                nn.init.zeros_(layer.weight)
                middle = layer.kernel_size[0] // 2
                layer.weight[0, 0, middle, middle] = 1
        image = network.mean.expand(1, 3, 64, 80).clone()
        image[0, 0, 16:24, 40:48] += 100  # the cell (2, 5) of stride 8
        row, column = divmod(int(network(image).argmax()), 80)
    assert 16 <= row < 24
    assert 40 <= column < 48


def test_the_backbone_takes_imagenet_weights() -> None:
    network, source = CSRNet(), VGG16(batch_norm=False)
    network.backbone.load_imagenet(source.state_dict())
    assert torch.equal(
        network.state_dict()["backbone.features.21.weight"], source.state_dict()["features.21.weight"]
    )
