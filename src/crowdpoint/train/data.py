"""Batches of random crops, each a pure function of the seed and the step.

A run that resumes at step n therefore sees the batches that an uninterrupted one would have seen.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from crowdpoint import images
from crowdpoint.config import DataConfig, Recipe
from crowdpoint.datasets import Sample
from crowdpoint.points import Points
from crowdpoint.train.transforms import Image, capped, random_crops


class Batch(NamedTuple):
    """Crops of one step.

    Attributes:
        images: (B, 3, crop, crop) uint8 RGB, channels last in memory.
        heads: B tensors (N_i, 2) float32, (x, y) in the crop's pixels; N_i may be 0.
        names: the image that each crop comes from.
    """

    images: Tensor
    heads: list[Tensor]
    names: list[str]


class Annotated:
    """The images and points of one dataset, decoded at first use and kept while they fit.

    Args:
        samples: what to read.
        config: the dataset's part of the recipe.
        budget: bytes of pixels to keep; what is beyond is decoded again each time.
    """

    def __init__(self, samples: Sequence[Sample], config: DataConfig, budget: int) -> None:
        self.samples = samples
        self.weight = config.weight
        self._max_side = config.max_side
        self._budget = budget
        self._kept: dict[int, tuple[Image, Points]] = {}

    def __getitem__(self, index: int) -> tuple[Image, Points]:
        """Image (H, W, 3) and its points, shrunk to the dataset's cap."""
        if index in self._kept:
            return self._kept[index]
        sample = self.samples[index]
        pair = capped(images.read(sample.image), sample.points(), self._max_side)
        if pair[0].nbytes <= self._budget:
            self._budget -= pair[0].nbytes
            self._kept[index] = pair
        return pair


class CropBatches(Dataset[Batch]):
    """The batches of a run by step, for one process of `world_size`.

    Args:
        sources: the datasets, drawn by weight; a dataset's images are drawn evenly.
        recipe: crops and batch size.
        rank: this process.
        world_size: number of processes, among which the images of a batch are split.
    """

    def __init__(
        self, sources: Sequence[Annotated], recipe: Recipe, rank: int = 0, world_size: int = 1
    ) -> None:
        self.sources = sources
        self.recipe = recipe
        self.rank = rank
        self.images = recipe.run.images // world_size
        weights = np.array([source.weight for source in sources])
        self._shares = weights / weights.sum()

    def __len__(self) -> int:
        return self.recipe.run.steps

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self.recipe.run.seed, step, self.rank))
        pixels, heads, names = [], [], []
        for choice in rng.choice(len(self.sources), size=self.images, p=self._shares):
            source = self.sources[choice]
            index = int(rng.integers(len(source.samples)))
            image, points = source[index]
            for crop, inside in random_crops(image, points, self.recipe.augment, rng):
                pixels.append(crop)
                heads.append(torch.from_numpy(inside.xy.copy()))
                names.append(str(source.samples[index].image))
        return Batch(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), heads, names)


def loader(batches: CropBatches, first: int) -> DataLoader[Batch]:
    """The batches from step `first` to the end, prepared ahead by the recipe's workers."""
    workers = batches.recipe.run.workers
    return DataLoader(
        batches,
        batch_size=None,
        sampler=range(first, len(batches)),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
