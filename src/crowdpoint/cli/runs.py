"""Folders of training runs: lock, train or resume, and exit after an interruption."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Unpack

import typer

from crowdpoint.cli.options import Training
from crowdpoint.errors import ConfigError, requires
from crowdpoint.outputs import lock_folder
from crowdpoint.recipe import DataConfig, Recipe

_log = logging.getLogger(__name__)


@contextmanager
def open_run(folder: Path, command: str, resume: Path | None) -> Iterator[None]:
    """Lock the folder of a run, new unless `resume`; if it is interrupted, advise to resume with `command`.

    Only the first of several processes of a run locks it.
    """
    from crowdpoint import checkpoint

    if not resume and checkpoint.exists(folder / "last"):
        raise typer.BadParameter(f"{folder} holds a run; give --resume {folder} or another --out")

    def advise() -> str:
        return f"; resume with{command} --resume {folder}" if checkpoint.exists(folder / "last") else ""

    ranks = (os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))
    lock = lock_folder(folder) if all(rank == "0" for rank in ranks) else nullcontext()
    with exit_if_interrupted(advise), lock:
        yield


@contextmanager
def exit_if_interrupted(
    advise: Callable[[], str] = lambda: "; run the same command again to resume",
) -> Iterator[None]:
    """Convert the KeyboardInterrupt of a run to a warning with advice, and exit with the signal's code."""
    from crowdpoint.interrupt import exit_code

    try:
        yield
    except KeyboardInterrupt as interrupt:
        _log.warning(f"stopped{advise()}")
        raise typer.Exit(exit_code(interrupt)) from interrupt


def train_or_resume(recipe: Recipe, data: Path, folder: Path, **shared: Unpack[Training]) -> None:
    """Train one of several networks of a command, or resume its run; arguments as `train.loop.train`.

    Locks the folder, as `open_run` does.
    """
    with requires("training", "train"):
        from crowdpoint import checkpoint
        from crowdpoint.train.loop import train

    # One device, because each of several processes would run the whole command.
    with lock_folder(folder):
        train(recipe, data, folder, resume=checkpoint.exists(folder / "last"), devices=1, **shared)


def require_one_dataset(recipe: Recipe, source: str, purpose: str) -> DataConfig:
    """Return the only dataset of a recipe.

    Otherwise, raise a ConfigError that begins with `source` and names the `purpose`.
    """
    first, *others = recipe.data
    if others:
        names = ", ".join(part.name for part in recipe.data)
        raise ConfigError(
            f"{source}: data: expected one dataset to {purpose}, found {names}; choose one, such as "
            f"--set 'data=[{{name: {first.name}}}]'"
        )
    return first
