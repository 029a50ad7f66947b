"""Measures the gradient of each term of the loss in each part of a network, to choose the terms' weights.

    python scripts/measure_gradients.py runs/p2pnet-lite/last --data DIR

Adam divides by the root mean square of the sum of all terms, so that a term with large, noisy gradients slows
down what the other terms teach the layers that they share. Prints for each part and term the root mean square
over the batches of the gradient's norm, and the norm of the mean gradient. Training itself is unchanged.
"""

import argparse
from collections import defaultdict
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
from crowdpoint.train.data import AnnotatedImages, Budget, CropBatches, loader, split


def gradients(
    network: ImageModel, recipe: Recipe, data: Path, batches: int
) -> dict[tuple[str, str], list[Tensor]]:
    """The flat gradients of batches, by the part of the network and the term of the loss."""
    sources = [AnnotatedImages(split(part, data, recipe.run)[0], part, Budget(0)) for part in recipe.data]
    found = defaultdict(list)
    for batch in islice(loader(CropBatches(sources, recipe, 0, 1), 0), batches):
        outputs = network.raw(batch.images.float())
        loss = METHODS[recipe.model.method].loss
        terms = loss(outputs, batch.heads(), batch.image_borders(), recipe, lambda count: count)
        for term, value in terms.items():
            network.zero_grad()
            torch.autograd.backward(value, retain_graph=True)
            for part, module in network.named_children():
                if own := [each for each in module.parameters() if each.requires_grad]:
                    whole = [torch.zeros_like(each) if each.grad is None else each.grad for each in own]
                    found[part, term].append(torch.cat([each.flatten() for each in whole]))
    return found


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
    rows = []
    for (part, term), own in gradients(network, recipe, arguments.data, arguments.batches).items():
        stacked = torch.stack(own)
        mean_square = stacked.square().sum(dim=1).mean()
        rows.append((part, term, f"{mean_square.sqrt():.1e}", f"{stacked.mean(dim=0).norm():.1e}"))
    print_table(("part", "term", "RMS of the norm", "norm of the mean"), sorted(rows))


if __name__ == "__main__":
    main()
