"""The regressors of FIDTM by name, and the small one of our own (FIDTM, Sec. III-B and Table XIV).

Each is a `MapRegressor`: images in, a map of the same size out.
"""

from collections.abc import Callable

from torch import Tensor, nn

from crowdpoint.backbones.branches import Branch
from crowdpoint.backbones.csrnet import BL, CSRNet
from crowdpoint.backbones.efficientnet import EfficientNetLite0
from crowdpoint.backbones.hrnet import HRNet
from crowdpoint.backbones.layers import SingleOutputConv, leaky_relu, separable_conv, start_near_zero
from crowdpoint.backbones.pyramid import Pyramid
from crowdpoint.backbones.regressor import MapRegressor, Maps
from crowdpoint.backbones.sizes import to_log_sides
from crowdpoint.methods.fidtm.config import SIZE_STRIDE, FIDTMConfig, MapConfig


class LiteRegressor(MapRegressor):
    """EfficientNet-Lite0 features, a pyramid at stride 4, and a decoder that ends at stride 2.

    The last step to full resolution is bilinear. A map with free pixels ripples, and every ripple is a
    local maximum; an interpolated one is smooth, so that Algorithm 1 can stay as it is.
    """

    def __init__(self, *, predict_sizes: bool = False, width: int = 64) -> None:
        """Build the network, with `width` channels at stride 4 and half as many at stride 2.

        With `predict_sizes`, a second branch, at stride 4, predicts the sides of heads' boxes.
        """
        backbone = EfficientNetLite0()
        coarse = {stride: channels for stride, channels in backbone.channels.items() if stride >= SIZE_STRIDE}
        super().__init__(max(coarse), backbone.mean, backbone.std)
        self.backbone = backbone
        self.pyramid = Pyramid(coarse, width, separable=True)
        self.activate = leaky_relu()
        self.narrow = nn.Conv2d(width, width // 2, 3, padding=1)
        self.lateral = nn.Conv2d(backbone.channels[2], width // 2, 1)
        self.refine = separable_conv(width // 2, width // 2)
        self.output = start_near_zero(SingleOutputConv(width // 2))  # near the background's zero
        self.size = None
        if predict_sizes:
            last = width // 2
            self.size = nn.Sequential(
                *separable_conv(width, last), leaky_relu(), start_near_zero(nn.Conv2d(last, 1, 1))
            )

    def raw(self, images: Tensor) -> Maps:
        """Predict maps, and sizes if there is a branch for them; arguments as `forward`."""
        height, width = images.shape[-2:]
        features = self.backbone(self.frame(images))
        merged = nn.functional.relu(self.pyramid(features))
        x = self.activate(self.narrow(merged))  # (B, C/2, H/4, W/4)
        x = nn.functional.relu(_upsample(x) + self.lateral(features[2]))  # (B, C/2, H/2, W/2)
        x = self.output(self.activate(self.refine(x)))  # (B, 1, H/2, W/2)
        fidt_map = _upsample(x)[..., :height, :width].float()
        if self.size is None:
            return Maps(fidt_map)
        rows, columns = ((side + SIZE_STRIDE - 1) // SIZE_STRIDE for side in (height, width))
        return Maps(fidt_map, to_log_sides(self.size(merged)[..., :rows, :columns]))

    def branches(self) -> dict[str, Branch]:
        """Return the decoder of the map, and the sizes if they are predicted."""
        branches = {"map": Branch((self.narrow, self.refine), self.output)}
        if self.size is not None:
            branches["size"] = Branch((self.size[-2],), self.size[-1])
        return branches


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
    if isinstance(config, FIDTMConfig) and config.predict_sizes:
        return LiteRegressor(predict_sizes=True)
    return _REGRESSORS[config.regressor]()


def _upsample(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
