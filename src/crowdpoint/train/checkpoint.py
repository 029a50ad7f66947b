"""Checkpoints: a directory with weights, configuration and, to resume from, the state of the run.

Written under a temporary name and renamed, so that a run killed at any moment leaves a whole one.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from crowdpoint.config import Recipe, validated
from crowdpoint.errors import ModelError

WEIGHTS, CONFIG, STATE = "weights.safetensors", "config.yaml", "state.pt"


def save(
    folder: Path, weights: dict[str, Tensor], recipe: Recipe, state: dict[str, Any] | None = None
) -> None:
    """Writes a checkpoint, replacing the one that is there.

    Args:
        folder: the checkpoint's directory.
        weights: the network's state dict, the averaged one where there is one.
        recipe: the resolved recipe.
        state: what resuming needs besides; None for a checkpoint that is only used.
    """
    fresh, stale = folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, fresh / WEIGHTS)
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    (fresh / CONFIG).write_text(text, encoding="utf-8")
    if state is not None:
        torch.save(state, fresh / STATE)
    shutil.rmtree(stale, ignore_errors=True)
    if folder.exists():
        folder.rename(stale)
    fresh.rename(folder)
    shutil.rmtree(stale, ignore_errors=True)


def load(folder: Path) -> tuple[dict[str, Tensor], Recipe]:
    """The weights and the recipe of a checkpoint.

    Raises:
        ModelError: if a part is missing or broken.
        ConfigError: if the configuration is not a valid recipe.
    """
    folder = _whole(folder)
    try:
        weights = load_file(folder / WEIGHTS)
    except Exception as error:  # safetensors raises its own kinds
        raise ModelError(f"{folder / WEIGHTS}: not a safetensors file: {error}") from error
    text = (folder / CONFIG).read_text(encoding="utf-8")
    return weights, validated(Recipe, yaml.safe_load(text), str(folder / CONFIG))


def load_state(folder: Path) -> dict[str, Any]:
    """What a run needs to go on from a checkpoint.

    Raises:
        ModelError: if the checkpoint holds no state.
    """
    folder = _whole(folder)
    if not (folder / STATE).is_file():
        raise ModelError(f"{folder}: no {STATE} in it, so no run can resume from it")
    state: dict[str, Any] = torch.load(folder / STATE, map_location="cpu", weights_only=True)
    return state


def exists(folder: Path) -> bool:
    """Whether a whole checkpoint is there, also one whose renaming was cut short."""
    return any((path / WEIGHTS).is_file() for path in (folder, folder.with_name(f"{folder.name}.old")))


def _whole(folder: Path) -> Path:
    """The folder, or its predecessor where a kill fell between the two renames."""
    stale = folder.with_name(f"{folder.name}.old")
    if not folder.exists() and stale.exists():
        folder = stale
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: no checkpoint there, {name} is missing")
    return folder
