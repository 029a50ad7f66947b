"""What every network that predicts a map of the image has in common: images of any size in, as they are,
and a map of exactly that size out.
"""

from typing import NamedTuple

from torch import Tensor

from crowdpoint.backbones.branches import Branch
from crowdpoint.backbones.framing import ImageModel


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
