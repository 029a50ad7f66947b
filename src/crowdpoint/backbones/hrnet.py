"""HRNet with FIDTM's head: four parallel branches at strides 4 to 32, and a map of full size.

State-dict names match the official network without its prefix `module.`, so that FIDTM's checkpoints load,
and HRNet's ImageNet checkpoints except for the head.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from crowdpoint.backbones.imagenet import load_strictly
from crowdpoint.backbones.layers import resize
from crowdpoint.backbones.regressor import MapRegressor

_CLASSIFIER = ("incre_modules.", "downsamp_modules.", "final_layer.", "classifier.")


class HRNet(MapRegressor):
    """HRNet-W48 and FIDTM's head of one convolution and two transposed ones (FIDTM, Sec. III-B).

    A stem reduces the image to stride 4. Three stages then run 2, 3 and 4 parallel branches, each with half
    the resolution and twice the channels of the one before; every module ends by adding each branch to all
    others (Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition", Fig. 2 and 3).
    The head takes the four maps, upsampled to stride 4.

    Outputs equal the released network's for any size. Images are not padded. If a side is not a multiple of
    32, coarser maps have a partial cell and are stretched over the finest map, and the result is cropped
    about its centre, at most one pixel off. Of its tiles, the right and bottom ones are stretched.

    Convolutions are initialised from N(0, 0.001^2), transposed ones by torch's default.
    """

    imagenet_file = "hrnetv2_w48_imagenet_pretrained.pth"

    def __init__(self, width: int = 48) -> None:
        """Create the network with `width` channels in the finest branch."""
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
        """Predict as `MapRegressor.forward`, but without padding."""
        height, width = images.shape[-2:]
        raised = self.regress((images - self.mean) / self.std)
        top, left = ((4 * ((side + 3) // 4) - side) // 2 for side in (height, width))
        return raised[..., top : top + height, left : left + width].float()

    def regress(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W) to (B, 1, H, W), sides rounded up to multiples of 4."""
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
        size = finest.shape[-2:]
        result: Tensor = self.last_layer(torch.cat([finest, *(resize(x, size) for x in coarser)], dim=1))
        return result

    def is_pretrained(self, name: str) -> bool:
        """Tell whether the parameter of this name is outside the head, and so initialised from ImageNet."""
        return not name.startswith("last_layer.")

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Load the state dict of HRNet's official ImageNet checkpoint; keep the head."""
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
        """Map one tensor (B, C_i, H_i, W_i) per branch, finest first, to the same shapes."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return [add(maps) for add in self.fuse_layers]


class _Sum(nn.ModuleList):
    """Sum of all branches at the width and stride of branch `target`."""

    def __init__(self, widths: Sequence[int], target: int) -> None:
        super().__init__(_fusion(widths, source, target) for source in range(len(widths)))
        self.target = target

    def forward(self, maps: list[Tensor]) -> Tensor:
        parts = [layer(x) for layer, x in zip(self, maps, strict=True)]
        same = parts[: self.target + 1]
        coarser = (resize(x, maps[self.target].shape[-2:]) for x in parts[self.target + 1 :])
        return torch.relu(sum((*same[1:], *coarser), start=same[0]))


def _fusion(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """Create the layers from branch `source` to the width of branch `target`, and its stride if coarser."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(_convolution(widths[source], widths[target], 1), _norm(widths[target]))
    halvings = [_unit(widths[source], widths[source], stride=2) for _ in range(target - source - 1)]
    last = nn.Sequential(_convolution(widths[source], widths[target], 3, stride=2), _norm(widths[target]))
    return nn.Sequential(*halvings, last)


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """Create the layers from the branches of a stage to those of the next, which has one more."""
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
