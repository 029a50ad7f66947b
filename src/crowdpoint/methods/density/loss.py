"""The loss of density regression (FIDTM, Table XIV)."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import mse_loss

from crowdpoint.backbones.regressor import Maps
from crowdpoint.methods.density.config import DensityConfig, DensityLossConfig
from crowdpoint.methods.density.targets import DENSITY_SCALE, density_map
from crowdpoint.methods.fidtm.loss import stack_maps
from crowdpoint.points import Points


def density_loss(
    maps: Maps, heads: Sequence[Points], model: DensityConfig, loss: DensityLossConfig
) -> dict[str, Tensor]:
    """The term of density regression, weighted (FIDTM, Table XIV, "density map").

    Args:
        maps: predicted maps (B, 1, H, W), heads per 100 pixels.
        heads: annotated heads of the B images, which know the maps' size.
        model: the shape of the target map.
        loss: weight of the term.

    Returns:
        `mse`: mean squared error over all pixels.
    """
    targets = [
        density_map(own, sigma=model.sigma, adaptive=model.adaptive, beta=model.beta, k=model.k)
        for own in heads
    ]
    wanted = DENSITY_SCALE * stack_maps(targets, maps.map)
    return {"mse": loss.mse_weight * mse_loss(maps.map, wanted)}
