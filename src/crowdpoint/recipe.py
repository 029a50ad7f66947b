"""The parts of a recipe that every method has: data, crops, optimizer and run; the base of the others.

Torch-free, so that a recipe can be read and checked anywhere.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from crowdpoint.errors import ConfigError
from crowdpoint.overrides import settings
from crowdpoint.sections import Fraction, Section, validated


class IntervalConfig(Section):
    """Bounds of the true count, in units of what the scores lack to certainty; calibrated by training."""

    below: float = Field(ge=0)
    """Units below the predicted count."""
    above: float = Field(ge=0)
    """Units above the predicted count."""


class ModelConfig(Section):
    """The configuration of a network and of how its outputs become points; each method has its own."""

    method: str
    """Name of the method, which tells one method's configuration from another's."""
    threshold: Fraction = 0.5
    """Least score of a point, for methods that locate; calibrated on validation images by training."""
    interval: IntervalConfig | None = None
    """Interval of the true count; None before it is calibrated."""

    decoder: ClassVar[str | None] = None
    """The field that holds how points are found, which a prediction may change."""

    def changed(self, overrides: Iterable[str], source: str) -> Self:
        """Change how points are found.

        Args:
            overrides: `key=value` texts for fields of the section that `decoder` names, such as `kernel=5`.
            source: the model's name, to begin an error message with.

        Raises:
            ConfigError: for a setting that there is not, or a value out of range.
        """
        values = settings(overrides)
        section = getattr(self, self.decoder) if self.decoder else None
        known = type(section).model_fields if section else ()
        if unknown := ", ".join(key for key in values if key not in known):
            there = f"there are {', '.join(known)}" if known else f"{self.method} has none"
            raise ConfigError(f"{source}: no such setting: {unknown}; {there}")
        if not section or not self.decoder:
            return self
        changed = validated(type(section), section.model_dump() | values, source)
        return self.model_copy(update={self.decoder: changed})


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


class OptimizerConfig(Section):
    """The optimizer and its schedule."""

    name: Literal["adam", "adamw"] = "adam"
    """Adam, or Adam with decoupled weight decay."""
    rate: float = Field(1e-4, gt=0)
    """Learning rate of everything but the backbone."""
    backbone_rate: float = Field(1e-5, gt=0)
    """Learning rate of the pretrained backbone."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of convolution weights; biases and norms have none."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How the rate goes on after warm-up: level, or down to zero along half a cosine."""
    warmup: int = Field(0, ge=0)
    """Steps over which the rate climbs linearly from zero."""
    clip: float | None = Field(0.1, gt=0)
    """Largest norm of the whole gradient, None for no clipping."""
    ema: float | None = Field(None, gt=0, lt=1)
    """Decay of the exponential moving average of the weights, None for no average."""
    frozen: tuple[str, ...] = ()
    """Parts that keep weights and statistics, by name or pattern: `backbone._blocks.0`, `*._bn?`."""


class RunConfig(Section):
    """Length, precision and bookkeeping of a run."""

    steps: int = Field(0, ge=0)
    """Optimizer steps; 0 for as many as `epochs` take."""
    epochs: int = Field(0, ge=0)
    """Passes over all training images, where `steps` is 0."""
    images: int = Field(8, ge=1)
    """Images in a batch, over all processes."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Number format of the dense convolutions, fp16 on CUDA alone; master weights stay fp32."""
    seed: int = 0
    """Seed of the split, the crops and the initial weights."""
    protocol: Literal["held-out", "paper"] = "held-out"
    """Which images choose the best step: held-out training images, or, as in the papers' code, the dataset's
    `val` or else its test split, by MAE, while all training images train."""
    held_out: float = Field(0.1, gt=0, lt=1)
    """Part of the training images that is held out to validate, where a dataset has no split `val`."""
    sampling: Literal["random", "passes"] = "random"
    """Whether each image of a batch is drawn from all, by the datasets' weights, or all images come once in
    each epoch, whatever the weights."""
    calibrate: bool = True
    """Whether validation sets `model.threshold`; the papers keep theirs, 0.5 and 100/255."""
    validate_every: int = Field(500, ge=1)
    """Steps between validations."""
    checkpoint_every: int = Field(500, ge=1)
    """Steps between checkpoints."""
    workers: int = Field(1, ge=0)
    """Processes that prepare batches; 0 prepares them in the training process."""
    cache: float = Field(8.0, ge=0)
    """GiB of decoded images to keep in memory, over all processes of a machine."""

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if not self.steps + self.epochs:
            raise ValueError("expected steps or epochs above 0")
        return self


class Recipe(Section):
    """A whole training: what `crowdpoint train` reads, and what a checkpoint keeps."""

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
