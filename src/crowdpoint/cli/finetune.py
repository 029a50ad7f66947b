"""`crowdpoint finetune`: adapt a model to a few annotated photos of one kind."""

import logging
import shlex
from pathlib import Path
from typing import Annotated

import typer

from crowdpoint import zoo
from crowdpoint.cli import options
from crowdpoint.cli.runs import open_run, require_one_dataset
from crowdpoint.console import print_table
from crowdpoint.errors import requires
from crowdpoint.evaluation import evaluate
from crowdpoint.metrics import Report
from crowdpoint.predict import Predictor
from crowdpoint.predict.interval import FEWEST
from crowdpoint.recipe import Recipe
from crowdpoint.report.tables import format_metric

_log = logging.getLogger(__name__)


def finetune(
    model: Annotated[str, typer.Argument(help=options.CHECKPOINT_HELP)],
    data: Annotated[Path, typer.Option(help="The folder of annotated photos.", exists=True, file_okay=False)],
    dataset: Annotated[
        str | None, typer.Option(help="The layout of the folder, such as shanghaitech-a. [default: folder]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of a new run. [default: runs/MODEL-tuned]", file_okay=False)
    ] = None,
    set_: options.Overrides = None,
    resume: Annotated[
        Path | None, typer.Option(help="Folder of an interrupted fine-tune to continue.")
    ] = None,
    accelerator: options.Accelerator = "auto",
) -> None:
    """Fine-tune a model on a few annotated photos, in minutes, and compare its metrics before and after.

    A fifth of the photos validates and does not train. The backbone keeps its weights.
    """
    with requires("training", "train"):
        from crowdpoint import checkpoint
        from crowdpoint.train import finetuning
        from crowdpoint.train.data import split
        from crowdpoint.train.loop import train

    if resume and (out or set_ or dataset):
        raise typer.BadParameter(
            "--resume continues in its own folder with its own recipe; leave out --out, --set and --dataset"
        )
    weights = zoo.find_checkpoint(model)
    named = weights.parent if weights.name in ("best", "last") else weights  # the run, if there is one
    run = resume or out or Path("runs") / f"{zoo.name_weights(named)}-tuned"
    before = Predictor.load(model)
    command = shlex.join(["crowdpoint", "finetune", model, "--data", str(data)])
    with open_run(run, f": {command}", resume):
        if resume:
            recipe = finetuning.load_plan(run, weights)
        else:
            _, own_recipe = checkpoint.load(weights)
            recipe = finetuning.plan(own_recipe, before, dataset or "folder", data, set_ or ())
        part = require_one_dataset(recipe, "finetune", "fine-tune on")
        training, validating = split(part, data, recipe.run)
        _log.info(_describe_plan(recipe, len(training), len(validating)))
        resumed = resume is not None
        train(recipe, data, run, weights=weights, resume=resumed, accelerator=accelerator, devices=1)
    after = Predictor.load(run / "best")
    _print_comparison(*(evaluate(one, validating, part.name).report for one in (before, after)))
    limit = f" --max-side {part.max_side}" if part.max_side else ""
    _log.info(f"count with it: crowdpoint predict PHOTO --model {shlex.quote(str(run / 'best'))}{limit}")


def _describe_plan(recipe: Recipe, training: int, validating: int) -> str:
    line = f"{training} photos train for {recipe.run.steps} steps and {validating} validate"
    if recipe.optimizer.frozen:
        line += f"; frozen: {', '.join(recipe.optimizer.frozen)}"
    if recipe.data[0].max_side:
        line += f"; photos are shrunk to {recipe.data[0].max_side} pixels"
    if not recipe.run.calibrate:
        line += f"; the threshold stays {recipe.model.threshold:g}"
        if validating < FEWEST:
            line += f": {validating} photos are too few to calibrate it"
    return line


def _print_comparison(before: Report, after: Report) -> None:
    metrics = [("mean count error", "mae", before.mae, after.mae)]
    for sigma, score in before.localization.items():
        metrics.append((f"F1 within {sigma} pixels", "f1", score.f1, after.localization[sigma].f1))
    photos = (
        (one.name, f"{one.true}", f"{one.predicted}", f"{other.predicted}")
        for one, other in zip(before.rows, after.rows, strict=True)
    )
    totals = (
        (label, "", *(format_metric(key, value) for value in values)) for label, key, *values in metrics
    )
    print_table(("photo", "annotated", "before", "after"), (*photos, None, *totals))
