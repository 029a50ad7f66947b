"""How outputs become points and a count: the parts of a configuration that every model file holds."""

from pydantic import Field, field_validator

from crowdpoint.sections import Fraction, Section


class GatherConfig(Section):
    """How proposals that mean one head are made into one; the default is not at all, as in P2PNet's paper."""

    radius: float = Field(0.0, ge=0)
    """Pixels within which a proposal gathers the scores of others, the surest first; 0 for none."""
    floor: Fraction = 0.1
    """Proposals with a lower score neither gather nor are gathered."""


class IntervalConfig(Section):
    """Bounds of the true count, in units of what the scores lack to certainty; calibrated by training."""

    below: float = Field(ge=0)
    """Units below the predicted count."""
    above: float = Field(ge=0)
    """Units above the predicted count."""


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
