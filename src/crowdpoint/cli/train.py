"""`crowdpoint train`: train a network by a recipe."""

from pathlib import Path
from typing import Annotated, Unpack

import typer

from crowdpoint.cli import options
from crowdpoint.cli.runs import open_run
from crowdpoint.config import load_recipe
from crowdpoint.errors import requires


def train(
    recipe: Annotated[str, typer.Argument(help="YAML file, or name of a shipped recipe.")],
    data: Annotated[
        Path, typer.Option(help="Folder of the recipe's datasets, as distributed by their authors.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of a new run. [default: runs/RECIPE]", file_okay=False)
    ] = None,
    set_: options.Overrides = None,
    resume: Annotated[Path | None, typer.Option(help="Folder of an interrupted run to resume.")] = None,
    devices: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes on this machine; set by torchrun if used. [default: one, or one per GPU]",
        ),
    ] = None,
    **shared: Unpack[options.Training],
) -> None:
    """Train a network. The checkpoints are `last` and `best` in the folder of the run, beside the logs."""
    with requires("training", "train"):
        from crowdpoint.train.loop import train as run

    if resume and (out or shared["weights"]):
        raise typer.BadParameter("--resume continues in its own folder; leave out --out and --from")
    if shared["backbone_weights"] and (resume or shared["weights"]):
        raise typer.BadParameter("--backbone-weights start a new run; leave out --resume and --from")
    folder = resume or out or Path("runs") / Path(recipe).stem
    with open_run(folder, "", resume):
        plan = load_recipe(recipe, set_ or ())
        run(plan, data, folder, resume=resume is not None, devices=devices, **shared)
