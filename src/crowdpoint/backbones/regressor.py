"""Base class of networks that predict a map of the size of the image, and pairing of maps with targets."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from crowdpoint.backbones.branches import Branch
from crowdpoint.backbones.framing import ImageModel
from crowdpoint.points import FloatArray


class Maps(NamedTuple):
    """Outputs for training.

    Attributes:
        map: predicted maps (B, 1, H, W).
        log_sides: (B, 1, H / 4, W / 4), rounded up, natural logarithm of box sides in pixels, if predicted.
    """

    map: Tensor
    log_sides: Tensor | None = None


class MapRegressor(ImageModel):
    """Base class of the regressors, which normalise, pad, regress and crop (FIDTM, Sec. III-B)."""

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Predict maps.

        Args:
            images: (B, 3, H, W) float32 RGB in [0, 255], any H and W.

        Returns:
            Maps (B, 1, H, W) float32 in the range of the training target; values of a FIDT map may be
            slightly outside [0, 1]. With a branch for sizes, a tuple of the maps and of the sides (B, 1, H /
            4, W / 4), rounded up, of square boxes in input pixels.
        """
        maps = self.raw(images)
        return maps.map if maps.log_sides is None else (maps.map, maps.log_sides.exp())

    def branches(self) -> dict[str, Branch]:
        """Return the map as the only branch; regressors with a decoder of their own add it."""
        return {"map": Branch((), self)}

    def raw(self, images: Tensor) -> Maps:
        """Predict maps for training; arguments as `forward`."""
        height, width = images.shape[-2:]
        return Maps(self.regress(self.frame(images))[..., :height, :width].float())

    def regress(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W), H and W multiples of `alignment`, to (B, 1, H, W)."""
        raise NotImplementedError


class MapGroup(NamedTuple):
    """N maps of a batch whose images have the same size (h, w) in pixels.

    Attributes:
        images: indices of the images in the batch.
        predicted: predicted maps (N, 1, h, w).
        wanted: targets (N, 1, h, w).
    """

    images: list[int]
    predicted: Tensor
    wanted: Tensor


def cut_padding(predicted: Tensor, targets: Sequence[FloatArray]) -> list[MapGroup]:
    """Pair predicted maps with their targets, and cut off the padding right and below.

    Args:
        predicted: (B, 1, H, W).
        targets: B maps of the size of their image, at most (H, W).
    """
    by_size: dict[tuple[int, ...], list[int]] = {}
    for number, target in enumerate(targets):
        by_size.setdefault(target.shape, []).append(number)
    parts = []
    for (height, width), images in by_size.items():
        wanted = torch.from_numpy(np.stack([targets[number] for number in images]))[:, None]
        own = predicted if len(images) == len(targets) else predicted[images]
        parts.append(MapGroup(images, own[..., :height, :width], wanted.to(predicted.device)))
    return parts


def squared_error(parts: Sequence[MapGroup]) -> Tensor:
    """Sum the squared errors of all maps of a batch."""
    return torch.stack([(part.predicted - part.wanted).square().sum() for part in parts]).sum()
