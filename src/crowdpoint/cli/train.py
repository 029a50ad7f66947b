"""`crowdpoint train`: a recipe and a dataset in, a checkpoint out."""

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from crowdpoint import zoo
from crowdpoint.cli.options import (
    Accelerator,
    AcceleratorOption,
    BackboneWeightsOption,
    OverridesOption,
    StartOption,
)
from crowdpoint.config import load_recipe
from crowdpoint.errors import requires
from crowdpoint.outputs import lock_folder

_log = logging.getLogger(__name__)


def train(
    recipe: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped recipe.")],
    data: Annotated[
        Path, typer.Option(help="The folder of the recipe's datasets, as their authors distribute them.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of a new run. [default: runs/RECIPE]", file_okay=False)
    ] = None,
    set_: OverridesOption = None,
    resume: Annotated[
        Path | None, typer.Option(help="Folder of a run to go on with, exactly where it stopped.")
    ] = None,
    start: StartOption = None,
    backbone_weights: BackboneWeightsOption = None,
    accelerator: AcceleratorOption = Accelerator.AUTO,
    devices: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes on this machine; torchrun sets it by itself. [default: one, or one per GPU]",
        ),
    ] = None,
) -> None:
    """Train a network; a run leaves its checkpoints in `last` and `best`, and its logs beside them."""
    with requires("training", "train"):
        from crowdpoint import checkpoint
        from crowdpoint.train.interrupt import exit_code
        from crowdpoint.train.loop import train as run

    if resume and (out or start):
        raise typer.BadParameter("--resume goes on in its own folder; leave --out and --from away")
    folder = resume or out or Path("runs") / Path(recipe).stem
    if not resume and checkpoint.exists(folder / "last"):
        raise typer.BadParameter(f"{folder} holds a run; give --resume {folder} or another --out")
    try:
        with held(folder):
            run(
                load_recipe(recipe, set_ or ()),
                data,
                folder,
                weights=zoo.checkpoint(start) if start else None,
                backbone_weights=backbone_weights,
                resume=resume is not None,
                accelerator=accelerator,
                devices=devices,
            )
    except KeyboardInterrupt as interrupt:
        advice = f"; go on with --resume {folder}" if checkpoint.exists(folder / "last") else ""
        _log.warning(f"stopped{advice}")
        raise typer.Exit(exit_code(interrupt)) from interrupt


def held(folder: Path) -> AbstractContextManager[None]:
    """Keeps other runs out of the folder; of several processes of one run, the first does."""
    ranks = (os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))
    return lock_folder(folder) if all(rank == "0" for rank in ranks) else nullcontext()
