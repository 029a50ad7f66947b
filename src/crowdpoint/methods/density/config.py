"""Configuration of density regression: maps and loss. The networks are FIDTM's."""

from typing import Literal

from pydantic import Field

from crowdpoint.methods.fidtm.config import MapConfig
from crowdpoint.recipe import Recipe
from crowdpoint.sections import Section


class DensityConfig(MapConfig):
    """Regressor of density maps, whose integral is the count (FIDTM, Table XIV)."""

    method: Literal["density"] = "density"
    """Density maps, for counts without locations."""
    sigma: float = Field(15.0, gt=0)
    """Standard deviation in pixels of each Gaussian; if `adaptive`, only of heads without neighbours."""
    adaptive: bool = False
    """Adapt each Gaussian to the distance of its neighbours (geometry-adaptive; CSRNet, Sec. 3.2.1)."""
    beta: float = Field(0.3, gt=0)
    """Ratio of an adaptive sigma to the mean distance of the neighbours."""
    k: int = Field(3, ge=1)
    """Number of neighbours for an adaptive sigma."""


class DensityLossConfig(Section):
    """Weight of the loss of density maps."""

    mse_weight: float = Field(1.0, gt=0)
    """Weight of the mean squared error over all pixels, in heads per 100 pixels."""


class DensityRecipe(Recipe):
    """Configuration of a training run of density regression."""

    model: DensityConfig
    """Network and target."""
    loss: DensityLossConfig = DensityLossConfig()
    """Weight of the loss."""
