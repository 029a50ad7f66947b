"""Layers that networks share."""

from collections.abc import Sequence
from itertools import product

from torch import Tensor, nn


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Resize maps (B, C, h, w) bilinearly to (B, C, *size)."""
    return nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


def separable_conv(inputs: int, outputs: int) -> nn.Sequential:
    """Create a depthwise separable 3x3 convolution without activations."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs), nn.Conv2d(inputs, outputs, 1)
    )


class SingleOutputConv(nn.Conv2d):
    """A 3x3 convolution to one channel, padded with zeros.

    Compute the 9 products of the kernel by a 1x1 convolution, then shift and sum them. CPU runtimes compute
    outputs in blocks of 16 channels, so that a plain convolution to one channel takes as long as to 16.
    """

    def __init__(self, inputs: int) -> None:
        """Create the layer for this number of input channels."""
        super().__init__(inputs, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 1, H, W)."""
        kernels = self.weight.flatten(2).transpose(0, 2)[..., None]  # (9, C, 1, 1)
        products = nn.functional.pad(nn.functional.conv2d(x, kernels), (1, 1, 1, 1))
        shifts = slice(0, -2), slice(1, -1), slice(2, None)
        total: Tensor = self.bias  # type: ignore[assignment]
        for place, (rows, columns) in enumerate(product(shifts, shifts)):
            total = total + products[:, place : place + 1, rows, columns]
        return total


def leaky_relu() -> nn.LeakyReLU:
    """Create an activation with a gradient everywhere, so that no unit can die."""
    return nn.LeakyReLU(0.1, inplace=True)


def start_near_zero(output: nn.Conv2d) -> nn.Conv2d:
    """Initialise the output layer of a branch so that the branch starts near 0 everywhere."""
    nn.init.normal_(output.weight, std=1e-3)
    nn.init.zeros_(output.bias)  # type: ignore[arg-type]
    return output
