"""FIDTM's released network, written out here from its published layout, to hold ours against."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from crowdpoint.backbones.hrnet import HRNet


def narrow() -> HRNet:
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


class Official:
    """The official network as plain functions of its named weights, for images of any size."""

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

    def fuse(self, x: Tensor, name: str, source: int, target: int, like: Tensor) -> Tensor:
        if source > target:
            x = self.unit(x, f"{name}.0", f"{name}.1")
            return F.interpolate(x, size=like.shape[-2:], mode="bilinear")
        for step in range(target - source):
            x = self.unit(F.relu(x) if step else x, f"{name}.{step}.0", f"{name}.{step}.1", stride=2)
        return x

    def module(self, maps: list[Tensor], name: str) -> list[Tensor]:
        for branch, _ in enumerate(maps):
            for n in range(4):
                maps[branch] = self.block(maps[branch], f"{name}.branches.{branch}.{n}", 2)
        sums = [
            [
                self.fuse(x, f"{name}.fuse_layers.{target}.{source}", source, target, like)
                for source, x in enumerate(maps)
            ]
            for target, like in enumerate(maps)
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
        sides = list(zip(x.shape[-2:], image.shape[-2:], strict=True))
        top, left = (math.floor((raised - side) / 2) for raised, side in sides)
        return x[..., top : top + image.shape[-2], left : left + image.shape[-1]]
