"""The feature pyramid that merges a backbone's maps into one."""

from torch import Tensor, nn

from crowdpoint.backbones.layers import separable_conv


class Pyramid(nn.Module):
    """Merge maps of several strides into one at the finest: 1x1 lateral, upsample by 2, add, 3x3.

    Args:
        channels: stride -> input channels; strides double from one to the next.
        width: channels of the merged map.
        separable: whether the last 3x3 convolution is depthwise separable.
    """

    def __init__(self, channels: dict[int, int], width: int, *, separable: bool = False) -> None:
        super().__init__()
        self.strides = sorted(channels)
        self.lateral = nn.ModuleDict({str(s): nn.Conv2d(channels[s], width, 1) for s in self.strides})
        self.merge = separable_conv(width, width) if separable else nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: dict[int, Tensor]) -> Tensor:
        """Merge maps (B, C_s, H/s, W/s) by stride to (B, width, H/s0, W/s0) at the finest stride s0."""
        deepest, *finer = reversed(self.strides)
        merged: Tensor = self.lateral[str(deepest)](features[deepest])
        for stride in finer:
            upsampled = nn.functional.interpolate(merged, scale_factor=2.0, mode="nearest")
            merged = upsampled + self.lateral[str(stride)](features[stride])
        result: Tensor = self.merge(merged)
        return result
