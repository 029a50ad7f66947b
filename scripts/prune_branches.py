"""Average checkpoints of a light P2PNet, and prune its branches to the hidden channels of a new network.

    python scripts/prune_branches.py runs/a/last runs/b/last --data DIR --out runs/pruned

Removes the channel that the others replace best, again and again, and fits the output layer by least squares
on crops of the recipe's training images. Of the two logits, only the difference matters.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from average_checkpoints import average
from torch import Tensor, nn

from crowdpoint import checkpoint
from crowdpoint.backbones.layers import leaky_relu
from crowdpoint.methods.p2pnet.network import P2PNet
from crowdpoint.predict.torch import build
from crowdpoint.recipe import Recipe
from crowdpoint.train.data import AnnotatedImages, Budget, CropBatches, split

BATCHES = 24
BRANCHES = ("regression", "classification", "size")


def load_network(weights: Mapping[str, Tensor], recipe: Recipe) -> P2PNet:
    """The recipe's network with the given weights, but those of its branches."""
    network = cast(P2PNet, build(recipe.model).eval())
    network.load_state_dict(
        network.state_dict() | {n: w for n, w in weights.items() if n.partition(".")[0] not in BRANCHES}
    )
    return network


def measure_products(
    weights: Mapping[str, Tensor], network: P2PNet, recipe: Recipe, data: Path
) -> dict[str, Tensor]:
    """Sum the products of each branch's hidden values over cells of crops, by the weight of the cells."""
    images = [AnnotatedImages(split(part, data, recipe.run)[0], part, Budget(0)) for part in recipe.data]
    batches = CropBatches(images, recipe.resolve_steps(sum(len(part.samples) for part in images)))
    products: dict[str, Tensor] = {}
    for step in range(BATCHES):
        crops = network.frame(batches[step].images.float())
        features = network.shared(network.pyramid(network.backbone(crops)))
        values = {name: hidden_values(weights, name, features) for name in BRANCHES}
        logits = values["classification"] @ output_weights(weights, "classification").T
        scores = logits.softmax(dim=1)[:, 1:]
        for name, hidden in values.items():
            # Of a logit, what its change does to the score matters; of offsets and sizes, those of heads.
            weight = (scores * (1 - scores)).square() if name == "classification" else scores
            products[name] = products.get(name, torch.zeros(())) + hidden.T @ (weight * hidden)
    return products


def hidden_values(weights: Mapping[str, Tensor], name: str, features: Tensor) -> Tensor:
    """The hidden values (cells, C + 1) of a branch in float64, with a constant 1 as the last."""
    hidden = nn.functional.conv2d(features, weights[f"{name}.0.weight"], weights[f"{name}.0.bias"])
    values = leaky_relu()(hidden).permute(0, 2, 3, 1).flatten(0, 2)
    return torch.cat((values, torch.ones(len(values), 1)), dim=1).double()


def output_weights(weights: Mapping[str, Tensor], name: str) -> Tensor:
    """The weights (N, C + 1) of a branch's output layer in float64, with the bias as the last column."""
    layer = weights[f"{name}.2.weight"].flatten(1), weights[f"{name}.2.bias"][:, None]
    return torch.cat(layer, dim=1).double()


def prune(products: Tensor, outputs: Tensor, channels: int) -> tuple[list[int], Tensor]:
    """Choose the hidden channels to keep.

    Args:
        products: (C + 1, C + 1), as `measure_products` sums them.
        outputs: (N, C + 1) weights of the output layer, with the bias as the last column.
        channels: number of channels to keep.

    Returns:
        The channels, and the output layer's new weights (N, channels + 1).
    """
    products = products / products[-1, -1]
    products += 1e-9 * products.diagonal().mean() * torch.eye(len(products))
    kept = list(range(len(products)))
    while True:
        inverse = torch.linalg.inv(products[kept][:, kept])
        fitted = outputs @ products[:, kept] @ inverse
        if len(kept) == channels + 1:
            return kept[:-1], fitted
        error = fitted.square().sum(dim=0) / inverse.diagonal()  # of the outputs, if a channel is removed
        kept.pop(int(error[:-1].argmin()))


def main() -> None:
    """Writes the checkpoint, and prints how much the outputs change."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True, help="the folder that training read")
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint to write")
    arguments = parser.parse_args()
    weights, recipe = average(arguments.checkpoints), checkpoint.load(arguments.checkpoints[0])[1]
    network = load_network(weights, recipe)
    with torch.no_grad():
        products = measure_products(weights, network, recipe, arguments.data)
    pruned = dict(network.state_dict())
    for name in BRANCHES:
        outputs = output_weights(weights, name)
        if name == "classification":
            outputs = outputs - outputs.mean(dim=0)
        kept, fitted = prune(products[name], outputs, len(pruned[f"{name}.0.bias"]))
        pruned[f"{name}.0.weight"] = weights[f"{name}.0.weight"][kept]
        pruned[f"{name}.0.bias"] = weights[f"{name}.0.bias"][kept]
        pruned[f"{name}.2.weight"] = fitted[:, :-1, None, None].float().contiguous()
        pruned[f"{name}.2.bias"] = fitted[:, -1].float().contiguous()
        outputs[:, [*kept, -1]] -= fitted
        changes = (outputs @ products[name] * outputs).sum(dim=1) / products[name][-1, -1]
        print(f"{name}: outputs change by {changes.mean().sqrt():.4f} (root mean square)")
    checkpoint.save(arguments.out, pruned, recipe)


if __name__ == "__main__":
    main()
