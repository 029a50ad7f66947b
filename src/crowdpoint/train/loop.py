"""The training loop: setup, then steps with validation and checkpoints, over one resumable state.

Lightning Fabric places the work on a CPU, a GPU, several GPUs or several nodes (through torchrun).
"""

import math
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from crowdpoint import datasets
from crowdpoint.config import OptimizerConfig, Recipe
from crowdpoint.errors import ConfigError, ModelError, TrainingError
from crowdpoint.nn.efficientnet import imagenet_weights
from crowdpoint.nn.engine import TorchEngine, build, describe, load_network
from crowdpoint.nn.losses import p2pnet_loss
from crowdpoint.nn.p2pnet import P2PNet
from crowdpoint.predict import Predictor
from crowdpoint.train import checkpoint
from crowdpoint.train.data import Annotated, Batch, CropBatches, loader
from crowdpoint.train.journal import Journal
from crowdpoint.train.validation import validate

CACHE = 8 << 30
"""Bytes of decoded pixels that are kept over all datasets and workers."""

PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


@dataclass
class Run:
    """What a run carries from step to step, and what a checkpoint keeps of it.

    Attributes:
        network: the network that is trained.
        optimizer: its optimizer.
        average: the moving average of the weights, where the recipe asks for one.
        step: steps done.
        best: merit of the best validation so far.
        threshold: the last calibrated threshold.
    """

    network: P2PNet
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    step: int = 0
    best: float = -math.inf
    threshold: float = field(default=0.5)

    @property
    def deployed(self) -> P2PNet:
        """The network that is validated and shipped."""
        return self.network if self.average is None else self.average.module  # type: ignore[return-value]

    def state(self) -> dict[str, Any]:
        """Everything that resuming needs, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "generator": torch.get_rng_state(),
            "step": self.step,
            "best": self.best,
            "threshold": self.threshold,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes up the state of a checkpoint."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        torch.set_rng_state(state["generator"])
        self.step, self.best, self.threshold = state["step"], state["best"], state["threshold"]


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    start: Path | None = None,
    backbone_weights: Path | None = None,
    resume: bool = False,
    accelerator: str = "auto",
    devices: int | None = None,
) -> None:
    """Trains a network by a recipe and leaves `out/last`, `out/best` and the logs.

    Args:
        recipe: what to do.
        data: the folder that holds the datasets, or the one dataset.
        out: the folder of the run.
        start: a checkpoint whose weights to start from, instead of ImageNet's.
        backbone_weights: torchvision's checkpoint of a VGG16 backbone.
        resume: go on from `out/last`, which must have the same recipe.
        accelerator: `auto`, `cpu` or `cuda`, as Fabric takes it.
        devices: processes on this machine; under torchrun as many as it started.

    Raises:
        TrainingError: if the loss is not finite; the message names the images of the batch.
        ConfigError: if the recipe does not fit the processes, or the checkpoint to resume.
        DatasetError: if a dataset is not there.
    """
    devices = devices or int(os.environ.get("LOCAL_WORLD_SIZE", "0")) or ("auto" if accelerator != "cpu" else 1)
    fabric = Fabric(accelerator=accelerator, devices=devices, precision=PRECISION[recipe.run.precision])
    fabric.launch()
    if recipe.run.images % fabric.world_size:
        raise ConfigError(
            f"run.images: {recipe.run.images} images cannot be split over {fabric.world_size} processes"
        )
    fabric.seed_everything(recipe.run.seed, verbose=False)
    network = _started(recipe, start) if start else _fresh(recipe, backbone_weights)
    run = _run(network, recipe)
    run.threshold = recipe.model.threshold
    if resume:
        _resume(run, recipe, out)
    train_data, held_out = _sources(recipe, data)
    batches = CropBatches(train_data, recipe, fabric.global_rank, fabric.world_size)
    with Journal(out, recipe, first=run.step, active=fabric.is_global_zero) as journal:
        _fit(fabric, run, recipe, loader(batches, run.step), held_out, out, journal)


def _fit(
    fabric: Fabric,
    run: Run,
    recipe: Recipe,
    batches: Iterable[Batch],
    held_out: list[Annotated],
    out: Path,
    journal: Journal,
) -> None:
    """Runs the remaining steps; an interrupt leaves a checkpoint of the last whole step."""
    run.network.train()
    module, optimizer = fabric.setup(run.network, run.optimizer)
    module.mark_forward_method("proposals")
    try:
        for batch in batches:
            losses = _step(fabric, module, optimizer, batch, run, recipe)
            run.step += 1
            journal.step(run.step, losses, optimizer.param_groups[-1]["lr"])
            last = run.step == recipe.run.steps
            if fabric.is_global_zero and (last or run.step % recipe.run.validate_every == 0):
                _validate(run, recipe, held_out, out, journal)
            if last or run.step % recipe.run.checkpoint_every == 0:
                _save(fabric, run, recipe, out)
    except KeyboardInterrupt:
        _save(fabric, run, recipe, out)
        raise


def _step(
    fabric: Fabric, module: Any, optimizer: Any, batch: Batch, run: Run, recipe: Recipe
) -> dict[str, float]:
    """One optimizer step; the weighted terms of the loss."""
    images = batch.images.to(fabric.device, torch.float32, memory_format=torch.channels_last)
    heads = [points.to(fabric.device) for points in batch.heads]
    terms = p2pnet_loss(module.proposals(images), heads, recipe.loss, recipe.assignment)
    values = {name: term.item() for name, term in terms.items()}
    if not all(math.isfinite(value) for value in values.values()):
        names = "\n  ".join(sorted(set(batch.names)))
        raise TrainingError(
            f"the loss is not finite at step {run.step + 1}: {values}; the batch has crops of\n  {names}\n"
            "lower optimizer.rate, or look at these images"
        )
    factor = rate_factor(run.step, recipe.optimizer, recipe.run.steps)
    for group in optimizer.param_groups:
        group["lr"] = group["rate"] * factor
    fabric.backward(torch.stack(list(terms.values())).sum())
    if recipe.optimizer.clip is not None:
        fabric.clip_gradients(module, optimizer, max_norm=recipe.optimizer.clip)
    optimizer.step()
    optimizer.zero_grad()
    if run.average is not None:
        run.average.update_parameters(run.network)
    return values


def rate_factor(step: int, config: OptimizerConfig, steps: int) -> float:
    """The part of the full learning rate at a step counted from 0: warm-up, then the schedule."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    if config.schedule == "constant":
        return 1.0
    progress = (step - config.warmup) / max(1, steps - config.warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))


def parameter_groups(network: P2PNet, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Four groups: backbone and the rest, each with weight decay for convolutions and none for others."""
    groups = []
    for name, rate in (("backbone", config.backbone_rate), ("rest", config.rate)):
        parameters = [
            parameter
            for key, parameter in network.named_parameters()
            if key.startswith("backbone.") == (name == "backbone")
        ]
        for decayed in (True, False):
            chosen = [parameter for parameter in parameters if (parameter.ndim > 1) == decayed]
            decay = config.weight_decay if decayed else 0.0
            groups.append({"params": chosen, "lr": rate, "rate": rate, "weight_decay": decay})
    return groups


def _run(network: P2PNet, recipe: Recipe) -> Run:
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    kind = torch.optim.Adam if recipe.optimizer.name == "adam" else torch.optim.AdamW
    optimizer = kind(parameter_groups(network, recipe.optimizer))
    decay = recipe.optimizer.ema
    average = None
    if decay is not None:
        average = AveragedModel(network, avg_fn=_ema(decay), use_buffers=True)
    return Run(network, optimizer, average)


def _ema(decay: float) -> Any:
    """An average that follows closely at first, so that the initial weights are soon forgotten."""

    def update(average: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        if not average.is_floating_point():
            return current
        weight = min(decay, (1 + float(count)) / (10 + float(count)))
        return average.lerp(current, 1 - weight)

    return update


def _fresh(recipe: Recipe, backbone_weights: Path | None) -> P2PNet:
    """A new network on ImageNet features; on random ones, with a warning, where there are none."""
    network = build(recipe.model)
    if backbone_weights is None and recipe.model.backbone == "efficientnet-lite0":
        backbone_weights = imagenet_weights()
    if backbone_weights is None:
        warnings.warn(
            f"{recipe.model.backbone} starts from random weights; "
            "give torchvision's ImageNet checkpoint with --backbone-weights",
            stacklevel=2,
        )
        return network
    try:
        state = torch.load(backbone_weights, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a file that is not a checkpoint
        raise ModelError(f"{backbone_weights}: not a torch state dict: {error}") from error
    network.backbone.load_imagenet(state)
    return network


def _started(recipe: Recipe, start: Path) -> P2PNet:
    network, made_by = load_network(start)
    ours, theirs = recipe.model.model_dump(), made_by.model.model_dump()
    if differing := [key for key in ours if key != "threshold" and ours[key] != theirs.get(key)]:
        raise ConfigError(f"{start}: its network differs from the recipe's in {', '.join(differing)}")
    return network


def _resume(run: Run, recipe: Recipe, out: Path) -> None:
    _, made_by = checkpoint.load(out / "last")
    ours, theirs = recipe.model_dump(), made_by.model_dump()
    theirs["model"]["threshold"] = ours["model"]["threshold"]  # calibrated by the run itself
    if differing := [section for section in ours if ours[section] != theirs[section]]:
        raise ConfigError(
            f"{out}: cannot resume, the recipe differs from the run's in {', '.join(differing)}; "
            f"give {out / 'last' / checkpoint.CONFIG} as the recipe, or start a new run with --from"
        )
    run.restore(checkpoint.load_state(out / "last"))


def _sources(recipe: Recipe, root: Path) -> tuple[list[Annotated], list[Annotated]]:
    """Training and held-out images of every dataset; the cache is shared out evenly."""
    training, held_out = [], []
    budget = CACHE // (len(recipe.data) * max(1, recipe.run.workers))
    for data in recipe.data:
        kept, aside = datasets.holdout(datasets.load(data.name, root, "train"), seed=recipe.run.seed)
        training.append(Annotated(kept, data, budget))
        held_out.append(Annotated(aside, data, budget))
    return training, held_out


def _validate(run: Run, recipe: Recipe, held_out: list[Annotated], out: Path, journal: Journal) -> None:
    info = describe(run.deployed, recipe, out.name)
    threshold = None if recipe.run.calibrate else recipe.model.threshold
    validation = validate(Predictor(TorchEngine(run.deployed, info)), held_out, threshold)
    run.threshold = validation.threshold
    journal.validation(run.step, validation)
    if validation.merit > run.best:
        run.best = validation.merit
        checkpoint.save(out / "best", run.deployed.state_dict(), _calibrated(recipe, run))


def _save(fabric: Fabric, run: Run, recipe: Recipe, out: Path) -> None:
    if fabric.is_global_zero:
        checkpoint.save(out / "last", run.deployed.state_dict(), _calibrated(recipe, run), run.state())
    fabric.barrier()


def _calibrated(recipe: Recipe, run: Run) -> Recipe:
    """The recipe with the threshold that validation found."""
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"threshold": run.threshold})})
