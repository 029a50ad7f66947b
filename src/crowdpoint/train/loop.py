"""Training loop: setup, then steps with validation and checkpoints, over one resumable state.

Lightning Fabric runs it on a CPU, a GPU, several GPUs or several nodes (through torchrun).
"""

import atexit
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from crowdpoint import checkpoint
from crowdpoint.backbones.branches import watch
from crowdpoint.backbones.framing import ImageModel
from crowdpoint.datasets import Sample
from crowdpoint.errors import ConfigError, ModelError, TrainingError
from crowdpoint.interrupt import Interrupt, Stopped
from crowdpoint.methods import METHODS
from crowdpoint.predict import Predictor
from crowdpoint.predict.torch import TorchEngine, build, describe
from crowdpoint.recipe import IntervalConfig, Recipe
from crowdpoint.train import start
from crowdpoint.train.data import AnnotatedImages, Batch, Budget, CropBatches, load_batches, split
from crowdpoint.train.journal import Journal
from crowdpoint.train.optimization import build_optimizer, rate_factor, update_ema
from crowdpoint.train.validation import validate

PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


class TrainingRun:
    """State of a run.

    Attributes:
        images: the images of the run, which a resumed run compares.
        average: moving average of the network; None if the recipe has none.
        step: number of completed steps.
        validated: number of steps at the last validation.
        best: merit of the best validation so far.
        threshold, interval: the last calibrated ones.
    """

    def __init__(self, network: ImageModel, recipe: Recipe, images: start.Images, fabric: Fabric) -> None:
        self.network = network
        self.recipe = recipe
        self.images = images
        self.fabric = fabric
        self.method = METHODS[recipe.model.method]
        self.optimizer = build_optimizer(network, recipe.optimizer)
        self.average = None if recipe.optimizer.ema is None else deepcopy(network)
        self.step = self.validated = 0
        self.best = -math.inf
        self.threshold = recipe.model.threshold
        self.interval = recipe.model.interval

    @property
    def deployed(self) -> ImageModel:
        """Network to validate and save."""
        return self.average or self.network

    @property
    def is_validation_due(self) -> bool:
        """Whether the last step is to be validated, and has not been."""
        due = self.step == self.recipe.run.steps or self.step % self.recipe.run.validate_every == 0
        return due and self.validated < self.step

    def save(self, folder: Path, *, resumable: bool = False) -> None:
        """Write the deployed network with its calibrated threshold as a checkpoint."""
        recipe = self.recipe.update_calibration(self.threshold, self.interval)
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average and self.average.state_dict(),
            "images": self.images,
            "precision": self.fabric.strategy.precision.state_dict(),
            "generator": torch.get_rng_state(),
            "step": self.step,
            "validated": self.validated,
            "best": self.best,
            "threshold": self.threshold,
            "initial_threshold": self.recipe.model.threshold,
            "interval": self.interval and self.interval.model_dump(),
        }
        checkpoint.save(folder, self.deployed.state_dict(), recipe, state if resumable else None)

    def resume(self, folder: Path) -> None:
        """Restore the state of a checkpoint that `save` wrote for the same recipe and images.

        Raises:
            ModelError: if the checkpoint has no state, or that of another network or program.
            ConfigError: if its recipe differs in a key that affects the weights, or its images differ.
        """
        state = checkpoint.load_state(folder)
        try:
            start.require_same(self.recipe, self.images, state["images"], folder)
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average:
                self.average.load_state_dict(state["average"])
            self.fabric.strategy.precision.load_state_dict(state["precision"])
            torch.set_rng_state(state["generator"])
            self.step, self.best, self.threshold = state["step"], state["best"], state["threshold"]
            self.validated = state["validated"]
            self.interval = state["interval"] and IntervalConfig(**state["interval"])
            # The recipe of a checkpoint has the calibrated threshold; losses take the one of the first step.
            self.recipe = self.recipe.update_calibration(
                state["initial_threshold"], self.recipe.model.interval
            )
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise ModelError(f"{folder / checkpoint.STATE}: not the state of this run: {reason}") from error


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    weights: Path | None = None,
    backbone_weights: Path | None = None,
    resume: bool = False,
    accelerator: str = "auto",
    devices: int | None = None,
) -> None:
    """Train a network by a recipe. Writes `out/last`, `out/best` and logs.

    Args:
        recipe: recipe of the run.
        data: folder that the paths of the datasets are relative to.
        out: folder of the run.
        weights: checkpoint to start from, instead of an ImageNet backbone.
        backbone_weights: published ImageNet checkpoint of the backbone.
        resume: resume from `out/last`, which must have the same recipe and images.
        accelerator: `auto`, `cpu` or `cuda`, as in Fabric.
        devices: processes on this machine; by default, those of torchrun, or one per GPU, or one on a CPU.

    Raises:
        TrainingError: if the loss is not finite, with the images of the batch.
        ConfigError: if the recipe does not fit the processes, or the checkpoint to start or resume from.
        ModelError: if the initial weights or the state to resume are damaged or of another network.
        DatasetError: if a dataset is missing.
        FormatError: if an annotation cannot be read.
        ImageError: if an image cannot be read.
        StorageError: if a checkpoint cannot be written.
        Stopped: after a SIGINT or SIGTERM, when the current step is saved; a KeyboardInterrupt.
    """
    parts = [split(part, data, recipe.run) for part in recipe.data]
    recipe = recipe.resolve_steps(sum(len(kept) for kept, _ in parts))
    images = start.list_images(recipe, parts)
    for _, aside in parts:
        for sample in aside:
            sample.points()  # a fault in an annotation shows before the first step
    fabric = _launch(recipe, accelerator, devices)
    training, held_out = _create_sources(recipe, parts, fabric.world_size // _count_nodes())
    torch.manual_seed(recipe.run.seed)
    network = build(recipe.model)
    if weights and not resume:
        start.from_checkpoint(network, weights, verbose=fabric.is_global_zero)
    elif not resume:
        start.from_imagenet(network, backbone_weights, verbose=fabric.is_global_zero)
    network.freeze(recipe.optimizer.frozen)
    network.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = TrainingRun(network, recipe, images, fabric)
    if resume:
        run.resume(out / "last")
    batches = CropBatches(training, recipe, fabric.global_rank, fabric.world_size)
    with (
        Journal(out, recipe, first=run.step, active=fabric.is_global_zero) as journal,
        Interrupt() as interrupt,
    ):
        if resume:
            journal.log(f"resumes from {out / 'last'} after step {run.step}/{recipe.run.steps}")
        if recipe.run.protocol == "paper":
            judging = len(images["validation"])
            journal.log(f"protocol paper: {judging} validation images select the best step, by MAE")
        _fit(run, load_batches(batches, run.step), held_out, out, journal, interrupt)


def _fit(
    run: TrainingRun,
    batches: Iterable[Batch],
    held_out: list[AnnotatedImages],
    out: Path,
    journal: Journal,
    interrupt: Interrupt,
) -> None:
    fabric, config = run.fabric, run.recipe.run
    run.network.train()
    module, stepper = fabric.setup(run.network, run.optimizer)
    module.mark_forward_method("raw")
    stopped = beyond = 0
    most = run.method.most_heads(run.recipe.model, run.recipe.augment.crop)
    if fabric.is_global_zero and run.is_validation_due:  # it failed when the run stopped
        _validate(run, held_out, out, journal)
        run.save(out / "last", resumable=True)

    def following() -> Iterator[Batch]:
        with _saved_on_failure(run, out, journal):
            yield from batches

    for batch in following():
        losses = _run_step(run, module, stepper, batch)
        crowds = [count for count in batch.counts if count > most]
        if crowds and not beyond:
            journal.log(
                f"a crop of {batch.names[batch.counts.index(crowds[0])]} has {crowds[0]} heads and {most} "
                "proposals: the heads beyond have none; raise model.points_per_cell, or lower model.stride"
            )
        beyond += sum(count - int(most) for count in crowds)
        journal.step(run.step, losses, run.optimizer.param_groups[-1]["lr"])
        if fabric.is_global_zero and run.is_validation_due:
            with _saved_on_failure(run, out, journal):
                _validate(run, held_out, out, journal)
        last = run.step == config.steps
        # Processes record a signal in different steps, and must stop in the same one.
        pending = torch.tensor(float(interrupt.pending))
        stopped = int(cast(Tensor, fabric.all_reduce(pending, reduce_op="max")))
        if fabric.is_global_zero and (last or stopped or run.step % config.checkpoint_every == 0):
            run.save(out / "last", resumable=True)
        if stopped:
            break
    if beyond:
        journal.log(f"{beyond} heads of the crops had no proposal")
    fabric.barrier()  # else the launcher would end the first process while it saves
    if stopped:
        raise Stopped(stopped)


@contextmanager
def _saved_on_failure(run: TrainingRun, out: Path, journal: Journal) -> Iterator[None]:
    """Save the completed steps before an error between them, such as that of a damaged image."""
    try:
        yield
    except Exception:
        if run.step and run.fabric.is_global_zero:
            run.save(out / "last", resumable=True)
            journal.log(f"step {run.step} is saved in {out / 'last'}, to resume from")
        raise


def _run_step(run: TrainingRun, module: Any, stepper: Any, batch: Batch) -> dict[str, float]:
    fabric, config = run.fabric, run.recipe.optimizer
    for group in run.optimizer.param_groups:
        group["lr"] = group["rate"] * rate_factor(run.step, config, run.recipe.run.steps)
    images = batch.images.to(fabric.device).to(torch.float32, memory_format=torch.channels_last)
    with fabric.autocast():  # on a single device, Fabric applies it to `forward` only
        outputs = module.raw(images)
    _require_finite(outputs._asdict(), batch, run.step)

    def mean(count: Tensor) -> Tensor:
        return cast(Tensor, fabric.all_reduce(count.clone(), reduce_op="mean"))  # it works in place

    terms = run.method.loss(outputs, batch.heads(), batch.image_borders(), run.recipe, mean)
    _require_finite(terms, batch, run.step)
    fabric.backward(torch.stack(list(terms.values())).sum())
    norm = fabric.clip_gradients(module, stepper, max_norm=config.clip or math.inf, error_if_nonfinite=False)
    if norm is not None and run.recipe.run.precision != "fp16":  # its scaler skips gradients that overflow
        _require_finite({"gradient": norm}, batch, run.step)
    stepper.step()
    stepper.zero_grad()
    if run.average and config.ema:
        update_ema(run.average, run.network, config.ema, run.step)
    run.step += 1
    return {name: term.item() for name, term in terms.items()}


def _require_finite(values: Mapping[str, Tensor | None], batch: Batch, step: int) -> None:
    """Check that values are finite; None is an output that the network does not have."""
    for name, value in values.items():
        if value is not None and not value.isfinite().all():
            raise TrainingError(
                f"{name} is not finite at step {step + 1}; lower optimizer.rate, or look at the images of "
                f"the batch: {', '.join(sorted(set(batch.names)))}"
            )


def _validate(run: TrainingRun, held_out: list[AnnotatedImages], out: Path, journal: Journal) -> None:
    recipe = run.recipe
    engine = TorchEngine(run.deployed, describe(run.deployed, recipe, out.name))
    threshold = None if recipe.run.calibrate else recipe.model.threshold
    with watch(run.deployed.branches()) as activity:
        validation = validate(Predictor(engine), held_out, threshold)
    validation = replace(validation, activity=activity)
    run.threshold, run.interval = validation.threshold, validation.interval
    journal.validation(run.step, validation)
    if run.best == -math.inf and not any(validation.heads.values()):
        journal.log("the validation images show nobody: the best step has the fewest false positives")
    merit = validation.merit if recipe.run.protocol == "held-out" else -validation.mae
    if merit > run.best:
        run.save(out / "best")
        run.best = merit
    run.validated = run.step


def _launch(recipe: Recipe, accelerator: str, devices: int | None) -> Fabric:
    if recipe.run.precision == "fp16" and (accelerator == "cpu" or not torch.cuda.is_available()):
        raise ConfigError("run.precision: fp16 needs a CUDA device; on a CPU take fp32 or bf16")
    processes = devices or int(os.environ.get("LOCAL_WORLD_SIZE", "0"))  # torchrun sets it, and the nodes
    try:
        fabric = Fabric(
            accelerator=accelerator,
            devices=processes or ("auto" if accelerator != "cpu" else 1),
            num_nodes=_count_nodes(),
            precision=PRECISION[recipe.run.precision],  # type: ignore[arg-type]
        )
    except (RuntimeError, ValueError, MisconfigurationException) as error:
        raise ConfigError(f"accelerator {accelerator}, {processes or 'all'} devices: {error}") from error
    fabric.launch()
    if torch.distributed.is_available():
        atexit.register(_disband)
    if recipe.run.images % fabric.world_size:
        raise ConfigError(
            f"run.images: {recipe.run.images} images cannot be split over {fabric.world_size} processes"
        )
    return fabric


def _disband() -> None:
    """End the process group, whose threads would abort the process at its exit."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _count_nodes() -> int:
    return int(os.environ.get("GROUP_WORLD_SIZE", "1"))  # torchrun sets it


def _create_sources(
    recipe: Recipe, parts: Sequence[tuple[list[Sample], list[Sample]]], processes: int
) -> tuple[list[AnnotatedImages], list[AnnotatedImages]]:
    budget = Budget(int(recipe.run.cache * 2**30 / (processes * (recipe.run.workers + 1))))
    training, held_out = [], []
    for data, (kept, aside) in zip(recipe.data, parts, strict=True):
        training.append(AnnotatedImages(kept, data, budget))
        held_out.append(AnnotatedImages(aside, data, budget))
    return training, held_out
