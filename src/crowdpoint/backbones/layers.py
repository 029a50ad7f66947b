"""Layers that networks share."""

from collections.abc import Sequence

from torch import Tensor, nn


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Resize maps (B, C, h, w) bilinearly to (B, C, *size)."""
    return nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


def separable_conv(inputs: int, outputs: int) -> nn.Sequential:
    """Create a depthwise separable 3x3 convolution without activations."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs), nn.Conv2d(inputs, outputs, 1)
    )


def leaky_relu() -> nn.LeakyReLU:
    """Create an activation with a gradient everywhere, so that no unit can die."""
    return nn.LeakyReLU(0.1, inplace=True)


def start_near_zero(output: nn.Conv2d) -> nn.Conv2d:
    """Initialise the output layer of a branch so that the branch starts near 0 everywhere."""
    nn.init.normal_(output.weight, std=1e-3)
    nn.init.zeros_(output.bias)  # type: ignore[arg-type]
    return output
