"""The loss of density regression (FIDTM, Table XIV)."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from crowdpoint.backbones.regressor import Maps, cut_padding, squared_error
from crowdpoint.backbones.threads import map_in_threads
from crowdpoint.methods.density.config import DensityConfig, DensityLossConfig
from crowdpoint.methods.density.targets import DENSITY_SCALE, density_map
from crowdpoint.methods.method import OverProcesses
from crowdpoint.points import Points
from crowdpoint.tiles import Box


def density_loss(
    maps: Maps,
    heads: Sequence[Points],
    borders: Sequence[Box],
    model: DensityConfig,
    loss: DensityLossConfig,
    over_processes: OverProcesses = lambda count: count,
) -> dict[str, Tensor]:
    """Compute the weighted loss of density regression (FIDTM, Table XIV, "density map").

    Args:
        maps: predicted maps (B, 1, H, W), heads per 100 pixels.
        heads: annotated heads of the B crops and of what is around them, with the size of each crop. Where it
            is smaller than the map, the rest is padding and has no part in the error.
        borders: the images that the crops are cut from, in pixels of each crop.
        model: the shape of the target map.
        loss: weight of the term.
        over_processes: makes the mean of the processes' gradients the gradient of the whole batch.

    Returns:
        `mse`: mean squared error over all pixels.
    """
    draw = partial(density_map, sigma=model.sigma, adaptive=model.adaptive, beta=model.beta, k=model.k)
    targets = map_in_threads(draw, heads, borders)
    parts = cut_padding(maps.map, [DENSITY_SCALE * target for target in targets])
    error = squared_error(parts)
    pixels = over_processes(error.new_tensor(sum(part.wanted.numel() for part in parts)))
    return {"mse": loss.mse_weight * error / pixels}
