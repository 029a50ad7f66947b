"""The regressors of FIDTM by name, and the small one of our own (FIDTM, Sec. III-B and Table XIV).

Each is a `MapRegressor`: images in, a map of the same size out.
"""

from collections.abc import Callable

from torch import Tensor, nn

from crowdpoint.backbones.branches import Branch
from crowdpoint.backbones.csrnet import BL, CSRNet
from crowdpoint.backbones.efficientnet import EfficientNetLite0
from crowdpoint.backbones.hrnet import HRNet
from crowdpoint.backbones.pyramid import Pyramid, separable_conv
from crowdpoint.backbones.regressor import MapRegressor
from crowdpoint.methods.fidtm.config import MapConfig


class LiteRegressor(MapRegressor):
    """EfficientNet-Lite0 features, a pyramid at stride 4, and a decoder that ends at stride 2.

    The last step to full resolution is bilinear. A map with free pixels ripples, and every ripple is a
    local maximum; an interpolated one is smooth, so that Algorithm 1 can stay as it is.
    """

    def __init__(self, width: int = 64) -> None:
        """Build the network.

        Args:
            width: channels at stride 4; half as many at stride 2.
        """
        backbone = EfficientNetLite0()
        coarse = {stride: channels for stride, channels in backbone.channels.items() if stride >= 4}
        super().__init__(max(coarse), backbone.mean, backbone.std)
        self.backbone = backbone
        self.pyramid = Pyramid(coarse, width, separable=True)
        self.narrow = nn.Conv2d(width, width // 2, 3, padding=1)
        self.lateral = nn.Conv2d(backbone.channels[2], width // 2, 1)
        self.refine = separable_conv(width // 2, width // 2)
        self.output = nn.Conv2d(width // 2, 1, 3, padding=1)
        nn.init.normal_(self.output.weight, std=1e-3)  # the map starts flat, near the background's zero
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]

    def branches(self) -> dict[str, Branch]:
        """Return the decoder."""
        return {"map": Branch((self.narrow, self.refine), self.output)}

    def regress(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W), H and W multiples of `alignment`, to (B, 1, H, W)."""
        features = self.backbone(images)
        x = nn.functional.relu(self.narrow(nn.functional.relu(self.pyramid(features))))  # (B, C/2, H/4, W/4)
        x = nn.functional.relu(_upsample(x) + self.lateral(features[2]))  # (B, C/2, H/2, W/2)
        x = self.output(nn.functional.relu(self.refine(x)))  # (B, 1, H/2, W/2)
        return _upsample(x)


_REGRESSORS: dict[str, Callable[[], MapRegressor]] = {
    "hrnet-w48": HRNet,
    "csrnet": CSRNet,
    "csrnet-fpn": lambda: CSRNet(fpn=True),
    "bl": BL,
    "bl-fpn": lambda: BL(fpn=True),
    "lite": LiteRegressor,
}


def regressor(config: MapConfig) -> MapRegressor:
    """Build the network of a configuration, with fresh weights."""
    return _REGRESSORS[config.regressor]()


def _upsample(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
