"""`crowdpoint crossvalidate`: train and evaluate a network for each fold of a dataset."""

import json
import logging
from pathlib import Path
from typing import Annotated, Unpack

import typer

from crowdpoint import datasets
from crowdpoint.cli import options
from crowdpoint.cli.runs import exit_if_interrupted, require_one_dataset, train_or_resume
from crowdpoint.cli.tables import print_reports
from crowdpoint.config import load_recipe
from crowdpoint.console import track
from crowdpoint.crossvalidation import CrossValidation
from crowdpoint.predict import Predictor

RESULTS = "folds.json"
"""File with the images and metrics of each fold."""

_log = logging.getLogger(__name__)


def crossvalidate(
    recipe: Annotated[str, typer.Argument(help="YAML file, or name of a shipped recipe, with one dataset.")],
    data: options.Data,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Number of folds. [default: the recipe's, 5]")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the runs of the folds. [default: runs/RECIPE-folds]", file_okay=False),
    ] = None,
    set_: options.Overrides = None,
    precision: options.Precision = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the contents of folds.json.")] = False,
    **shared: Unpack[options.Training],
) -> None:
    """Cross-validate a recipe: train without each fold in turn, and evaluate on the fold that was left out.

    Run the same command again to resume after an interruption.
    """
    plan = load_recipe(recipe, [*(set_ or ()), *([f"data.0.folds={folds}"] if folds else [])])
    part = require_one_dataset(plan, recipe, "cross-validate")
    folder = out or Path("runs") / f"{Path(recipe).stem}-folds"
    samples = datasets.load(part.name, data / part.path, "train", part.classes)
    validation = CrossValidation(part.name, samples, part.folds, plan.run.seed)
    for fold, images in enumerate(validation.folds, start=1):
        run = folder / f"fold-{fold}"
        _log.info(f"fold {fold} of {len(validation.folds)}, without {len(images)} images: {run}")
        without = part.model_copy(update={"fold": fold})
        with exit_if_interrupted():
            train_or_resume(plan.model_copy(update={"data": (without,)}), data, run, **shared)
            device = None if shared["accelerator"] == "auto" else shared["accelerator"]
            predictor = Predictor.load(run / "best", device=device, precision=precision)
            for _ in track(validation.evaluate(predictor), len(images), f"evaluating {run / 'best'}"):
                pass
        validation.write(folder / RESULTS)
    if as_json:
        typer.echo(json.dumps(validation.to_record()))
    else:
        columns = {f"fold {fold}": report for fold, report in enumerate(validation.reports, start=1)}
        print_reports(columns | {"all": validation.combine()})
