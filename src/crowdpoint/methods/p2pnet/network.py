"""P2PNet: backbone, feature pyramid, and the branches that predict point proposals with scores.

P2PNet, Sec. 3.4. The network pads and normalises images of any size.
"""

import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from crowdpoint.backbones.branches import Branch
from crowdpoint.backbones.efficientnet import EfficientNetLite0
from crowdpoint.backbones.framing import ImageModel
from crowdpoint.backbones.layers import leaky_relu, separable_conv, start_near_zero
from crowdpoint.backbones.pyramid import Pyramid
from crowdpoint.backbones.sizes import to_log_sides
from crowdpoint.backbones.vgg import VGG16
from crowdpoint.methods.p2pnet.config import P2PNetConfig
from crowdpoint.methods.p2pnet.reference_points import cell_reference_points


class Proposals(NamedTuple):
    """Outputs for training.

    Attributes:
        points: (B, M, 2) proposals (x, y) in input pixels, cells in reading order, the K of a cell together.
        logits: (B, M, 2) for background and person.
        cells: (M, 2) top left corner (x, y) in input pixels of the cell of each proposal.
        log_sides: (B, M) natural logarithm of the side in pixels of each proposal's box, if predicted.
    """

    points: Tensor
    logits: Tensor
    cells: Tensor
    log_sides: Tensor | None = None


class P2PNet(ImageModel):
    """Point proposals and their scores for a batch of images (P2PNet, Eq. 2 and Fig. 5)."""

    reference: Tensor

    def __init__(self, config: P2PNetConfig) -> None:
        backbone: EfficientNetLite0 | VGG16 = (
            EfficientNetLite0()
            if config.backbone == "efficientnet-lite0"
            else VGG16(batch_norm=config.backbone == "vgg16-bn")
        )
        strides = {s: c for s, c in backbone.channels.items() if s >= config.stride}
        super().__init__(max(strides), backbone.mean, backbone.std)
        self.config = config
        self.backbone = backbone
        self.pyramid = Pyramid(strides, config.pyramid_channels, separable=config.head == "light")
        k, width, inputs = config.points_per_cell, config.head_channels, config.pyramid_channels
        branch = _dense_branch
        self.shared: nn.Module = nn.Identity()
        if config.head == "light":
            self.shared = nn.Sequential(*separable_conv(inputs, width), leaky_relu())
            branch, inputs = _light_branch, width
        self.regression = branch(inputs, width, 2 * k)
        self.classification = branch(inputs, width, 2 * k)
        if config.head == "light":
            bias = cast(Tensor, self.classification[-1].bias)
            with torch.no_grad():  # scores start at 1 in 50, near the share of positive proposals
                bias.view(-1, 2)[:, 0] = math.log(49)
        self.size = branch(inputs, width, k) if config.predict_sizes else None
        reference = cell_reference_points(config.reference_points, k, config.stride)
        self.register_buffer("reference", torch.from_numpy(reference), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Predict proposals with scores.

        Args:
            images: (B, 3, H, W) float32 RGB in [0, 255], any H and W.

        Returns:
            points (B, M, 2) in input pixels and scores (B, M), with M = K * ceil(H/s) * ceil(W/s); then, if
            the model predicts sizes, sides (B, M), the sides of square boxes in input pixels.
        """
        proposals = self.raw(images)
        scores = proposals.logits.softmax(dim=-1)[..., 1]
        if proposals.log_sides is None:
            return proposals.points, scores
        return proposals.points, scores, proposals.log_sides.exp()

    def raw(self, images: Tensor) -> Proposals:
        """Predict proposals with logits, for training; arguments as `forward`."""
        height, width = images.shape[-2:]
        stride = self.config.stride
        rows, columns = (height + stride - 1) // stride, (width + stride - 1) // stride
        features = self.shared(self.pyramid(self.backbone(self.frame(images))))
        offsets = _per_proposal(self.regression(features)[..., :rows, :columns], 2)  # (B, h, w, K, 2)
        logits = _per_proposal(self.classification(features)[..., :rows, :columns], 2)
        y = torch.arange(rows, device=self.reference.device, dtype=torch.float32)
        x = torch.arange(columns, device=self.reference.device, dtype=torch.float32)
        corners = (
            stride * torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[:, :, None]
        )  # (h, w, 1, 2)
        points = corners + self.reference + self.config.offset_scale * offsets
        log_sides = None
        if self.size is not None:
            log_sides = to_log_sides(_per_proposal(self.size(features)[..., :rows, :columns], 1).flatten(1))
        cells = corners.expand(-1, -1, self.config.points_per_cell, -1).flatten(0, 2)
        return Proposals(points.flatten(1, 3), logits.flatten(1, 3), cells, log_sides)

    def branches(self) -> dict[str, Branch]:
        """Return the regression of offsets (in pixels), the classification, and the sizes if predicted."""
        parts = {"regression": self.regression, "classification": self.classification, "size": self.size}
        units = {"regression": self.config.offset_scale, "classification": 1.0, "size": 1.0}
        return {
            name: Branch([layer for layer in part if isinstance(layer, nn.ReLU)], part[-1], units[name])
            for name, part in parts.items()
            if part is not None
        }


def _dense_branch(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, width, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(inplace=True),
        start_near_zero(nn.Conv2d(width, outputs, 3, padding=1)),
    )


def _light_branch(inputs: int, width: int, outputs: int) -> nn.Sequential:
    hidden = width // 2
    return nn.Sequential(
        nn.Conv2d(inputs, hidden, 1), leaky_relu(), start_near_zero(nn.Conv2d(hidden, outputs, 1))
    )


def _per_proposal(values: Tensor, numbers: int) -> Tensor:
    """Rearrange (B, K * numbers, h, w) to (B, h, w, K, numbers), in fp32 also under autocast."""
    batch, _, rows, columns = values.shape
    return values.permute(0, 2, 3, 1).reshape(batch, rows, columns, -1, numbers).float()
