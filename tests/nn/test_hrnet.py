"""HRNet with FIDTM's head: the official names, the official computation, size and cost."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from crowdpoint.errors import ModelError
from crowdpoint.nn.hrnet import HRNet


@pytest.fixture(scope="module")
def small() -> HRNet:
    """A narrow network in which every weight and every statistic is random, so that all of them matter."""
    torch.manual_seed(0)
    network = HRNet(width=4).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.2, 0.5)
                nn.init.normal_(module.bias, std=0.2)
                nn.init.normal_(module.running_mean, std=0.2)  # type: ignore[arg-type]
                nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
    return network


@pytest.fixture(scope="module")
def full() -> HRNet:
    """The paper's network, without storage for its weights."""
    with torch.device("meta"):
        return HRNet()


def test_names_and_shapes_are_the_official_ones(full: HRNet, shared_data: Path) -> None:
    listing = shared_data.parent / "checkpoints" / "fidtm_official_state_dict.txt"
    if not listing.is_file():
        pytest.skip(f"no list of the official names at {listing}")
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


class Official:
    """The official network as plain functions of its named weights, for sides that 32 divides."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state

    def unit(self, x: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        weight, bias = self.state[f"{conv}.weight"], self.state.get(f"{conv}.bias")
        x = F.conv2d(x, weight, bias, stride, weight.shape[-1] // 2)
        mean, variance = self.state[f"{norm}.running_mean"], self.state[f"{norm}.running_var"]
        return F.batch_norm(x, mean, variance, self.state[f"{norm}.weight"], self.state[f"{norm}.bias"])

    def block(self, x: Tensor, name: str, convolutions: int) -> Tensor:
        y = x
        for n in range(1, convolutions + 1):
            y = self.unit(F.relu(y) if n > 1 else y, f"{name}.conv{n}", f"{name}.bn{n}")
        skip = f"{name}.downsample"
        return F.relu(y + (self.unit(x, f"{skip}.0", f"{skip}.1") if f"{skip}.0.weight" in self.state else x))

    def fuse(self, x: Tensor, name: str, source: int, target: int) -> Tensor:
        if source > target:
            x = self.unit(x, f"{name}.0", f"{name}.1")
            return F.interpolate(x, scale_factor=2 ** (source - target), mode="bilinear")
        for step in range(target - source):
            x = self.unit(F.relu(x) if step else x, f"{name}.{step}.0", f"{name}.{step}.1", stride=2)
        return x

    def module(self, maps: list[Tensor], name: str) -> list[Tensor]:
        for branch, _ in enumerate(maps):
            for n in range(4):
                maps[branch] = self.block(maps[branch], f"{name}.branches.{branch}.{n}", 2)
        sums = [
            [
                self.fuse(x, f"{name}.fuse_layers.{target}.{source}", source, target)
                for source, x in enumerate(maps)
            ]
            for target, _ in enumerate(maps)
        ]
        return [F.relu(torch.stack(parts).sum(dim=0)) for parts in sums]

    def __call__(self, image: Tensor) -> Tensor:
        mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 1, 3, 1, 1)
        x = (image / 255 - mean) / std
        x = F.relu(self.unit(F.relu(self.unit(x, "conv1", "bn1", 2)), "conv2", "bn2", 2))
        for n in range(4):
            x = self.block(x, f"layer1.{n}", 3)
        maps = [F.relu(self.unit(x, "transition1.0.0", "transition1.0.1")), x]
        for stage, modules in ((2, 1), (3, 4), (4, 3)):
            name = f"transition{stage - 1}.{stage - 1}.0"
            new = F.relu(self.unit(maps[-1], f"{name}.0", f"{name}.1", 2))
            maps = [*maps[: stage - 1], new]
            for module in range(modules):
                maps = self.module(maps, f"stage{stage}.{module}")
        x = torch.cat([F.interpolate(x, size=maps[0].shape[-2:], mode="bilinear") for x in maps], dim=1)
        x = self.unit(x, "last_layer.0", "last_layer.1")
        for layer in ("last_layer.3", "last_layer.5"):
            weight, bias = self.state[f"{layer}.weight"], self.state[f"{layer}.bias"]
            x = F.conv_transpose2d(F.relu(x), weight, bias, stride=2, padding=1)
        return x


def test_computes_what_the_official_network_computes(small: HRNet) -> None:
    image = torch.rand(2, 3, 64, 96) * 255
    with torch.no_grad():
        found, expected = small(image), Official(small.state_dict())(image)
    assert expected.std() > 0.01 * expected.abs().max(), "a flat map would compare nothing"
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * float(expected.max() - expected.min()))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 70), (64, 31)])
def test_any_size_is_the_corner_of_an_image_padded_with_the_mean_colour(
    small: HRNet, height: int, width: int
) -> None:
    padded = small.mean.expand(1, 3, 64, 96).clone()
    padded = padded[..., : -(-height // 32) * 32, : -(-width // 32) * 32]
    image = torch.rand(1, 3, height, width) * 255
    padded[..., :height, :width] = image
    with torch.no_grad():
        found, whole = small(image), small(padded)
    assert found.shape == (1, 1, height, width)
    torch.testing.assert_close(found, whole[..., :height, :width])


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
