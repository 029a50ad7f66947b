"""`crowdpoint crossvalidate`: a recipe and one dataset in, a network for each fold and their figures out."""

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from crowdpoint import datasets, zoo
from crowdpoint.cli.console import track
from crowdpoint.cli.options import (
    Accelerator,
    AcceleratorOption,
    BackboneWeightsOption,
    DataOption,
    OverridesOption,
    PrecisionOption,
    StartOption,
)
from crowdpoint.cli.tables import print_reports
from crowdpoint.config import load_recipe
from crowdpoint.crossvalidation import CrossValidation
from crowdpoint.errors import ConfigError, requires
from crowdpoint.predict import Predictor

RESULTS = "folds.json"
"""The file with the images and the figures of each fold."""

_log = logging.getLogger(__name__)


def crossvalidate(
    recipe: Annotated[
        str, typer.Argument(help="A YAML file, or the name of a shipped recipe, of one dataset.")
    ],
    data: DataOption,
    folds: Annotated[
        int | None, typer.Option(min=2, help="How many folds; the recipe's own by default, which is 5.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of a run for each fold. [default: runs/RECIPE-folds]", file_okay=False),
    ] = None,
    set_: OverridesOption = None,
    start: StartOption = None,
    backbone_weights: BackboneWeightsOption = None,
    accelerator: AcceleratorOption = Accelerator.AUTO,
    precision: PrecisionOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="What folds.json holds, on stdout.")] = False,
) -> None:
    """Cross-validate a recipe: train without each fold in turn, and evaluate on the fold that was left out.

    The same command goes on with what was interrupted.
    """
    with requires("training", "train"):
        from crowdpoint import checkpoint
        from crowdpoint.train.interrupt import exit_code
        from crowdpoint.train.loop import train

    plan = load_recipe(recipe, [*(set_ or ()), *([f"data.0.folds={folds}"] if folds else [])])
    if len(plan.data) > 1:
        names = ", ".join(part.name for part in plan.data)
        raise ConfigError(
            f"{recipe}: data: expected one dataset to cross-validate, found {names}; choose one, such as "
            f"--set 'data=[{{name: {plan.data[0].name}}}]'"
        )
    weights = zoo.checkpoint(start) if start else None
    folder = out or Path("runs") / f"{Path(recipe).stem}-folds"
    part = plan.data[0]
    samples = datasets.load(part.name, data / part.path, "train")
    validation = CrossValidation(part.name, samples, part.folds, plan.run.seed)
    for fold, images in enumerate(validation.folds, start=1):
        run = folder / f"fold-{fold}"
        _log.info(f"fold {fold} of {len(validation.folds)}, without {len(images)} images: {run}")
        without = part.model_copy(update={"fold": fold})
        try:
            train(
                plan.model_copy(update={"data": (without,)}),
                data,
                run,
                weights=weights,
                backbone_weights=backbone_weights,
                resume=checkpoint.exists(run / "last"),
                accelerator=accelerator,
                devices=1,  # several would each run the whole command
            )
            predictor = Predictor.load(run / "best", device=accelerator.device, precision=precision)
            for _ in track(validation.evaluate(predictor), len(images), f"evaluating {run / 'best'}"):
                pass
        except KeyboardInterrupt as interrupt:
            _log.warning("stopped; the same command goes on")
            raise typer.Exit(exit_code(interrupt)) from interrupt
        validation.write(folder / RESULTS)
    if as_json:
        typer.echo(json.dumps(validation.content()))
    else:
        columns = {f"fold {fold}": report for fold, report in enumerate(validation.reports, start=1)}
        print_reports(columns | {"all": validation.together()})
