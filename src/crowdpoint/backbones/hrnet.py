"""HRNet with FIDTM's head: four branches at strides 4 to 32 that keep exchanging, and a full-size map.

The state-dict names are those of the official network without its prefix `module.`, so that FIDTM's
checkpoints load, and so that HRNet's own ImageNet checkpoints do up to the head.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from crowdpoint.backbones.imagenet import load_strictly
from crowdpoint.backbones.regressor import MapRegressor

_CLASSIFIER = ("incre_modules.", "downsamp_modules.", "final_layer.", "classifier.")


class HRNet(MapRegressor):
    """HRNet-W48 and FIDTM's head of one convolution and two transposed ones (FIDTM, Sec. III-B).

    A stem brings the image to stride 4; three stages then run 2, 3 and 4 branches side by side, each half
    as fine and twice as wide as the one before, and every module ends by adding each branch to every
    other (Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition", Fig. 2
    and 3). The four maps, brought to stride 4, make up the input of the head.

    It computes what the released network computes, for any size. Maps are upsampled bilinearly, cell centres
    kept (`align_corners=False`), and the last layer has no activation. Images are not padded. Where a side
    is no multiple of 32, the coarser maps have a cell that the image does not fill; they are stretched over
    the finest one as if it did, and the result is cropped about its centre, one pixel off at most. So such an
    image's tiles at the right and below are stretched otherwise than the whole; the others are not at all.

    Convolutions start from a normal distribution with a deviation of 0.001, as HRNet's usually do; the
    batch norms behind them restore the scale. Transposed convolutions keep torch's default.
    """

    imagenet_file = "hrnetv2_w48_imagenet_pretrained.pth"

    def __init__(self, width: int = 48) -> None:
        """Builds the network.

        Args:
            width: channels of the finest branch, 48 in the paper.
        """
        super().__init__(alignment=32)
        widths = [width * 2**branch for branch in range(4)]
        self.conv1 = _convolution(3, 64, 3, stride=2)
        self.bn1 = _norm(64)
        self.conv2 = _convolution(64, 64, 3, stride=2)
        self.bn2 = _norm(64)
        self.layer1 = nn.Sequential(_Bottleneck(64), *(_Bottleneck(256) for _ in range(3)))
        self.transition1 = _transition([256], widths[:2])
        self.stage2 = _stage(1, widths[:2])
        self.transition2 = _transition(widths[:2], widths[:3])
        self.stage3 = _stage(4, widths[:3])
        self.transition3 = _transition(widths[:3], widths)
        self.stage4 = _stage(3, widths)
        self.last_layer = nn.Sequential(
            nn.Conv2d(sum(widths), sum(widths), 1),
            _norm(sum(widths)),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(sum(widths), 64, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=1e-3)

    def forward(self, images: Tensor) -> Tensor:
        """Predicts, as `MapRegressor.forward`, but without padding."""
        height, width = images.shape[-2:]
        raised = self.regress((images - self.mean) / self.std)
        top, left = ((4 * ((side + 3) // 4) - side) // 2 for side in (height, width))
        return raised[..., top : top + height, left : left + width].float()

    def regress(self, images: Tensor) -> Tensor:
        """The map of normalised images (B, 3, H, W): (B, 1, H, W) with both sides rounded up to 4."""
        x = torch.relu(self.bn1(self.conv1(images)))
        x = torch.relu(self.bn2(self.conv2(x)))
        maps = [self.layer1(x)]  # (B, 256, H/4, W/4)
        for transition, stage in (
            (self.transition1, self.stage2),
            (self.transition2, self.stage3),
            (self.transition3, self.stage4),
        ):
            starts = [*maps, maps[-1]]  # each stage's new branch starts from the coarsest one
            maps = stage([layer(x) for layer, x in zip(transition, starts, strict=True)])
        finest, *coarser = maps
        result: Tensor = self.last_layer(torch.cat([finest, *(_resize(x, finest) for x in coarser)], dim=1))
        return result

    def is_pretrained(self, name: str) -> bool:
        """Whether the parameter of this name belongs to what starts from ImageNet: all but the head."""
        return not name.startswith("last_layer.")

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Loads HRNet's official ImageNet checkpoint, given as its state dict; the head is left as it is.

        Raises:
            ModelError: if anything but the classifier is missing, unexpected or of another shape.
        """
        head = {name: value for name, value in self.state_dict().items() if name.startswith("last_layer.")}
        features = {name: value for name, value in state.items() if not name.startswith(_CLASSIFIER)}
        load_strictly(self, head | features, "HRNet's official ImageNet weights of this width")


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _convolution(width, width, 3)
        self.bn1 = _norm(width)
        self.conv2 = _convolution(width, width, 3)
        self.bn2 = _norm(width)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + x)


class _Bottleneck(nn.Module):
    """A 3x3 convolution of 64 channels between two 1x1 ones, to 256 channels, and a shortcut."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv1 = _convolution(inputs, 64, 1)
        self.bn1 = _norm(64)
        self.conv2 = _convolution(64, 64, 3)
        self.bn2 = _norm(64)
        self.conv3 = _convolution(64, 256, 1)
        self.bn3 = _norm(256)
        self.downsample = (
            nn.Identity() if inputs == 256 else nn.Sequential(_convolution(inputs, 256, 1), _norm(256))
        )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class _Exchange(nn.Module):
    """One module of a stage: four blocks on every branch, then each branch added to every other."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(_BasicBlock(w) for _ in range(4))) for w in widths)
        self.fuse_layers = nn.ModuleList(_Sum(widths, branch) for branch in range(len(widths)))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """One map (B, C_i, H_i, W_i) per branch, finest first, to the same shapes."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return [add(maps) for add in self.fuse_layers]


class _Sum(nn.ModuleList):
    """Adds all branches at the width and stride of branch `target`."""

    def __init__(self, widths: Sequence[int], target: int) -> None:
        super().__init__(_fusion(widths, source, target) for source in range(len(widths)))
        self.target = target

    def forward(self, maps: list[Tensor]) -> Tensor:
        parts = [layer(x) for layer, x in zip(self, maps, strict=True)]
        same = parts[: self.target + 1]
        coarser = (_resize(x, maps[self.target]) for x in parts[self.target + 1 :])
        return torch.relu(sum((*same[1:], *coarser), start=same[0]))


def _fusion(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """Brings branch `source` to the width of branch `target`, and to its stride where that is coarser."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(_convolution(widths[source], widths[target], 1), _norm(widths[target]))
    halvings = [_unit(widths[source], widths[source], stride=2) for _ in range(target - source - 1)]
    last = nn.Sequential(_convolution(widths[source], widths[target], 3, stride=2), _norm(widths[target]))
    return nn.Sequential(*halvings, last)


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """From a stage's branches to those of the next, which has one more at twice the stride."""
    kept = [nn.Identity() if old == new else _unit(old, new) for old, new in zip(before, after, strict=False)]
    return nn.ModuleList([*kept, nn.Sequential(_unit(before[-1], after[-1], stride=2))])


def _stage(modules: int, widths: Sequence[int]) -> nn.Sequential:
    return nn.Sequential(*(_Exchange(widths) for _ in range(modules)))


def _unit(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, outputs, 3, stride), _norm(outputs), nn.ReLU(inplace=True))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, momentum=0.01)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    """`x` at the height and width of `like`."""
    return nn.functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
