"""P2PNet: backbone, feature pyramid, and two branches that predict point proposals with scores.

P2PNet, Sec. 3.4. The network takes images as they are and answers in their pixels; padding and
normalisation happen inside, so nobody does either twice.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from crowdpoint.config import P2PNetConfig
from crowdpoint.nn.efficientnet import EfficientNetLite0
from crowdpoint.nn.framing import Framed
from crowdpoint.nn.pyramid import Pyramid
from crowdpoint.nn.vgg import VGG16
from crowdpoint.predict import reference


class Proposals(NamedTuple):
    """What training sees of a batch.

    Attributes:
        points: (B, M, 2) proposals (x, y) in input pixels.
        logits: (B, M, 2) for background and person.
    """

    points: Tensor
    logits: Tensor


class P2PNet(Framed):
    """Point proposals and their scores for a batch of images (P2PNet, Eq. 2 and Fig. 5)."""

    reference: Tensor

    def __init__(self, config: P2PNetConfig) -> None:
        backbone = _backbone(config)
        strides = {s: c for s, c in backbone.channels.items() if s >= config.stride}
        super().__init__(max(strides), backbone.mean, backbone.std)
        self.config = config
        self.backbone = backbone
        self.pyramid = Pyramid(strides, config.pyramid_channels)
        outputs = 2 * config.points_per_cell
        self.regression = _branch(config.pyramid_channels, config.head_channels, outputs)
        self.classification = _branch(config.pyramid_channels, config.head_channels, outputs)
        self.register_buffer("reference", reference_points(config), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Predicts.

        Args:
            images: (B, 3, H, W) float32 RGB in [0, 255], any H and W.

        Returns:
            points (B, M, 2) in input pixels and scores (B, M), with M = K * ceil(H/s) * ceil(W/s).
        """
        points, logits = self.proposals(images)
        return points, logits.softmax(dim=-1)[..., 1]

    def proposals(self, images: Tensor) -> Proposals:
        """Predicts with logits, for training; arguments as `forward`."""
        height, width = images.shape[-2:]
        stride = self.config.stride
        rows, columns = (height + stride - 1) // stride, (width + stride - 1) // stride
        features = self.pyramid(self.backbone(self.frame(images)))
        offsets = _per_proposal(self.regression(features)[..., :rows, :columns])  # (B, h, w, K, 2)
        logits = _per_proposal(self.classification(features)[..., :rows, :columns])
        points = self._centers(rows, columns) + self.config.offset_scale * offsets
        return Proposals(points.flatten(1, 3), logits.flatten(1, 3))

    def _centers(self, rows: int, columns: int) -> Tensor:
        """Reference points of every cell: (h, w, K, 2), (x, y) in pixels."""
        y = torch.arange(rows, device=self.reference.device, dtype=torch.float32)
        x = torch.arange(columns, device=self.reference.device, dtype=torch.float32)
        corners = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # (h, w, 2)
        return corners[:, :, None] * self.config.stride + self.reference


def reference_points(config: P2PNetConfig) -> Tensor:
    """The K reference points of one cell, (K, 2) pixels (x, y) from the cell's corner (P2PNet, Fig. 4)."""
    return torch.from_numpy(reference.of_cell(config.reference_points, config.points_per_cell, config.stride))


def _backbone(config: P2PNetConfig) -> EfficientNetLite0 | VGG16:
    if config.backbone == "efficientnet-lite0":
        return EfficientNetLite0()
    return VGG16(batch_norm=config.backbone == "vgg16-bn")


def _branch(inputs: int, width: int, outputs: int) -> nn.Sequential:
    last = nn.Conv2d(width, outputs, 3, padding=1)
    nn.init.normal_(last.weight, std=1e-3)  # proposals start on their reference points, undecided
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(
        nn.Conv2d(inputs, width, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(inplace=True),
        last,
    )


def _per_proposal(values: Tensor) -> Tensor:
    """(B, K * 2, h, w) to (B, h, w, K, 2), in fp32 also under autocast."""
    batch, _, rows, columns = values.shape
    return values.permute(0, 2, 3, 1).reshape(batch, rows, columns, -1, 2).float()
