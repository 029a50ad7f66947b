"""Initialise a run with weights of ImageNet or another checkpoint, and check a run to resume."""

import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from crowdpoint import checkpoint
from crowdpoint.backbones.efficientnet import EfficientNetLite0, imagenet_weights
from crowdpoint.backbones.framing import ImageModel
from crowdpoint.datasets import Sample
from crowdpoint.errors import ConfigError, ModelError
from crowdpoint.recipe import Recipe

log = logging.getLogger(__name__)

Images = dict[str, dict[str, int]]
"""Training and validation images of a run: the sizes of their files in bytes, by the names of the images."""


def from_imagenet(network: ImageModel, weights: Path | None, *, verbose: bool) -> None:
    """Load ImageNet weights into the backbone of a new network; if there are none, warn if `verbose`.

    `weights` is the backbone's published checkpoint or a folder with it; a package has EfficientNet-Lite0's.

    Raises:
        ModelError: if the file is missing, damaged or of another network, or no weights are published.
        MissingExtraError: if the package of EfficientNet-Lite0's weights is not installed.
    """
    packaged = any(isinstance(part, EfficientNetLite0) for part in network.modules())
    if packaged and (weights is None or weights.is_dir()):
        weights = imagenet_weights()
    elif network.imagenet_file is None and not packaged:
        if weights is not None:
            raise ModelError(f"{weights}: {type(network).__name__} has no backbone with ImageNet weights")
        return
    elif weights is not None and weights.is_dir():
        weights = weights / str(network.imagenet_file)
        if not weights.is_file():
            raise ModelError(
                f"{weights}: no such file; expected the ImageNet weights under their published name"
            )
    if weights is not None:
        _require_intact(weights)
        network.load_imagenet(checkpoint.load_torch(weights))
    elif verbose:
        log.warning(
            "%s starts from random weights; give its backbone's ImageNet checkpoint, published as %s, with "
            "--backbone-weights",
            type(network).__name__,
            network.imagenet_file,
        )


def _require_intact(path: Path) -> None:
    """Check the SHA-256 of a file whose name has its first digits, as torchvision's."""
    named = re.search(r"-([0-9a-f]{8,64})\.pth$", path.name)
    if named and path.is_file():
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not digest.startswith(named[1]):
            raise ModelError(
                f"{path}: damaged: its SHA-256 begins with {digest[: len(named[1])]}, not with {named[1]} as "
                "its name says; download it again"
            )


def from_checkpoint(network: ImageModel, folder: Path, *, verbose: bool) -> None:
    """Load the parts of a checkpoint, such as the backbone, whose tensors have the same names and shapes.

    If not all parts fit, `verbose` logs which ones.

    Raises:
        ModelError: if it is not a complete checkpoint.
        ConfigError: if the backbones differ, or no part of a network without a pretrained one fits.
    """
    state, _ = checkpoint.load(folder)
    taken, fresh = [], []
    for part, module in network.named_children():
        own = module.state_dict()
        theirs = {name: state.get(f"{part}.{name}") for name in own}
        if all(value is not None and value.shape == own[name].shape for name, value in theirs.items()):
            module.load_state_dict(theirs)  # half-precision weights become the network's own precision
            taken += [part] if own else []  # an activation has no weights
        else:
            fresh.append(part)
    pretrained = [part for part in (*taken, *fresh) if network.is_pretrained(f"{part}.")]
    if not set(taken).intersection(pretrained or taken):
        what = "backbone" if pretrained else "network"
        raise ConfigError(f"{folder}: its {what} is not the recipe's, so its weights are no start for it")
    if fresh and verbose:
        log.warning("from %s: %s; new: %s", folder, ", ".join(taken), ", ".join(fresh))


def list_images(recipe: Recipe, parts: Sequence[tuple[list[Sample], list[Sample]]]) -> Images:
    """Describe the images of a run, wherever their folder is; `parts` are those of `recipe.data`."""
    return {
        use: {
            f"{data.label}/{sample.name}": sample.image.stat().st_size
            for data, part in zip(recipe.data, parts, strict=True)
            for sample in part[number]
        }
        for number, use in enumerate(("training", "validation"))
    }


def require_same(recipe: Recipe, images: Images, theirs: Images, folder: Path) -> None:
    """Check that a run can be resumed with this recipe and these images instead of `theirs`.

    Raises:
        ModelError: if there is no complete checkpoint.
        ConfigError: if its recipe differs in a key that affects the weights, or its images differ.
    """
    _, made_by = checkpoint.load(folder)
    differing = _list_differences(recipe, made_by)
    # Epochs of other images have another number of steps.
    if differing in ([], ["run.steps"]) and (changes := _list_changes(images, theirs)):
        raise ConfigError(
            f"{folder}: cannot resume, the images are not the run's: {', '.join(changes)}; restore them, or "
            "choose another --out for a new run"
        )
    if differing:
        raise ConfigError(
            f"{folder}: cannot resume, the recipe differs from the run's in {', '.join(differing)}; "
            f"give {folder / checkpoint.CONFIG} as the recipe, or choose another --out for a new run"
        )


def _list_changes(ours: Images, theirs: Images) -> list[str]:
    """List how images differ by name; other files of the same names are few if they were repaired."""
    changes = []
    for use, files in ours.items():
        before = theirs[use].keys()
        for change, names in (("new in", files.keys() - before), ("gone from", before - files.keys())):
            if names:
                changes.append(f"{len(names)} {change} {use} ({min(names)})")
    sizes, before_sizes = ({**use["training"], **use["validation"]} for use in (ours, theirs))
    others = [name for name, size in sizes.items() if before_sizes.get(name, size) != size]
    if 2 * len(others) > len(sizes):
        changes.append(f"{len(others)} other files of the same names ({min(others)})")
    return changes


def _list_differences(recipe: Recipe, made_by: Recipe) -> list[str]:
    """List the keys in which two recipes differ, except those that do not affect the weights."""
    neutral = {"model": {"threshold", "interval"}, "run": {"workers", "cache", "loggers"}}
    ours, theirs = recipe.model_dump(exclude=neutral), made_by.model_dump(exclude=neutral)
    differing = ["data"] if ours.pop("data") != theirs.pop("data") else []
    for section, values in ours.items():
        their = theirs.get(section, {})
        differing += [f"{section}.{key}" for key in values if values[key] != their.get(key)]
    return differing
