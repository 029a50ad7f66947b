"""VGG regressors CSRNet and BL, with or without a feature pyramid (FIDTM, Table XIV).

Their maps have stride 8, or 4 with a pyramid, and are upsampled bilinearly to the size of the image.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from crowdpoint.backbones.layers import resize
from crowdpoint.backbones.pyramid import Pyramid
from crowdpoint.backbones.regressor import MapRegressor
from crowdpoint.backbones.vgg import VGG, VGG16, VGG19

_PYRAMID_CHANNELS = 256


class _VGGRegressor(MapRegressor):
    """VGG features, a neck that reduces them to one map, a head, and bilinear upsampling.

    The neck selects one feature map; or it is a feature pyramid (Lin et al., 2017; the paper does not specify
    its shape), which adds 256 channels from each of the strides 4, 8 and 16 at stride 4.

    Convolutions of the head are initialised from a normal distribution with a standard deviation of 0.01
    (CSRNet, Sec. 3.2.2).
    """

    def __init__(self, backbone: VGG, neck: nn.Module, head: nn.Module) -> None:
        super().__init__(alignment=max(backbone.channels))
        self.backbone = backbone
        self.neck = neck
        self.head = head

    def regress(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W), H and W multiples of `alignment`, to (B, 1, H, W)."""
        coarse = self.head(self.neck(self.backbone(images)))
        return resize(coarse, images.shape[-2:])


class CSRNet(_VGGRegressor):
    """CSRNet: ten convolutions of VGG16 and six dilated ones (Li et al., CSRNet, 2018, Table 3, B)."""

    def __init__(self, fpn: bool = False) -> None:
        """Create the network; with `fpn`, a feature pyramid at stride 4 replaces the features at stride 8."""
        backbone = VGG16(batch_norm=False, deepest=16 if fpn else 8)
        neck = Pyramid(backbone.channels, _PYRAMID_CHANNELS) if fpn else _Single(stride=8)
        inputs = _PYRAMID_CHANNELS if fpn else backbone.channels[8]
        super().__init__(backbone, neck, _head(inputs, (512, 512, 512, 256, 128, 64), dilation=2))


class BL(_VGGRegressor):
    """Network of Bayesian Loss: VGG19 and a small head (Ma et al., BL, 2019, Sec. 4)."""

    def __init__(self, fpn: bool = False) -> None:
        """Create the network; with `fpn`, a feature pyramid at stride 4 replaces the upsampled stride 16."""
        backbone = VGG19(batch_norm=False)
        neck = Pyramid(backbone.channels, _PYRAMID_CHANNELS) if fpn else _Single(stride=16, upsample=2)
        inputs = _PYRAMID_CHANNELS if fpn else backbone.channels[16]
        super().__init__(backbone, neck, _head(inputs, (256, 128)))


class _Single(nn.Module):
    """Neck that upsamples the features of one stride."""

    def __init__(self, stride: int, upsample: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.upsample = upsample

    def forward(self, features: dict[int, Tensor]) -> Tensor:
        x = features[self.stride]
        return resize(x, [side * self.upsample for side in x.shape[-2:]])


def _head(inputs: int, widths: Sequence[int], dilation: int = 1) -> nn.Sequential:
    """Create 3x3 convolutions of `widths` channels with ReLUs, and a 1x1 convolution to one channel."""
    layers: list[nn.Module] = []
    for before, width in zip((inputs, *widths), widths, strict=False):
        convolution = nn.Conv2d(before, width, 3, padding=dilation, dilation=dilation)
        layers.extend((convolution, nn.ReLU(inplace=True)))
    layers.append(nn.Conv2d(widths[-1], 1, 1))
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers)
