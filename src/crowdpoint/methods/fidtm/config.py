"""Configuration of FIDTM: network, maps, detection of maxima and loss."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from crowdpoint.recipe import ModelConfig, Recipe
from crowdpoint.sections import Fraction, Section

SIZE_STRIDE = 4
"""Input pixels per cell of the predicted sizes."""


class LMDSConfig(Section):
    """Detection of local maxima on a FIDT map. The defaults are FIDTM's Algorithm 1."""

    kernel: int = Field(3, ge=3)
    """Side in cells of the max-pooling window, an odd number."""
    adaptive: bool = True
    """Multiply T_a by the maximum of the map, instead of using it as an absolute value (FIDTM, Table XII)."""
    negative_threshold: Fraction = 0.10
    """T_f: an image is empty if the maximum of its map is below this value."""
    smooth: bool = False
    """Search the 3x3 mean of the map for maxima, as the authors do for UCF-QNRF. T_a and T_f still use the
    maximum of the map itself."""
    merge_plateaus: bool = False
    """Merge adjacent maxima into the cell with their centroid. Algorithm 1 counts each cell."""
    refine: bool = False
    """Refine a peak within its cell to the vertex of the parabola through its neighbours. Algorithm 1 uses
    the centre of the cell."""

    @field_validator("kernel")
    @classmethod
    def _has_a_centre(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError("expected an odd number")
        return kernel


class MapConfig(ModelConfig):
    """Configuration of networks that predict a map of the image."""

    regressor: Literal["hrnet-w48", "csrnet", "csrnet-fpn", "bl", "bl-fpn", "lite"] = "hrnet-w48"
    """Network (FIDTM, Table XIV), or our small one, `lite`."""


class FIDTMConfig(MapConfig):
    """Regressor of focal inverse distance transform maps (FIDTM, Sec. III)."""

    method: Literal["fidtm"] = "fidtm"
    """FIDT maps, whose local maxima are people."""
    alpha: float = Field(0.02, ge=0)
    """Growth of the exponent with the distance (FIDTM, Eq. 3, Table IX); 0 for an IDT map (Eq. 2)."""
    beta: float = Field(0.75, ge=0)
    """Exponent at distance 0 (FIDTM, Eq. 3, Table IX); 1 for an IDT map (Eq. 2)."""
    threshold: Fraction = 100 / 255
    """T_a: minimum of a local maximum, as a fraction of the maximum of the map (FIDTM, Algorithm 1)."""
    decoder = "lmds"
    lmds: LMDSConfig = LMDSConfig()
    """Detection of local maxima."""
    predict_sizes: bool = False
    """Predict the side of the head's box around each cell, with `regressor: lite`; not in the paper."""

    @model_validator(mode="after")
    def _has_a_size_branch(self) -> Self:
        if self.predict_sizes and self.regressor != "lite":
            raise ValueError("predict_sizes: expected regressor: lite, the only one with a branch for sizes")
        return self


class FIDTMLossConfig(Section):
    """Weights of the loss terms (FIDTM, Eq. 8 and Table X)."""

    mse_weight: float = Field(1.0, ge=0)
    """Weight of the squared error."""
    mse_reduction: Literal["mean", "sum"] = "mean"
    """Reduction of the squared error over the pixels of a batch; the released code sums."""
    ssim_weight: float = Field(0.0, ge=0)
    """Weight of the SSIM loss over the whole map (FIDTM, Eq. 6)."""
    independent_weight: float = Field(1.0, ge=0)
    """Weight of the SSIM loss around each head (I-SSIM; FIDTM, Eq. 7)."""
    window: int = Field(30, ge=2)
    """Side in pixels of the window around a head (FIDTM, Table XI)."""
    peak_weight: float = Field(0.0, ge=0)
    """Weight of the classification of local maxima as heads; not in the paper."""
    size_weight: float = Field(0.0, ge=0)
    """Weight of the error of box sides, for data with boxes and models that predict sizes."""

    @model_validator(mode="after")
    def _has_a_term(self) -> Self:
        if not self.mse_weight + self.ssim_weight + self.independent_weight:
            raise ValueError("expected a weight above 0")
        return self


class FIDTMRecipe(Recipe):
    """Configuration of a training run of FIDTM."""

    model: FIDTMConfig
    """Network, target and decoder."""
    loss: FIDTMLossConfig = FIDTMLossConfig()
    """Weights of the loss terms."""
