"""VGG16 and VGG19 feature extractors, with or without batch norm.

State-dict names match torchvision's (`features.0.weight`, ...), so that its ImageNet checkpoints load.
"""

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor, nn

from crowdpoint.backbones.imagenet import MEAN, STD, load_strictly

_CHANNELS = (64, 128, 256, 512, 512)
"""Output channels of the five blocks, at strides 1, 2, 4, 8 and 16."""


class VGG(nn.Module):
    """Five blocks of 3x3 convolutions with a max pool between them (Simonyan and Zisserman, 2015, Table 1).

    Only the blocks up to the deepest requested stride are created, so that no parameter is unused. Weights
    are initialised from Kaiming's normal distribution (fan-out, ReLU), biases with 0.

    Attributes:
        channels: number of channels of the feature map by stride in pixels.
        mean, std: per-channel normalisation of 0-255 RGB that the ImageNet weights expect.
        imagenet_file: name of the published file of the ImageNet weights.
    """

    mean = MEAN
    std = STD
    files: ClassVar[tuple[str, str]]
    """Files that torchvision publishes, without and with batch norm; names end with digits of the SHA-256."""
    convolutions: ClassVar[tuple[int, ...]]
    """Convolutions in each of the five blocks."""

    def __init__(self, batch_norm: bool, deepest: Literal[4, 8, 16] = 16) -> None:
        """Create the network up to the coarsest stride, with or without batch norms after convolutions."""
        super().__init__()
        blocks = deepest.bit_length()
        self.channels = {2**block: _CHANNELS[block] for block in range(2, blocks)}
        layers: list[nn.Module] = []
        inputs = 3
        for repeats, width in zip(self.convolutions[:blocks], _CHANNELS, strict=False):
            if layers:
                layers.append(nn.MaxPool2d(2))
            for _ in range(repeats):
                layers.append(_convolution(inputs, width))
                layers.extend([nn.BatchNorm2d(width)] if batch_norm else [])
                layers.append(nn.ReLU(inplace=True))
                inputs = width
        self.features = nn.Sequential(*layers)
        self.imagenet_file = self.files[batch_norm]

    def forward(self, images: Tensor) -> dict[int, Tensor]:
        """Compute the features after the last ReLU of each block from stride 4 on.

        Args:
            images: (B, 3, H, W) RGB, normalised by `mean` and `std`.

        Returns:
            Features (B, channels[stride], H // stride, W // stride) by stride. Partial cells are dropped; pad
            the image to a multiple of the deepest stride to keep them.
        """
        maps = {}
        stride = 1
        x = images
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                maps[stride] = x
                stride *= 2
            x = layer(x)
        maps[stride] = x
        return {stride: maps[stride] for stride in self.channels}

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Load the state dict of torchvision's checkpoint without its classifier and unused deeper blocks."""

        def is_used(name: str) -> bool:
            layer = re.match(r"features\.(\d+)\.", name)
            return int(layer[1]) < len(self.features) if layer else not name.startswith("classifier.")

        used = {name: tensor for name, tensor in state.items() if is_used(name)}
        load_strictly(self, used, f"torchvision's {self.imagenet_file.partition('-')[0]} weights")


class VGG16(VGG):
    """VGG with 13 convolutions."""

    files = ("vgg16-397923af.pth", "vgg16_bn-6c64b313.pth")
    convolutions = (2, 2, 3, 3, 3)


class VGG19(VGG):
    """VGG with 16 convolutions."""

    files = ("vgg19-dcbb9e9d.pth", "vgg19_bn-c79401a0.pth")
    convolutions = (2, 2, 4, 4, 4)


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
