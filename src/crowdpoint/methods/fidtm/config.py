"""The configuration of FIDTM: its network, its maps, its detection of maxima and its loss."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from crowdpoint.recipe import ModelConfig, Recipe
from crowdpoint.sections import Fraction, Section


class LMDSConfig(Section):
    """How local maxima are found on a FIDT map (FIDTM, Algorithm 1, which the defaults are)."""

    kernel: int = Field(3, ge=3)
    """Side in cells of the square in which a maximum is the largest, an odd number."""
    adaptive: bool = True
    """Whether T_a is a part of the map's largest value, or a value itself (FIDTM, Table XII)."""
    negative_threshold: Fraction = 0.10
    """T_f: no one is in an image whose map's largest value is below it."""
    smooth: bool = False
    """Whether maxima are looked for on the map's 3x3 mean, as the authors do for UCF-QNRF; T_a and T_f still
    follow the largest value of the map itself."""
    merge_plateaus: bool = False
    """Whether touching maxima count once, at the cell with their centroid; Algorithm 1 counts each cell."""
    refine: bool = False
    """Whether a peak moves inside its cell to the top of the parabola through it and its neighbours; it stays
    at the cell's centre in Algorithm 1."""

    @field_validator("kernel")
    @classmethod
    def _has_a_centre(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError("expected an odd number")
        return kernel


class MapConfig(ModelConfig):
    """The configuration that networks with a map of the image have in common."""

    regressor: Literal["hrnet-w48", "csrnet", "csrnet-fpn", "bl", "bl-fpn", "lite"] = "hrnet-w48"
    """The network (FIDTM, Table XIV), or our small one."""


class FIDTMConfig(MapConfig):
    """A regressor of focal inverse distance transform maps (FIDTM, Sec. III)."""

    method: Literal["fidtm"] = "fidtm"
    """FIDT maps, whose local maxima are people."""
    alpha: float = Field(0.02, ge=0)
    """Growth of the map's exponent with the distance (FIDTM, Eq. 3, Table IX); 0 for an IDT map (Eq. 2)."""
    beta: float = Field(0.75, ge=0)
    """The map's exponent near a head (FIDTM, Eq. 3, Table IX); 1 for an IDT map (Eq. 2)."""
    threshold: Fraction = 100 / 255
    """T_a: local maxima of at least this part of the map's largest value are people (FIDTM, Algorithm 1)."""
    decoder = "lmds"
    lmds: LMDSConfig = LMDSConfig()
    """How local maxima are found."""


class FIDTMLossConfig(Section):
    """The weights of the FIDTM loss (FIDTM, Eq. 8 and Table X)."""

    mse_weight: float = Field(1.0, ge=0)
    """Weight of the squared error."""
    mse_reduction: Literal["mean", "sum"] = "mean"
    """Whether the squared error is averaged over a batch's pixels, or summed, as in the released code."""
    ssim_weight: float = Field(0.0, ge=0)
    """Weight of the SSIM loss over the whole map (FIDTM, Eq. 6)."""
    independent_weight: float = Field(1.0, ge=0)
    """Weight of the SSIM loss around each head (I-SSIM; FIDTM, Eq. 7)."""
    window: int = Field(30, ge=2)
    """Side in pixels of the window around a head (FIDTM, Table XI)."""
    peak_weight: float = Field(0.0, ge=0)
    """Weight of the error of which local maxima are heads, which the paper does not have."""

    @model_validator(mode="after")
    def _has_a_term(self) -> Self:
        if not self.mse_weight + self.ssim_weight + self.independent_weight:
            raise ValueError("expected a weight above 0")
        return self


class FIDTMRecipe(Recipe):
    """A whole training of FIDTM."""

    model: FIDTMConfig
    """The network and its target."""
    loss: FIDTMLossConfig = FIDTMLossConfig()
    """Weights of the loss terms."""
