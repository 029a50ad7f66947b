"""Folders of training runs: lock, train or resume, and exit after an interruption."""

import logging
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Unpack

import typer

from crowdpoint.cli.options import Training
from crowdpoint.errors import ConfigError, requires
from crowdpoint.interrupt import exit_code
from crowdpoint.outputs import lock_folder
from crowdpoint.recipe import DataConfig, Recipe

_log = logging.getLogger(__name__)


@contextmanager
def open_run(folder: Path, command: str, resume: Path | None) -> Iterator[None]:
    """Lock the folder of a run, new unless `resume`; if it is interrupted, advise to resume with `command`.

    Only the first of several processes of a run locks it.
    """
    from crowdpoint import checkpoint

    option = f"--resume {shlex.quote(str(folder))}"
    if not resume and checkpoint.exists(folder / "last"):
        raise typer.BadParameter(f"{folder} holds a run; give {option} or another --out")
    if not resume:
        _require_free(folder)

    def advise() -> str:
        return f"; resume with{command} {option}" if checkpoint.exists(folder / "last") else ""

    ranks = (os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))
    lock = lock_folder(folder) if all(rank == "0" for rank in ranks) else nullcontext()
    with exit_if_interrupted(advise), lock:
        yield


def _require_free(folder: Path) -> None:
    """Check that the checkpoints of a new run would replace nothing."""
    from crowdpoint import checkpoint

    for path in (folder / "best", folder / "last"):
        if path.exists() or checkpoint.exists(path):
            raise typer.BadParameter(
                f"{path} exists, and a new run would replace it; move it away, or give another --out"
            )


@contextmanager
def exit_if_interrupted(
    advise: Callable[[], str] = lambda: "; run the same command again to resume",
) -> Iterator[None]:
    """Convert the KeyboardInterrupt of a run to a warning with advice, and exit with the signal's code."""
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
        resume = checkpoint.exists(folder / "last")
        if resume and (shared["weights"] or shared["backbone_weights"]):
            _log.info(f"{folder} has begun: --from and --backbone-weights are not read again")
        if not resume:
            _require_free(folder)
        train(recipe, data, folder, resume=resume, devices=1, **shared)


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
