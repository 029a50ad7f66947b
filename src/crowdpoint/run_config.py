"""How a recipe's network is trained: the optimizer, and the length and bookkeeping of the run."""

from typing import Literal, Self

from pydantic import Field, model_validator

from crowdpoint.sections import Section


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
