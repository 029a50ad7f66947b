"""Plan the fine-tuning of a model on few photos of one kind, a recipe for `loop.train`."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import torch

from crowdpoint import checkpoint
from crowdpoint.config import parse_recipe
from crowdpoint.datasets import Sample
from crowdpoint.errors import ConfigError
from crowdpoint.overrides import apply
from crowdpoint.predict import Predictor
from crowdpoint.predict.interval import FEWEST
from crowdpoint.predict.looks import LARGE
from crowdpoint.predict.torch import build
from crowdpoint.recipe import Recipe
from crowdpoint.train.data import split

HELD_OUT = 0.2
"""Fraction of the photos held out for validation, if the folder has no `val`."""

HEAD_SIDE = 24.0
"""Median side in pixels that large heads without annotated boxes are shrunk to."""

SHORTEST = 512
"""Minimum long side in pixels of shrunk photos."""


def plan(
    model: Recipe, predictor: Predictor, dataset: str, data: Path, overrides: Iterable[str] = ()
) -> Recipe:
    """Turn the recipe of a trained model into that of its fine-tuning.

    Freezes pretrained parts and their norms, which a few hundred steps on few photos would degrade. The
    threshold is calibrated only if there are enough validation photos. Large photos are shrunk by the sizes
    of the heads that `predictor` finds. `overrides` are further changes, as `--set` takes them; a value that
    one of them names is not chosen here. Trackers of the model's training do not record this one.

    Raises:
        ConfigError: if an override is not valid.
        DatasetError: if there are too few photos.
        FormatError: if an annotation cannot be read.
        ImageError: if a photo cannot be read.
    """
    values = model.model_dump(mode="json")
    values["data"] = [{"name": dataset}]
    with torch.device("meta"):
        network = build(model.model)
    values["optimizer"] |= {
        "frozen": [name for name, _ in network.named_children() if network.is_pretrained(f"{name}.")],
        "schedule": "cosine",
        "warmup": 20,
        "ema": 0.99,
    }
    values["run"] |= {
        **{"steps": 300, "epochs": 0, "images": 8, "held_out": HELD_OUT, "protocol": "held-out"},
        **{"sampling": "random", "precision": "fp32", "checkpoint_every": 50, "loggers": []},
    }
    del values["run"]["validate_every"], values["run"]["calibrate"]  # only an override names them now
    for override in overrides:
        apply(values, override)
    recipe = parse_recipe(values, "finetune")
    training, validating = split(recipe.data[0], data, recipe.run)
    steps = recipe.resolve_steps(len(training)).run.steps
    values["run"] = {"validate_every": steps, "calibrate": len(validating) >= FEWEST} | values["run"]
    if "max_side" not in values["data"][0]:
        values["data"][0]["max_side"] = choose_longest_side(predictor, training)
    return parse_recipe(values, "finetune").resolve_steps(len(training))


def load_plan(run: Path, weights: Path) -> Recipe:
    """Load the recipe of a fine-tuning to resume, and check that it began with these weights of a model.

    Raises:
        ModelError: if there is no complete checkpoint.
        ConfigError: if its method or the weights of its frozen parts are others.
    """
    state, recipe = checkpoint.load(run / "last")
    theirs, model = checkpoint.load(weights)
    parts = [f"{part}.*" for part in recipe.optimizer.frozen]
    frozen = [name for name in state if any(fnmatchcase(name, part) for part in parts)]
    same = all(name in theirs and torch.equal(state[name], theirs[name].to(state[name])) for name in frozen)
    if recipe.model.method != model.model.method or not same:
        raise ConfigError(
            f"{run}: cannot resume, it was not fine-tuned from {weights}; give the model that it began with, "
            "or choose another --out for a new run"
        )
    return recipe


def choose_longest_side(predictor: Predictor, samples: Sequence[Sample]) -> int | None:
    """Choose the longest side in pixels at which heads have sizes as in training.

    None if the annotations have boxes, the model predicts no sizes, or the heads are small enough.
    """
    if not predictor.info.predicts_sizes or any(sample.points().sizes is not None for sample in samples):
        return None
    sides, longest = [], 0
    for sample in samples:
        found = predictor.predict(sample.image)
        longest = max(longest, *(found.image_size or (0,)))
        if found.sizes is not None:
            sides.extend(found.sizes[:, 0].tolist())
    if not sides or np.median(sides) <= LARGE:
        return None
    return max(SHORTEST, int(longest * HEAD_SIDE / np.median(sides)))
