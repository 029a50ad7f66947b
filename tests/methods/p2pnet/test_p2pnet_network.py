"""P2PNet: shapes for any size, the order and place of proposals, and every parameter in use."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from crowdpoint.config import load_recipe
from crowdpoint.methods.p2pnet.config import P2PNetConfig, P2PNetRecipe
from crowdpoint.methods.p2pnet.loss import p2pnet_loss
from crowdpoint.methods.p2pnet.network import P2PNet
from crowdpoint.points import Points
from crowdpoint.predict.torch import build

BACKBONES = ("efficientnet-lite0", "vgg16", "vgg16-bn")

REFERENCES = {  # of one cell, as fractions of its side
    ("grid", 1): [(1 / 2, 1 / 2)],
    ("grid", 2): [(1 / 4, 1 / 2), (3 / 4, 1 / 2)],
    ("grid", 4): [(1 / 4, 1 / 4), (3 / 4, 1 / 4), (1 / 4, 3 / 4), (3 / 4, 3 / 4)],
    ("grid", 8): [(x / 8, y / 4) for y in (1, 3) for x in (1, 3, 5, 7)],
    ("center", 1): [(1 / 2, 1 / 2)],
    ("center", 4): [(1 / 2, 1 / 2)] * 4,
}


def tiny(**changes: Any) -> P2PNetConfig:
    values = {"backbone": "efficientnet-lite0", "pyramid_channels": 8, "head_channels": 8}
    return P2PNetConfig.model_validate(values | changes)


def picture(height: int, width: int, batch: int = 1) -> Tensor:
    return torch.randint(0, 256, (batch, 3, height, width), generator=torch.manual_seed(1)).float()


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("stride", [4, 8, 16])
def test_shapes_for_odd_sizes(backbone: str, stride: int) -> None:
    network = P2PNet(tiny(backbone=backbone, stride=stride, points_per_cell=2)).eval()
    for height, width in ((33, 50), (1, 7)):
        with torch.inference_mode():
            points, scores = network(picture(height, width, batch=2))
        count = 2 * -(-height // stride) * -(-width // stride)
        assert points.shape == (2, count, 2)
        assert scores.shape == (2, count)
        assert ((scores > 0) & (scores < 1)).all()
        assert points.isfinite().all()


@pytest.mark.parametrize(("layout", "count"), REFERENCES)
@pytest.mark.parametrize("stride", [4, 8, 16])
def test_reference_points(layout: str, count: int, stride: int) -> None:
    network = P2PNet(tiny(stride=stride, reference_points=layout, points_per_cell=count))
    torch.testing.assert_close(network.reference, stride * torch.tensor(REFERENCES[layout, count]))


@pytest.mark.parametrize("stride", [4, 8, 16])
@pytest.mark.parametrize("count", [1, 2, 8])
def test_proposals_come_row_by_row_cell_by_cell(stride: int, count: int) -> None:
    """Branches that answer with their biases alone show which channel is what, and Eq. 2."""
    network = P2PNet(tiny(stride=stride, points_per_cell=count, offset_scale=7)).eval()
    values = torch.arange(2.0 * count) / 10
    for branch in (network.regression, network.classification):
        torch.nn.init.zeros_(branch[-1].weight)  # type: ignore[arg-type]
        branch[-1].bias.data = values.clone()
    with torch.inference_mode():
        points, logits, cells, _ = network.raw(picture(2 * stride + 1, stride + 2))
    expected = [
        (stride * (column + x) + 7 * (2 * k) / 10, stride * (row + y) + 7 * (2 * k + 1) / 10)
        for row in range(3)
        for column in range(2)
        for k, (x, y) in enumerate(REFERENCES["grid", count])
    ]
    torch.testing.assert_close(points, torch.tensor([expected]))
    torch.testing.assert_close(logits, values.view(1, count, 2).repeat(1, 6, 1))
    corners = [[stride * x, stride * y] for y in range(3) for x in range(2) for _ in range(count)]
    assert cells.tolist() == corners


def test_scores_are_the_softmax_of_the_logits() -> None:
    network = P2PNet(tiny()).eval()
    with torch.inference_mode():
        points, scores = network(picture(40, 40))
        proposals = network.raw(picture(40, 40))
    torch.testing.assert_close(points, proposals.points)
    background, person = proposals.logits.exp().unbind(-1)
    torch.testing.assert_close(scores, person / (background + person))


@pytest.mark.parametrize("backbone", ["efficientnet-lite0", "vgg16-bn"])
def test_a_batch_equals_its_images(backbone: str) -> None:
    network = P2PNet(tiny(backbone=backbone)).eval()
    images = picture(35, 44, batch=3)
    with torch.inference_mode():
        together = network(images)
        alone = [network(image[None]) for image in images]
    for number, part in enumerate(together):
        torch.testing.assert_close(
            part, torch.cat([outputs[number] for outputs in alone]), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("stride", [4, 16])
@pytest.mark.parametrize("head", ["dense", "light"])
def test_no_unused_parameters(backbone: str, stride: int, head: str) -> None:
    """Only a bias before a batch norm learns nothing: the norm takes it away. Its layout is torchvision's."""
    torch.manual_seed(0)
    config = tiny(backbone=backbone, stride=stride, head=head, predict_sizes=True)
    recipe = load_recipe("p2pnet-shanghaitech-a", ("loss.point_weight=1", "loss.size_weight=1"))
    assert isinstance(recipe, P2PNetRecipe)
    network = P2PNet(config)
    proposals = network.raw(picture(64, 64, batch=2))
    heads = [
        Points(np.array(xy, np.float32), sizes=np.full((len(xy), 2), 9), image_size=(64, 64))
        for xy in ([[10, 20], [33, 40]], [[50, 9]])
    ]
    terms = p2pnet_loss(proposals, heads, recipe.model_copy(update={"model": config}))
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        path, _, kind = name.rpartition(".")
        convolution = isinstance(network.get_submodule(path), torch.nn.Conv2d)
        normed = backbone == "vgg16-bn" and path.startswith("backbone") and convolution and kind == "bias"
        assert normed or parameter.grad.any(), name


def test_sides_are_predicted_within_bounds() -> None:
    network = P2PNet(tiny(predict_sizes=True)).eval()
    assert network.size is not None
    for bias, expected in ((0.0, 16.0), (math.log(2), 32.0), (-9.0, 1.0), (9.0, 1024.0)):
        torch.nn.init.zeros_(network.size[-1].weight)  # type: ignore[arg-type]
        torch.nn.init.constant_(network.size[-1].bias, bias)  # type: ignore[arg-type]
        with torch.inference_mode():
            points, scores, sides = network(picture(20, 40))
        assert sides.shape == scores.shape == points.shape[:2]
        torch.testing.assert_close(sides, torch.full_like(sides, expected))


def test_the_lite_model_is_small() -> None:
    with torch.device("meta"):
        network = build(load_recipe("p2pnet-lite").model)
    assert sum(parameter.numel() for parameter in network.parameters()) < 5_000_000


def test_the_papers_network_has_only_what_it_uses() -> None:
    """21.6 M in the authors' file, less two convolutions in each branch, the stride-4 branch and P5_2."""
    with torch.device("meta"):
        network = build(load_recipe("p2pnet-shanghaitech-a").model)
    convolution = 256 * 256 * 9 + 256
    unused = 6 * convolution + 256 * 256 + 256
    assert sum(p.numel() for p in network.parameters()) + unused == 21_579_344


def test_bfloat16_autocast() -> None:
    torch.manual_seed(0)
    network = P2PNet(tiny()).eval()
    images = picture(40, 56)
    dtypes: dict[str, torch.dtype] = {}
    for name in ("backbone._blocks.15._project_conv", "pyramid.merge", "regression.0", "classification.2"):
        layer = network.get_submodule(name)
        layer.register_forward_hook(lambda *call, name=name: dtypes.__setitem__(name, call[-1].dtype))
    with torch.inference_mode():
        wanted = network(images)
        with torch.autocast("cpu", torch.bfloat16):
            found = network(images)
    kinds = list(dtypes.values())
    assert kinds == [torch.float32] + [torch.bfloat16] * 3, "depthwise convolutions are faster in fp32"
    for narrow, wide in zip(found, wanted, strict=True):
        assert narrow.dtype == torch.float32
        torch.testing.assert_close(narrow, wide, rtol=0.02, atol=0.02)


def test_pixels_are_normalised_inside_and_padding_is_invisible() -> None:
    """What an image lacks to a multiple of the deepest stride is the mean colour, at no cost to the rest."""
    network = P2PNet(tiny()).eval()
    images = picture(40, 56)
    padded = network.mean.expand(1, 3, 64, 64).clone()
    padded[..., :40, :56] = images
    with torch.inference_mode():
        points, scores = network(images)
        more_points, more_scores = network(padded)
    kept = (more_scores.view(8, 8, 4)[:5, :7].flatten(), more_points.view(8, 8, 4, 2)[:5, :7].reshape(-1, 2))
    torch.testing.assert_close(scores[0], kept[0])
    torch.testing.assert_close(points[0], kept[1])
    assert not {"mean", "std", "reference"} & network.state_dict().keys()
