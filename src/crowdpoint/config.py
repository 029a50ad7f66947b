"""The configuration of a model and of its training, one default per value.

Torch-free, so that a recipe can be read and checked anywhere; recipes are YAML files of `Recipe`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, model_validator

from crowdpoint.decoder_config import GatherConfig, IntervalConfig, LMDSConfig
from crowdpoint.errors import ConfigError
from crowdpoint.overrides import apply, settings
from crowdpoint.run_config import OptimizerConfig, RunConfig
from crowdpoint.sections import Fraction, Section, validated

RECIPES = Path(__file__).parent / "recipes"


class P2PNetConfig(Section):
    """The P2PNet network (P2PNet, Sec. 3.4)."""

    method: Literal["p2pnet"] = "p2pnet"
    backbone: Literal["vgg16-bn", "vgg16", "efficientnet-lite0"] = "vgg16-bn"
    """Feature extractor, started from ImageNet weights where they are at hand."""
    stride: Literal[4, 8, 16] = 8
    """Input pixels per cell of the map that proposals are predicted on (P2PNet, Table 5)."""
    reference_points: Literal["grid", "center"] = "grid"
    """Where a cell's reference points lie (P2PNet, Fig. 4 and Table 4)."""
    points_per_cell: int = Field(4, ge=1)
    """K, the reference points in each cell (P2PNet, Table 6)."""
    offset_scale: float = Field(100.0, gt=0)
    """gamma, pixels per unit of the regressed offset (P2PNet, Eq. 2)."""
    pyramid_channels: int = Field(256, ge=8)
    """Channels of the merged feature map."""
    head_channels: int = Field(256, ge=8)
    """Channels inside the branches."""
    head: Literal["dense", "light"] = "dense"
    """Layers of a branch: two 3x3 convolutions and a third for the outputs (P2PNet, Sec. 3.4); or a depthwise
    separable one that all branches share, and two 1x1."""
    predict_sizes: bool = False
    """Whether a third branch predicts the side of each head's box, which the paper does not have."""
    threshold: Fraction = 0.5
    """Proposals with at least this score are people; calibrated on validation images by training."""
    gather: GatherConfig = GatherConfig()
    """How proposals that mean one head are made into one."""
    interval: IntervalConfig | None = None
    """Interval of the true count; None before it is calibrated."""


class MapConfig(Section):
    """What the networks that predict a map of the image have in common."""

    method: Literal["fidtm", "density"]
    """What the map shows."""
    regressor: Literal["hrnet-w48", "csrnet", "csrnet-fpn", "bl", "bl-fpn", "lite"] = "hrnet-w48"
    """The network (FIDTM, Table XIV), or our small one."""

    interval: IntervalConfig | None = None
    """Interval of the true count; None before it is calibrated."""

    @property
    def stride(self) -> int:
        """Input pixels per cell of the map: every pixel has its own."""
        return 1


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
    lmds: LMDSConfig = LMDSConfig()
    """How local maxima are found."""


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
    threshold: Fraction = 0.5
    """Without effect, since the integral is the count and its points all have a score of 1."""


ModelConfig = P2PNetConfig | FIDTMConfig | DensityConfig


class AssignmentConfig(Section):
    """Which proposal answers for which head (P2PNet, Sec. 3.3 and Eq. 3)."""

    strategy: Literal["one-to-one", "nearest-proposal", "nearest-head"] = "one-to-one"
    """Hungarian matching, or one of the two strategies that the paper rejects (Fig. 3)."""
    distance_weight: float = Field(0.05, gt=0)
    """tau, the cost of one pixel of distance against a score of one (P2PNet, Eq. 3)."""
    max_distance: float = Field(16.0, gt=0)
    """Pixels beyond which the two nearest strategies leave a proposal negative; unused by one-to-one."""


class LossConfig(Section):
    """The weights of the P2PNet loss (P2PNet, Eq. 4-6)."""

    background_weight: float = Field(0.5, gt=0)
    """lambda_1, the weight of negative proposals in the cross-entropy."""
    point_weight: float = Field(2e-4, gt=0)
    """lambda_2, the weight of the point loss."""
    point_norm: Literal["squared", "distance"] = "squared"
    """Squared Euclidean distance as in Eq. 5, or the distance itself, which outliers pull less."""
    divisor: Literal["proposals", "weights"] = "proposals"
    """What the sum of the cross-entropy is divided by: the number of proposals (Eq. 4), or the sum of their
    weights, as in the released code."""
    count_weight: float = Field(0.0, ge=0)
    """Weight of the error of the count in each block of a crop, which the paper does not have."""
    count_block: int = Field(64, ge=16)
    """Side in pixels of a block."""
    size_weight: float = Field(0.0, ge=0)
    """Weight of the error of the boxes' sides, where the data have boxes and the model predicts sizes."""


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


class DensityLossConfig(Section):
    """The weight of the density map's loss."""

    mse_weight: float = Field(1.0, gt=0)
    """Weight of the mean squared error over all pixels, in heads per 100 pixels."""


class DataConfig(Section):
    """One dataset to train on."""

    name: str
    """A dataset name, such as `shanghaitech-a`."""
    path: str = "."
    """Its folder, relative to the one of `--data`."""
    weight: float = Field(1.0, gt=0)
    """How often its images are drawn, against the other datasets' weights."""
    max_side: int | None = Field(None, ge=128)
    """Longer images are shrunk to this many pixels on the long side, None for no cap."""
    folds: int = Field(5, ge=2)
    """Into how many folds its training images fall in a cross-validation; drawn by `run.seed`."""
    fold: int | None = Field(None, ge=1)
    """The fold that is left out of training, from 1 on; None trains on all images."""

    @property
    def label(self) -> str:
        """How reports call it: its name, or the last part of its path where the name is `folder`."""
        return Path(self.path).name or self.name if self.name == "folder" else self.name

    @model_validator(mode="after")
    def _has_the_fold(self) -> Self:
        if self.fold and self.fold > self.folds:
            raise ValueError(f"fold: expected at most {self.folds}, as there are folds, found {self.fold}")
        return self


class AugmentConfig(Section):
    """How crops are drawn from a training image (P2PNet, Sec. 4.1)."""

    crop: int = Field(128, ge=32)
    """Side of a square crop in pixels."""
    crops_per_image: int = Field(4, ge=1)
    """Crops drawn from each image of a batch."""
    scale: tuple[float, float] = (0.7, 1.3)
    """Range of the random scale. A scale at which the short side falls below `crop` is raised within the
    range; a window that is still larger than the image is padded, right and below."""
    head_size: tuple[float, float] | None = None
    """Range in pixels that the box of a random head is scaled into, evenly on a log scale; takes the place of
    `scale` where the data have boxes."""
    flip: Fraction = 0.5
    """Chance of a left-right flip, drawn for each crop."""
    dense: Fraction = 0.0
    """Share of the crops centred near a random head, so that dense places are seen more often."""
    color: float = Field(0.0, ge=0, lt=1)
    """Strength of the random brightness, contrast and saturation changes."""
    gray: Fraction = 0.0
    """Chance that a crop loses its colours."""
    noise: Fraction = 0.0
    """Chance that a crop becomes noise with nobody on it, of its own or of random colours."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name, bounds in (("scale", self.scale), ("head_size", self.head_size)):
            if bounds and not 0 < bounds[0] <= bounds[1]:
                raise ValueError(f"{name}: expected 0 < low <= high")
        return self


class _Recipe(Section):
    """What the recipes of both methods have in common."""

    model: ModelConfig
    """The network."""
    data: tuple[DataConfig, ...] = Field(min_length=1)
    """The training data, drawn by weight."""
    augment: AugmentConfig = AugmentConfig()
    """Random crops."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimizer."""
    run: RunConfig
    """Length and bookkeeping."""

    def counted(self, images: int) -> Self:
        """The recipe with the steps that its epochs take with this many training images."""
        if self.run.steps:
            return self
        steps = -(-self.run.epochs * images // self.run.images)
        return self.model_copy(update={"run": self.run.model_copy(update={"steps": steps})})

    def calibrated(self, threshold: float, interval: IntervalConfig | None) -> Self:
        """The recipe whose model has this threshold and interval."""
        changes = {"threshold": threshold, "interval": interval}
        return self.model_copy(update={"model": self.model.model_copy(update=changes)})


class P2PNetRecipe(_Recipe):
    """A whole training of P2PNet: what `crowdpoint train` reads, and what a checkpoint keeps."""

    model: P2PNetConfig
    """The network."""
    assignment: AssignmentConfig = AssignmentConfig()
    """Targets of the proposals."""
    loss: LossConfig = LossConfig()
    """Weights of the loss terms."""


class FIDTMRecipe(_Recipe):
    """A whole training of FIDTM: what `crowdpoint train` reads, and what a checkpoint keeps."""

    model: FIDTMConfig
    """The network and its target."""
    loss: FIDTMLossConfig = FIDTMLossConfig()
    """Weights of the loss terms."""


class DensityRecipe(_Recipe):
    """A whole training of density regression: what `crowdpoint train` reads, and what a checkpoint keeps."""

    model: DensityConfig
    """The network and its target."""
    loss: DensityLossConfig = DensityLossConfig()
    """Weight of the loss."""


Recipe = P2PNetRecipe | FIDTMRecipe | DensityRecipe

METHODS: dict[str, type[P2PNetRecipe] | type[FIDTMRecipe] | type[DensityRecipe]] = {
    "p2pnet": P2PNetRecipe,
    "fidtm": FIDTMRecipe,
    "density": DensityRecipe,
}
"""Method -> its kind of recipe."""


def find_recipe(name: str | Path) -> Path:
    """The file of a recipe: a path, or the name of a shipped one with or without `.yaml`.

    Raises:
        ConfigError: if there is no such file; the message lists the shipped names.
    """
    path = Path(name)
    shipped = RECIPES / (path.name if path.suffix == ".yaml" else f"{path.name}.yaml")
    for candidate in (path, shipped):
        if candidate.is_file():
            return candidate
    names = ", ".join(sorted(recipe.stem for recipe in RECIPES.glob("*.yaml")))
    raise ConfigError(f"{name}: no such recipe; give a YAML file or one of: {names}")


def load_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Reads a recipe and applies `a.b=c` overrides, whose values are YAML.

    Raises:
        ConfigError: for a missing file, bad YAML, an unknown key or a value out of range, with the key.
    """
    found = find_recipe(path)
    try:
        values = yaml.safe_load(found.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # also impossible dates, endless numbers
        raise ConfigError(f"{found}: not a YAML file: {error}") from error
    return parse_recipe(values, str(found), overrides)


def parse_recipe(values: Any, source: str, overrides: Iterable[str] = ()) -> Recipe:
    """Validate the parsed YAML of a recipe after applying overrides.

    Raises:
        ConfigError: as `load_recipe`, naming `source`.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{source}: expected a mapping of sections, found {type(values).__name__}")
    overrides = tuple(overrides)
    _make_way_for_density(values, overrides)
    for override in overrides:
        apply(values, override)
    model = values.get("model")
    method = model.get("method") if isinstance(model, dict) else None
    if method not in METHODS:
        raise ConfigError(f"{source}: model.method: expected one of {', '.join(METHODS)}, found {method}")
    return validated(METHODS[method], values, source)


def _make_way_for_density(values: dict[str, Any], overrides: Iterable[str]) -> None:
    """Where overrides turn a FIDTM recipe into density regression, leaves what both have of its model."""
    sections = values.get("model"), settings(overrides).get("model")
    model, changed = (section if isinstance(section, dict) else {} for section in sections)
    if (model.get("method"), changed.get("method")) == ("fidtm", "density"):
        values["model"] = {key: model[key] for key in model if key in MapConfig.model_fields}
