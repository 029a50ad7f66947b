"""Import checkpoints published by the papers' authors, whose layout is in `Method.official`."""

from pathlib import Path

from torch import Tensor

from crowdpoint import checkpoint
from crowdpoint.backbones.imagenet import load_strictly
from crowdpoint.config import RECIPES, load_recipe
from crowdpoint.datasets import DATASETS
from crowdpoint.errors import ConfigError, ModelError
from crowdpoint.methods import METHODS
from crowdpoint.predict.torch import build


def import_official(path: Path, name: str, out: Path, trained_on: str) -> None:
    """Convert an official checkpoint to ours; coordinates need no correction.

    Args:
        path: file published by the authors, or its state dict alone.
        name: `p2pnet-vgg16` or `fidtm-hrnet-w48`.
        out: checkpoint folder to write.
        trained_on: dataset of the file, which selects the recipe of the checkpoint.

    Raises:
        ModelError: if the name is unknown, or the file contains another network.
        ConfigError: if there is no recipe for that dataset.
    """
    known = {m.official.model: (m.name, m.official) for m in METHODS.values() if m.official}
    if name not in known:
        raise ModelError(f"{name}: no official checkpoint of it is known; expected {', '.join(known)}")
    method, official = known[name]
    datasets = [dataset for dataset in DATASETS if (RECIPES / f"{method}-{dataset}.yaml").is_file()]
    if trained_on not in datasets:
        raise ConfigError(f"trained on {trained_on}: expected one of {', '.join(datasets)}")
    # The authors trained on all images, and chose the best step on the test images or those of `val`.
    recipe = load_recipe(f"{method}-{trained_on}", ["run.protocol=paper"])
    network = build(recipe.model)
    content = checkpoint.load_torch(path)
    state = content.get(official.key, content)
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        found = ", ".join(map(str, list(content)[:4])) + (", ..." if len(content) > 4 else "")
        raise ModelError(
            f'{path}: expected {{"{official.key}": state_dict}}, as the authors publish it, or '
            f"the state dict alone; found {found}"
        )
    renamed = {official.rename(key): value for key, value in state.items()}
    weights = {key: value for key, value in renamed.items() if key is not None}
    load_strictly(network, weights, f"the authors' {official.paper} checkpoint: {path}")
    checkpoint.save(out, network.state_dict(), recipe)
