"""Sections of a recipe that all methods share: data, crops, optimizer and run. Imports no torch."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from crowdpoint.errors import ConfigError
from crowdpoint.overrides import settings
from crowdpoint.sections import Fraction, Section, validate


class IntervalConfig(Section):
    """Bounds of the true count, in units of the uncertainty of the scores; calibrated by training."""

    below: float = Field(ge=0)
    """Units below the predicted count."""
    above: float = Field(ge=0)
    """Units above the predicted count."""


class ScalesConfig(Section):
    """Working scales of a model that predicts head sizes; see `crowdpoint.predict.looks`."""

    small: float = Field(9.0, gt=0)
    """Regions whose heads have a smaller median side in pixels are predicted again, enlarged."""
    reduced: float = Field(0.35, gt=0, lt=1)
    """Scale of the pass for large heads, as a part of the first one's."""
    sure: Fraction = 0.1
    """Minimum score of the heads that choose scales and are compared between passes."""
    confirmation: Fraction = 0.0
    """Weight of the score that another pass gives to a head whose size it knows."""


class ModelConfig(Section):
    """Configuration of a network and its decoder. Each method has a subclass."""

    method: str
    """Name of the method."""
    threshold: Fraction = 0.5
    """Minimum score of a point, for methods that locate. Training calibrates it on validation images."""
    interval: IntervalConfig | None = None
    """Interval of the true count; None before it is calibrated."""
    scales: ScalesConfig = ScalesConfig()
    """Working scales, for models that predict head sizes."""

    decoder: ClassVar[str | None] = None
    """Field of the decoder's settings, which a prediction may change; None without a decoder."""

    def override(self, overrides: Iterable[str], source: str) -> Self:
        """Change settings of the decoder; the interval, calibrated with the former ones, is None then."""
        values = settings(overrides)
        section = getattr(self, self.decoder) if self.decoder else None
        known = type(section).model_fields if section else ()
        if unknown := ", ".join(key for key in values if key not in known):
            there = f"there are {', '.join(known)}" if known else f"{self.method} has none"
            raise ConfigError(f"{source}: no such setting: {unknown}; {there}")
        if not section or not self.decoder:
            return self
        changed = validate(type(section), section.model_dump() | values, source)
        if changed == section:
            return self
        return self.model_copy(update={self.decoder: changed, "interval": None})


class DataConfig(Section):
    """Dataset to train on."""

    name: str
    """Dataset name, such as `shanghaitech-a`."""
    path: str = "."
    """Folder of the dataset, relative to `--data`."""
    classes: tuple[str, ...] = ()
    """Classes of annotations to read from a `folder`, such as `[head, face]`; all by default."""
    weight: float = Field(1.0, gt=0)
    """Relative frequency of its images in batches, compared with the weights of the other datasets."""
    max_side: int | None = Field(None, ge=128)
    """Maximum long side in pixels; longer images are shrunk. None for no limit."""
    folds: int = Field(5, ge=2)
    """Number of cross-validation folds of its training images, drawn with `run.seed`."""
    fold: int | None = Field(None, ge=1)
    """Number of the fold to leave out of training, from 1; None to train on all images."""

    @property
    def label(self) -> str:
        """Name in reports: the dataset name, or the last part of the path if the name is `folder`."""
        return Path(self.path).name or self.name if self.name == "folder" else self.name

    @model_validator(mode="after")
    def _has_the_fold(self) -> Self:
        if self.fold and self.fold > self.folds:
            raise ValueError(f"fold: expected at most {self.folds}, as there are folds, found {self.fold}")
        return self


class AugmentConfig(Section):
    """Random crops of training images (P2PNet, Sec. 4.1)."""

    crop: int = Field(128, ge=32)
    """Side of a square crop in pixels."""
    crops_per_image: int = Field(4, ge=1)
    """Crops drawn from each image of a batch."""
    scale: tuple[float, float] = (0.7, 1.3)
    """Range of the random scale. A scale that makes the short side smaller than `crop` is raised within the
    range. If the window is still larger than the image, it is padded right and below."""
    head_size: tuple[float, float] | None = None
    """Range in pixels of the box side of a random head after scaling, log-uniform. Replaces `scale` for data
    with boxes; the scale of a small image is raised within it, too."""
    stretch: float = Field(1.0, ge=1, le=2)
    """Largest ratio of the scales along x and y, log-uniform in both directions."""
    flip: Fraction = 0.5
    """Probability of a left-right flip of a crop."""
    dense: Fraction = 0.0
    """Fraction of crops that contain a random head, which samples dense regions more often."""
    color: float = Field(0.0, ge=0, lt=1)
    """Maximum relative change of brightness, contrast and saturation."""
    tone: float = Field(0.0, ge=0, le=1)
    """Strength of random tone curves: the logarithm of a crop's gamma, and a third of it for each channel."""
    gray: Fraction = 0.0
    """Probability of converting a crop to grey."""
    degrade: Fraction = 0.0
    """Probability of degrading a crop by blur, sensor noise or JPEG compression."""
    noise: Fraction = 0.0
    """Probability of replacing a crop by noise without people, in its own or random colours."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        for name, bounds in (("scale", self.scale), ("head_size", self.head_size)):
            if bounds and not 0 < bounds[0] <= bounds[1]:
                raise ValueError(f"{name}: expected 0 < low <= high")
        return self


class OptimizerConfig(Section):
    """Optimizer and its schedule."""

    name: Literal["adam", "adamw"] = "adam"
    """Adam, or Adam with decoupled weight decay."""
    rate: float = Field(1e-4, gt=0)
    """Learning rate of all parameters outside the backbone."""
    backbone_rate: float = Field(1e-5, gt=0)
    """Learning rate of the pretrained backbone."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of convolution weights; biases and norms do not decay."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate after warm-up: constant, or decreasing to zero along half a cosine."""
    warmup: int = Field(0, ge=0)
    """Steps of linear warm-up from zero."""
    clip: float | None = Field(0.1, gt=0)
    """Maximum norm of the whole gradient; None for no clipping."""
    ema: float | None = Field(None, gt=0, lt=1)
    """Decay of the exponential moving average of the weights; None for no average."""
    frozen: tuple[str, ...] = ()
    """Modules whose weights and statistics are frozen, by name or pattern: `backbone._blocks.0`, `*._bn?`."""


class RunConfig(Section):
    """Length, precision, validation and checkpoints of a run."""

    steps: int = Field(0, ge=0)
    """Optimizer steps; 0 to derive them from `epochs`."""
    epochs: int = Field(0, ge=0)
    """Passes over all training images, if `steps` is 0."""
    images: int = Field(8, ge=1)
    """Batch size in images, over all processes."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Number format of the dense convolutions; master weights stay fp32. fp16 needs CUDA."""
    seed: int = Field(0, ge=0, le=10**18)
    """Random seed of the split, the crops and the initial weights."""
    protocol: Literal["held-out", "paper"] = "held-out"
    """Selection of the best step: on held-out training images; or, as in the papers' code, by MAE on the
    dataset's `val` split, or its test split if it has none, with all training images used for training."""
    held_out: float = Field(0.1, gt=0, lt=1)
    """Fraction of the training images held out for validation, if a dataset has no `val` split."""
    sampling: Literal["random", "passes"] = "random"
    """Sampling of images: randomly by the weights of the datasets, or each image once per epoch regardless of
    the weights."""
    calibrate: bool = True
    """Calibrate `model.threshold` on validation images. The papers use fixed thresholds, 0.5 and 100/255."""
    validate_every: int = Field(500, ge=1)
    """Steps between validations."""
    checkpoint_every: int = Field(500, ge=1)
    """Steps between checkpoints."""
    workers: int = Field(1, ge=0)
    """Processes that prepare batches; 0 to prepare them in the training process."""
    cache: float = Field(8.0, ge=0)
    """Memory in GiB for decoded images, over all processes of a machine."""
    loggers: tuple[Literal["wandb", "mlflow"], ...] = ()
    """Trackers that record the run, beside `log.csv` and TensorBoard: Weights & Biases, MLflow."""

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if not self.steps + self.epochs:
            raise ValueError("expected steps or epochs above 0")
        return self


class Recipe(Section):
    """Configuration of a training run, as `crowdpoint train` reads it and checkpoints store it."""

    model: ModelConfig
    """Network and decoder."""
    data: tuple[DataConfig, ...] = Field(min_length=1)
    """Training datasets, sampled by weight."""
    augment: AugmentConfig = AugmentConfig()
    """Random crops."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimizer and schedule."""
    run: RunConfig
    """Length, validation and checkpoints."""

    @model_validator(mode="after")
    def _has_labels_of_its_own(self) -> Self:
        paths: dict[str, str] = {}
        for part in self.data:
            path = os.path.normpath(part.path)  # a/b as ./a/b/
            if paths.setdefault(part.label, path) != path:
                raise ValueError(
                    f"data: {paths[part.label]} and {part.path} are both called {part.label} in reports; "
                    "rename a folder"
                )
        return self

    def resolve_steps(self, images: int) -> Self:
        """Return the recipe with its epochs converted to steps, given the number of training images."""
        if self.run.steps:
            return self
        steps = -(-self.run.epochs * images // self.run.images)
        return self.model_copy(update={"run": self.run.model_copy(update={"steps": steps})})

    def update_calibration(self, threshold: float, interval: IntervalConfig | None) -> Self:
        """Return the recipe with this threshold and interval of its model."""
        changes = {"threshold": threshold, "interval": interval}
        return self.model_copy(update={"model": self.model.model_copy(update=changes)})
