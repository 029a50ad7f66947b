"""Save and load checkpoints: folders with weights, recipe and, to resume, the state of the run.

A checkpoint is written to NAME.new, which replaces NAME by way of NAME.old: one is always complete.
"""

import argparse
import base64
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
import yaml
from onnx import numpy_helper
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import load_file, save_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from crowdpoint.config import load_recipe, parse_recipe
from crowdpoint.documents import parse_yaml
from crowdpoint.errors import ModelError, StorageError
from crowdpoint.recipe import Recipe
from crowdpoint.zoo import PREVIOUS

WEIGHTS, CONFIG, STATE = "weights.safetensors", "config.yaml", "state.pt"

HALF = ".half"
"""Suffix of the names of weights in half precision in a graph."""

RECIPE, REST = "recipe", "weights"
"""Metadata keys of an ONNX file: the recipe as YAML, and the other weights as safetensors in base64."""


def save(
    folder: Path, weights: Mapping[str, Tensor], recipe: Recipe, state: dict[str, Any] | None = None
) -> None:
    """Write a checkpoint, replacing an existing one.

    Args:
        folder: checkpoint folder.
        weights: state dict of the network, or of its average if the recipe has one.
        recipe: the resolved recipe.
        state: further state, to resume from the checkpoint.

    Raises:
        ModelError: if the folder has other contents.
        StorageError: if the checkpoint cannot be written; an existing one is kept.
    """
    folder = folder.resolve()
    if folder.exists() and not (folder / WEIGHTS).is_file() and any(folder.iterdir()):
        raise ModelError(f"{folder}: is in use, and not by a checkpoint; give the name of a new folder")
    fresh, stale = _get_sibling(folder, ".new"), _get_sibling(folder, PREVIOUS)
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, fresh / WEIGHTS)
        (fresh / CONFIG).write_text(_to_yaml(recipe), encoding="utf-8")
        if state is not None:
            torch.save(state, fresh / STATE)
        if folder.exists():  # else the old one is the only complete one, and stays until the end
            shutil.rmtree(stale, ignore_errors=True)
            folder.rename(stale)
        fresh.rename(folder)
    except (OSError, RuntimeError, SafetensorError) as error:  # two libraries have errors of their own
        shutil.rmtree(fresh, ignore_errors=True)
        kept = "; the checkpoint before it is whole" if exists(folder) else ""
        reason = str(error).partition("\n")[0]
        raise StorageError(f"{folder}: the checkpoint cannot be written ({reason}){kept}") from error
    shutil.rmtree(stale, ignore_errors=True)


def load(folder: Path) -> tuple[dict[str, Tensor], Recipe]:
    """Load the weights and the recipe of a checkpoint, or of an ONNX file with both (see `embed`).

    Raises:
        ModelError: if a part is missing or broken.
        ConfigError: if the configuration is not a valid recipe.
    """
    if folder.is_file():
        return _extract(folder)
    folder = _require_complete(folder)
    try:
        weights = load_file(folder / WEIGHTS)
    except Exception as error:  # safetensors raises its own kinds
        raise ModelError(f"{folder / WEIGHTS}: not a safetensors file: {error}") from error
    return weights, load_recipe(folder / CONFIG)


def load_state(folder: Path) -> dict[str, Any]:
    """Load the state to resume a run from.

    Raises:
        ModelError: if the checkpoint has no state or a damaged one.
    """
    path = _require_complete(folder) / STATE
    if not path.is_file():
        raise ModelError(f"{path.parent}: no {STATE} in it, so no run can resume from it")
    return load_torch(path, "the run cannot be resumed; begin another one, with --from its weights")


def load_torch(
    path: Path, remedy: str = "save the state dict of the network alone, with torch.save"
) -> dict[str, Any]:
    """Load a dictionary of tensors and plain values that `torch.save` wrote, onto the CPU; runs no code.

    An error advises the `remedy`.

    Raises:
        ModelError: if the file has other contents.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # checkpoints may hold their arguments
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # torch raises many kinds for a file that is not a checkpoint
        raise ModelError(
            f"{path}: not a torch checkpoint: it is damaged, or has more than tensors, numbers and texts; "
            f"{remedy}"
        ) from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: not a checkpoint: expected a dictionary, found {type(content).__name__}")
    return content


def embed(model: onnx.ModelProto, weights: Mapping[str, Tensor], recipe: Recipe) -> None:
    """Add the recipe and the missing weights to an ONNX model, to make it a checkpoint."""
    names = [tensor.name for tensor in model.graph.initializer]
    rest = {name: value.contiguous() for name, value in weights.items() if name + HALF not in names}
    model.metadata_props.add(key=RECIPE, value=_to_yaml(recipe))
    model.metadata_props.add(key=REST, value=base64.b64encode(to_bytes(rest)).decode())


def _extract(path: Path) -> tuple[dict[str, Tensor], Recipe]:
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf raises its own kinds
        raise ModelError(f"{path}: not an ONNX model: {error}") from error
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if not {RECIPE, REST} <= metadata.keys():
        raise ModelError(
            f"{path}: holds no recipe; give a checkpoint folder, or a file of `crowdpoint export --half`"
        )
    try:
        weights = from_bytes(base64.b64decode(metadata[REST]))
        for tensor in model.graph.initializer:
            if tensor.name.endswith(HALF):
                values = torch.from_numpy(numpy_helper.to_array(tensor).copy())
                weights[tensor.name.removesuffix(HALF)] = values.float()
        recipe = parse_yaml(metadata[RECIPE])
    except Exception as error:  # safetensors and onnx raise their own kinds
        raise ModelError(f"{path}: its weights or its recipe are damaged: {error}") from error
    return weights, parse_recipe(recipe, str(path))


def _to_yaml(recipe: Recipe) -> str:
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)


def exists(folder: Path) -> bool:
    """Tell whether a complete checkpoint exists, even if a rename was interrupted."""
    return any((path / WEIGHTS).is_file() for path in (folder, _get_sibling(folder, PREVIOUS)))


def _require_complete(folder: Path) -> Path:
    """Return the folder, or its predecessor if the run was killed between the two renames."""
    if not folder.exists() and _get_sibling(folder, PREVIOUS).exists():
        folder = _get_sibling(folder, PREVIOUS)
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: no checkpoint there, {name} is missing")
    return folder


def _get_sibling(folder: Path, ending: str) -> Path:
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}{ending}")
