"""Measures the gradient of each term of the loss in each part of a network, to choose the terms' weights.

    python scripts/measure_gradients.py runs/p2pnet-lite/last --data DIR

Adam divides by the root mean square of the sum of all terms, so that a term with large, noisy gradients slows
down what the other terms teach the layers that they share. Prints for each part and term the root mean square
over the batches of the gradient's norm, and the norm of the mean gradient. Training itself is unchanged.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from crowdpoint import checkpoint
from crowdpoint.backbones.framing import ImageModel
from crowdpoint.config import load_recipe
from crowdpoint.console import print_table
from crowdpoint.methods import METHODS
from crowdpoint.predict.torch import build
from crowdpoint.recipe import Recipe
from crowdpoint.train.data import AnnotatedImages, Budget, CropBatches, load_batches, split


def gradients(network: ImageModel, recipe: Recipe, data: Path) -> Iterator[dict[tuple[str, str], Tensor]]:
    """The flat gradients of each batch, without end, by the part of the network and the term of the loss."""
    sources = [AnnotatedImages(split(part, data, recipe.run)[0], part, Budget(0)) for part in recipe.data]
    loss = METHODS[recipe.model.method].loss
    trained = [(name, weight) for name, weight in network.named_parameters() if weight.requires_grad]
    names, weights = zip(*trained, strict=True)
    parts = [name.partition(".")[0] for name in names]
    for batch in load_batches(CropBatches(sources, recipe, 0, 1), 0):
        outputs = network.raw(batch.images.float())
        found: dict[tuple[str, str], list[Tensor]] = defaultdict(list)
        terms = loss(outputs, batch.heads(), batch.image_borders(), recipe, lambda count: count)
        for term, value in terms.items():
            own = torch.autograd.grad(value, weights, retain_graph=True, materialize_grads=True)
            for part, gradient in zip(parts, own, strict=True):
                found[part, term].append(gradient.flatten())
        yield {key: torch.cat(own) for key, own in found.items()}


def main() -> None:
    """Prints a table of the gradients."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="the folder that training read")
    parser.add_argument("--batches", type=int, default=30, help="number of batches (%(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe")
    arguments = parser.parse_args()
    weights, _ = checkpoint.load(arguments.checkpoint)
    recipe = load_recipe(arguments.checkpoint / checkpoint.CONFIG, arguments.set)
    network = build(recipe.model).train()
    network.load_state_dict(weights)
    network.freeze(recipe.optimizer.frozen)
    square: dict[tuple[str, str], float] = defaultdict(float)
    mean: dict[tuple[str, str], Tensor] = {}
    batches = 0
    for batch in islice(gradients(network, recipe, arguments.data), arguments.batches):
        batches += 1
        for key, gradient in batch.items():
            square[key] += gradient.square().sum().item()
            mean[key] = mean.get(key, 0) + gradient
    rows = [
        (*key, f"{(square[key] / batches) ** 0.5:.1e}", f"{mean[key].norm() / batches:.1e}")
        for key in sorted(mean)
    ]
    print_table(("part", "term", "RMS of the norm", "norm of the mean"), rows)


if __name__ == "__main__":
    main()
