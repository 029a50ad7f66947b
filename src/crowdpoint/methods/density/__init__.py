"""Density maps, whose integral is the count: the baseline that FIDTM compares its maps with (Table XIV).

| source | module |
|---|---|
| fixed Gaussians, and geometry-adaptive ones (Li et al., CSRNet, 2018, Sec. 3.2.1) | `targets` |
| the networks of Table XIV | `crowdpoint.methods.fidtm.network` |
| squared error | `loss` |
"""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from crowdpoint.estimate import Estimate
from crowdpoint.methods.density.config import DensityConfig, DensityRecipe
from crowdpoint.methods.density.decode import decode_density
from crowdpoint.methods.density.targets import kernel_margin
from crowdpoint.methods.method import Method, OverProcesses, Piece
from crowdpoint.points import Points
from crowdpoint.tiles import Box

if TYPE_CHECKING:
    from torch import Tensor

    from crowdpoint.backbones.regressor import MapRegressor, Maps


class DensityMethod(Method[DensityConfig, DensityRecipe]):
    """A map whose sum is the count."""

    name = "density"
    config = DensityConfig
    recipe = DensityRecipe
    locates = False

    def outputs(self, config: DensityConfig) -> tuple[str, ...]:
        """Return `map`."""
        return ("map",)

    def decode(
        self,
        config: DensityConfig,
        pieces: Iterable[Piece],
        image_size: tuple[int, int],
        least: float = 0.0,
    ) -> Estimate:
        """Sum the map; see `decode_density`."""
        return decode_density(pieces, image_size)

    def network(self, config: DensityConfig) -> "MapRegressor":
        """Build the network, with fresh weights."""
        from crowdpoint.methods.fidtm.network import regressor

        return regressor(config)

    def loss(
        self,
        outputs: "Maps",
        heads: Sequence[Points],
        borders: Sequence[Box],
        recipe: DensityRecipe,
        over_processes: OverProcesses,
    ) -> dict[str, "Tensor"]:
        """Compute the squared error of the map; see `density_loss`."""
        from crowdpoint.methods.density.loss import density_loss

        return density_loss(outputs, heads, borders, recipe.model, recipe.loss, over_processes)

    def reach(self, config: DensityConfig) -> float:
        """Return how far a Gaussian reaches; an adaptive one may reach anywhere."""
        return math.inf if config.adaptive else kernel_margin(config.sigma)


DENSITY = DensityMethod()
