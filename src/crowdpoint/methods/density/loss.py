"""The loss of density regression (FIDTM, Table XIV)."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from crowdpoint.backbones.batches import map_in_threads
from crowdpoint.backbones.regressor import Maps, cut_padding, squared_error
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
    """Compute `mse`, the weighted mean squared error over all pixels (FIDTM, Table XIV, "density map").

    `maps` (B, 1, H, W) are predictions in heads per 100 pixels. Other arguments as in `Method.loss`.
    """
    draw = partial(density_map, sigma=model.sigma, adaptive=model.adaptive, beta=model.beta, k=model.k)
    targets = map_in_threads(draw, heads, borders)
    parts = cut_padding(maps.map, [DENSITY_SCALE * target for target in targets])
    error = squared_error(parts)
    pixels = over_processes(error.new_tensor(sum(part.wanted.numel() for part in parts)))
    return {"mse": loss.mse_weight * error / pixels}
