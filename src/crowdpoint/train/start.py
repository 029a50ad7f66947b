"""Where a run takes its first weights from: ImageNet, another checkpoint, or its own to go on with."""

import hashlib
import logging
import re
from pathlib import Path

from crowdpoint import checkpoint
from crowdpoint.backbones.efficientnet import EfficientNetLite0, imagenet_weights
from crowdpoint.backbones.framing import ImageModel
from crowdpoint.errors import ConfigError, ModelError
from crowdpoint.recipe import Recipe

log = logging.getLogger(__name__)


def from_imagenet(network: ImageModel, weights: Path | None, *, speak: bool) -> None:
    """Loads ImageNet features into a new network, or says that there are none.

    Args:
        network: a network with random weights.
        weights: the publisher's checkpoint of the backbone, or a folder that has it under its published name;
            EfficientNet-Lite0's comes from its package.
        speak: whether to say so where there are none.

    Raises:
        ModelError: if there is no such file, it is damaged or no checkpoint of the backbone, or the network
            has no backbone with published weights.
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
    elif speak:
        log.warning(
            "%s starts from random weights; give its backbone's ImageNet checkpoint, published as %s, with "
            "--backbone-weights",
            type(network).__name__,
            network.imagenet_file,
        )


def _require_intact(path: Path) -> None:
    """Make sure that a file with the first digits of its SHA-256 in its name, as torchvision's, has that sum.

    Raises:
        ModelError: if it has another.
    """
    named = re.search(r"-([0-9a-f]{8,64})\.pth$", path.name)
    if named and path.is_file():
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not digest.startswith(named[1]):
            raise ModelError(
                f"{path}: damaged: its SHA-256 begins with {digest[: len(named[1])]}, not with {named[1]} as "
                "its name says; download it again"
            )


def from_checkpoint(network: ImageModel, folder: Path, *, speak: bool) -> None:
    """Loads the parts of a checkpoint that a network shares: all of the same one, the features of a relative.

    A part, such as the backbone or the pyramid, is taken when all its tensors have the same names and shapes.

    Args:
        network: a network with random weights.
        folder: a checkpoint of either method.
        speak: whether to say what was taken where it is not everything.

    Raises:
        ModelError: if it is not a whole checkpoint.
        ConfigError: if its backbone is another.
    """
    state, _ = checkpoint.load(folder)
    taken = []
    for part, module in network.named_children():
        own = module.state_dict()
        theirs = {name: state.get(f"{part}.{name}") for name in own}
        if all(value is not None and value.shape == own[name].shape for name, value in theirs.items()):
            module.load_state_dict(theirs)  # half-precision weights become the network's own precision
            taken.append(part)
    if not any(network.is_pretrained(f"{part}.") for part in taken):
        raise ConfigError(f"{folder}: its backbone is not the recipe's, so its weights are no start for it")
    fresh = [part for part, _ in network.named_children() if part not in taken]
    if fresh and speak:
        log.warning("from %s: %s; new: %s", folder, ", ".join(taken), ", ".join(fresh))


def require_same(recipe: Recipe, folder: Path) -> None:
    """Makes sure that a run can go on exactly by this recipe.

    Raises:
        ModelError: if there is no whole checkpoint.
        ConfigError: if its recipe differs in what changes the weights.
    """
    _, made_by = checkpoint.load(folder)
    if differing := _differences(recipe, made_by):
        raise ConfigError(
            f"{folder}: cannot resume, the recipe differs from the run's in {', '.join(differing)}; "
            f"give {folder / checkpoint.CONFIG} as the recipe, or start a new run with --from"
        )


def _differences(recipe: Recipe, made_by: Recipe) -> list[str]:
    """The keys in which two recipes differ, but for those that training sets or that leave weights alone."""
    neutral = {"model": {"threshold", "interval"}, "run": {"workers", "cache"}}
    ours, theirs = recipe.model_dump(exclude=neutral), made_by.model_dump(exclude=neutral)
    differing = ["data"] if ours.pop("data") != theirs.pop("data") else []
    for section, values in ours.items():
        their = theirs.get(section, {})
        differing += [f"{section}.{key}" for key in values if values[key] != their.get(key)]
    return differing
