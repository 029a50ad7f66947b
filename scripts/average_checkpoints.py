"""Averages the weights of several trainings of one network, and calibrates the average's threshold.

    python scripts/average_checkpoints.py runs/a/best runs/b/best --data ShanghaiTech --out runs/mean

Trainings that began from the same weights have an average that is often better than each of them (Wortsman
et al., Model soups, 2022). A checkpoint that is named twice weighs twice. The recipe is the first one's, but
for what `--set` changes, such as how points are found. Prints the metrics on the recipe's held-out images.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from crowdpoint import checkpoint
from crowdpoint.config import load_recipe
from crowdpoint.errors import ModelError
from crowdpoint.predict import Predictor
from crowdpoint.predict.torch import TorchEngine, build, describe
from crowdpoint.recipe import Recipe
from crowdpoint.train.data import AnnotatedImages, Budget, split
from crowdpoint.train.validation import Validation, validate


def average(folders: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of checkpoints' weights, by name; what is no floating-point number is the first one's.

    Raises:
        ModelError: if one is incomplete, or of another network than the first.
    """
    mean: dict[str, Tensor] = {}
    for number, folder in enumerate(folders, start=1):
        weights, _ = checkpoint.load(folder)
        if mean and _shapes(weights) != _shapes(mean):
            raise ModelError(f"{folder}: is not of the network that {folders[0]} is of")
        for name, tensor in weights.items():
            before = mean.setdefault(name, tensor.double() if tensor.is_floating_point() else tensor)
            if tensor.is_floating_point():
                before += (tensor - before) / number
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in mean.items()}


def judged(weights: Mapping[str, Tensor], recipe: Recipe, data: Path, threshold: float | None) -> Validation:
    """How well weights do on held-out images of a recipe; None for the threshold that counts these best."""
    held_out = [AnnotatedImages(split(part, data, recipe.run)[1], part, Budget(0)) for part in recipe.data]
    network = build(recipe.model).eval()
    network.load_state_dict(weights)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return validate(
        Predictor(TorchEngine(network, describe(network, recipe, "average"))), held_out, threshold
    )


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}


def main() -> None:
    """Writes the average and prints a line about it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True, help="the folder that training read")
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint to write")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe")
    parser.add_argument("--threshold", type=float, help="do not calibrate the threshold, only the interval")
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.checkpoints[0] / checkpoint.CONFIG, arguments.set)
    weights = average(arguments.checkpoints)
    found = judged(weights, recipe, arguments.data, arguments.threshold)
    checkpoint.save(arguments.out, weights, recipe.update_calibration(found.threshold, found.interval))
    interval = found.interval
    bounds = f"interval -{interval.below:.3f} +{interval.above:.3f}" if interval else "no interval"
    print(f"{arguments.out}: threshold {found.threshold:.2f}  merit {found.merit:.4f}  {bounds}")
    for label, report in found.reports.items():
        located = "  ".join(f"f1_{sigma} {score.f1:.4f}" for sigma, score in report.localization.items())
        print(
            f"{label}: {report.images} images  mae {report.mae:.2f}  rmse {report.rmse:.1f}  "
            f"error {found.errors[label]:.4f}  {located}"
            + (f"  coverage {found.coverage[label]:.2f}" if label in found.coverage else "")
        )


if __name__ == "__main__":
    main()
