"""The configuration of density regression: its maps and its loss; the networks are FIDTM's."""

from typing import Literal

from pydantic import Field

from crowdpoint.methods.fidtm.config import MapConfig
from crowdpoint.recipe import Recipe
from crowdpoint.sections import Section


class DensityConfig(MapConfig):
    """A regressor of density maps, whose integral is the count (FIDTM, Table XIV)."""

    method: Literal["density"] = "density"
    """Density maps, which count and do not locate."""
    sigma: float = Field(15.0, gt=0)
    """Standard deviation in pixels of a head's Gaussian; if `adaptive`, only of a head without neighbours."""
    adaptive: bool = False
    """Whether a Gaussian is as wide as the heads are apart there: geometry-adaptive (CSRNet, Sec. 3.2.1)."""
    beta: float = Field(0.3, gt=0)
    """Pixels of an adaptive sigma per pixel of mean distance."""
    k: int = Field(3, ge=1)
    """Neighbours that an adaptive sigma's mean distance is taken over."""


class DensityLossConfig(Section):
    """The weight of the density map's loss."""

    mse_weight: float = Field(1.0, gt=0)
    """Weight of the mean squared error over all pixels, in heads per 100 pixels."""


class DensityRecipe(Recipe):
    """A whole training of density regression."""

    model: DensityConfig
    """The network and its target."""
    loss: DensityLossConfig = DensityLossConfig()
    """Weight of the loss."""
