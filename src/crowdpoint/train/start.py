"""Where a run takes its first weights from: ImageNet, another checkpoint, or its own to go on with."""

import logging
from pathlib import Path

from crowdpoint.config import Recipe
from crowdpoint.errors import ConfigError
from crowdpoint.nn.efficientnet import EfficientNetLite0, imagenet_weights
from crowdpoint.nn.framing import Framed
from crowdpoint.nn.imagenet import load_strictly
from crowdpoint.train import checkpoint

log = logging.getLogger(__name__)


def from_imagenet(network: Framed, weights: Path | None, *, speak: bool) -> None:
    """Loads ImageNet features into a new network, or says that there are none.

    Args:
        network: a network with random weights.
        weights: the publisher's checkpoint of the backbone; EfficientNet-Lite0's comes from its package.
        speak: whether to say so where there are none.

    Raises:
        ModelError: if the file is not a checkpoint of the backbone.
        MissingExtraError: if the package of EfficientNet-Lite0's weights is not installed.
    """
    if weights is None and any(isinstance(part, EfficientNetLite0) for part in network.modules()):
        weights = imagenet_weights()
    if weights is not None:
        network.load_imagenet(checkpoint.load_torch(weights))
    elif speak:
        log.warning(
            "%s starts from random weights; give its backbone's ImageNet checkpoint with --backbone-weights",
            type(network).__name__,
        )


def from_checkpoint(network: Framed, recipe: Recipe, folder: Path) -> None:
    """Loads the weights of a checkpoint into a network of the same configuration.

    Raises:
        ModelError: if it is not a whole checkpoint.
        ConfigError: if its network is another.
    """
    state, made_by = checkpoint.load(folder)
    if differing := [key for key in _differences(recipe, made_by) if key.startswith("model.")]:
        raise ConfigError(f"{folder}: its network differs from the recipe's in {', '.join(differing)}")
    load_strictly(network, state, f"{folder}: the weights of a checkpoint with this configuration")


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
    neutral = {"model": {"threshold"}, "run": {"workers", "cache"}}
    ours, theirs = recipe.model_dump(exclude=neutral), made_by.model_dump(exclude=neutral)
    differing = ["data"] if ours.pop("data") != theirs.pop("data") else []
    for section, values in ours.items():
        their = theirs.get(section, {})
        differing += [f"{section}.{key}" for key in values if values[key] != their.get(key)]
    return differing
