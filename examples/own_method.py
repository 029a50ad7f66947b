"""Adds a small method of one's own and trains it: `python examples/own_method.py crowds --steps 300`.

Needs `pip install '.[train]'`. The method has one proposal in each cell of 8 x 8 pixels. This file holds it
whole: configuration, network, loss and decoder. The images are drawn, a bright square for each head.
"""

import argparse
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import crowdpoint
from crowdpoint import datasets, formats
from crowdpoint.backbones.branches import Branch
from crowdpoint.backbones.framing import ImageModel
from crowdpoint.methods import Method, OverProcesses, Piece, register
from crowdpoint.methods.p2pnet.config import GatherConfig
from crowdpoint.methods.p2pnet.decode import decode_proposals
from crowdpoint.points import Points
from crowdpoint.recipe import AugmentConfig, DataConfig, ModelConfig, OptimizerConfig, Recipe, RunConfig
from crowdpoint.tiles import Box
from crowdpoint.train.loop import train

CELL = 8
"""Side of a cell in pixels."""


class CellsConfig(ModelConfig):
    """The section `model` of a recipe."""

    method: Literal["cells"] = "cells"
    """One proposal a cell."""
    width: int = 32
    """Channels of the network."""


class CellsRecipe(Recipe):
    """A training of the method; sections of its own, such as weights of the loss, would be fields here."""

    model: CellsConfig
    """The network."""


class Cells(NamedTuple):
    """What the loss sees: (B, h, w, 2) points in pixels, and (B, h, w) logits of a head in the cell."""

    points: Tensor
    logits: Tensor


class CellsNetwork(ImageModel):
    """Three convolutions with a stride of 2, and one that returns two offsets and a logit for each cell."""

    def __init__(self, width: int) -> None:
        super().__init__(alignment=CELL)
        channels = (3, width // 2, width, width)
        layers = [nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(channels)]
        self.body = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))
        self.output = nn.Conv2d(width, 3, 3, padding=1)

    def raw(self, images: Tensor) -> Cells:
        """Predict for training, from images (B, 3, H, W)."""
        values = self.output(self.body(self.frame(images))).float().permute(0, 2, 3, 1)  # (B, h, w, 3)
        rows, columns = (torch.arange(side, device=values.device) for side in values.shape[1:3])
        centers = CELL * (torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1) + 0.5)
        return Cells(centers + CELL * values[..., :2], values[..., 2])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Predict points (B, M, 2) in pixels and scores (B, M)."""
        cells = self.raw(images)
        return cells.points.flatten(1, 2), cells.logits.sigmoid().flatten(1)

    def branches(self) -> dict[str, Branch]:
        """The last layer, which training watches for constant outputs."""
        return {"cells": Branch((), self.output)}


class CellsMethod(Method[CellsConfig, CellsRecipe]):
    """One proposal a cell: the cell's head, if it has one."""

    name = "cells"
    config = CellsConfig
    recipe = CellsRecipe

    def outputs(self, config: CellsConfig) -> tuple[str, ...]:
        """Return the names of what `CellsNetwork.forward` returns."""
        return ("points", "scores")

    def network(self, config: CellsConfig) -> CellsNetwork:
        """Build the network."""
        return CellsNetwork(config.width)

    def decode(
        self, config: CellsConfig, pieces: Iterable[Piece], image_size: tuple[int, int], least: float = 0.0
    ) -> Points:
        """Collect the proposals of all tiles as P2PNet does, whose outputs have the same form."""
        return decode_proposals(pieces, image_size, least, gather=GatherConfig())

    def loss(
        self,
        outputs: Cells,
        heads: Sequence[Points],
        borders: Sequence[Box],
        recipe: CellsRecipe,
        over_processes: OverProcesses,
    ) -> dict[str, Tensor]:
        """Compare each cell with its head: whether there is one, and where."""
        wanted = torch.zeros_like(outputs.logits)
        errors = []
        for number, own in enumerate(heads):
            xy = torch.from_numpy(own.inside().xy.copy()).to(wanted.device)
            column, row = (xy / CELL).long().T
            wanted[number, row, column] = 1
            errors.append((outputs.points[number, row, column] - xy).square().sum(dim=1) / CELL**2)
        count = torch.tensor(float(sum(map(len, errors))), device=wanted.device)
        return {
            "score": nn.functional.binary_cross_entropy_with_logits(outputs.logits, wanted),
            "point": 0.1 * torch.cat(errors).sum() / over_processes(count).clamp(min=1),
        }


def draw(folder: Path, images: int = 12) -> None:
    """Draw a dataset: photos of noise with bright squares, and the points in their middles."""
    rng = np.random.default_rng(0)
    heads = {}
    for number in range(images):
        pixels = rng.integers(0, 60, (96, 128, 3), np.uint8)
        corners = rng.integers((0, 0), (122, 90), (15, 2))
        for x, y in corners:
            pixels[y : y + 6, x : x + 6] = (255, 220, 180)
        heads[f"{number}.png"] = Points((corners + 3).astype(np.float32), image_size=(128, 96))
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    formats.write(folder / "points.csv", heads)


def main() -> None:
    """Draws, trains, and counts the first image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to draw the images")
    parser.add_argument("--out", type=Path, default="runs/cells", help="folder of the run (%(default)s)")
    parser.add_argument("--steps", type=int, default=300, help="steps of training (%(default)s)")
    parser.add_argument("--accelerator", default="auto", help="auto, cpu or cuda (%(default)s)")
    arguments = parser.parse_args()

    register(CellsMethod())
    draw(arguments.folder)
    recipe = CellsRecipe(
        model=CellsConfig(),
        data=(DataConfig(name="folder"),),
        augment=AugmentConfig(crop=64, crops_per_image=2),
        optimizer=OptimizerConfig(rate=3e-3, clip=1.0),
        run=RunConfig(steps=arguments.steps, images=4, workers=0, validate_every=100),
    )
    train(recipe, arguments.folder, arguments.out, accelerator=arguments.accelerator)

    predictor = crowdpoint.load(arguments.out / "best")
    sample = datasets.load("folder", arguments.folder)[0]
    print(f"{sample.name}: {len(predictor.predict(sample.image))} found, {len(sample.points())} annotated")


if __name__ == "__main__":
    main()
