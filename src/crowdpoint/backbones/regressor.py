"""What every network that predicts a map of the image has in common: images of any size in, as they are,
and a map of exactly that size out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from crowdpoint.backbones.branches import Branch
from crowdpoint.backbones.framing import ImageModel
from crowdpoint.points import FloatArray


class Maps(NamedTuple):
    """What training sees of a batch.

    Attributes:
        map: (B, 1, H, W) predicted.
    """

    map: Tensor


class MapRegressor(ImageModel):
    """Base of the regressors: normalises, pads, regresses and crops (FIDTM, Sec. III-B)."""

    outputs = ("map",)

    def forward(self, images: Tensor) -> Tensor:
        """Predicts.

        Args:
            images: (B, 3, H, W) float32 RGB in [0, 255], any H and W.

        Returns:
            The map, (B, 1, H, W) float32, whose range the training target sets. The output is linear: a
            FIDT map's peaks are near 1, and values may lie a little outside [0, 1].
        """
        height, width = images.shape[-2:]
        return self.regress(self.frame(images))[..., :height, :width].float()

    def branches(self) -> dict[str, Branch]:
        """The map alone; a regressor with a decoder of its own watches that, too."""
        return {"map": Branch((), self)}

    def raw(self, images: Tensor) -> Maps:
        """Predicts, for training; arguments as `forward`."""
        return Maps(self(images))

    def regress(self, images: Tensor) -> Tensor:
        """The map (B, 1, H, W) of normalised images (B, 3, H, W), H and W multiples of `alignment`."""
        raise NotImplementedError


class Part(NamedTuple):
    """The N maps of a batch whose images have one size, (h, w) in pixels.

    Attributes:
        images: their numbers in the batch.
        predicted: (N, 1, h, w).
        wanted: (N, 1, h, w).
    """

    images: list[int]
    predicted: Tensor
    wanted: Tensor


def cut_padding(predicted: Tensor, targets: Sequence[FloatArray]) -> list[Part]:
    """Pair predicted maps with their targets, without what pads an image right and below.

    Args:
        predicted: (B, 1, H, W).
        targets: B maps of the size of their image, which is at most that of the predicted ones.
    """
    by_size: dict[tuple[int, ...], list[int]] = {}
    for number, target in enumerate(targets):
        by_size.setdefault(target.shape, []).append(number)
    parts = []
    for (height, width), images in by_size.items():
        wanted = torch.from_numpy(np.stack([targets[number] for number in images]))[:, None]
        own = predicted if len(images) == len(targets) else predicted[images]
        parts.append(Part(images, own[..., :height, :width], wanted.to(predicted.device)))
    return parts


def squared_error(parts: Sequence[Part]) -> Tensor:
    """Sum the squared errors of all maps of a batch."""
    return torch.stack([(part.predicted - part.wanted).square().sum() for part in parts]).sum()
