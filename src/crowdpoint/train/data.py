"""Prepare batches of random crops. A batch depends on the seed and the step only, also in a resumed run."""

import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from crowdpoint import datasets, rasters
from crowdpoint.datasets import Sample
from crowdpoint.errors import ConfigError, CrowdpointError, TrainingError
from crowdpoint.formats.pixels import move_off_borders
from crowdpoint.methods import METHODS
from crowdpoint.metrics import filter_by_region
from crowdpoint.points import FloatArray, Picture, Points
from crowdpoint.recipe import DataConfig, Recipe, RunConfig
from crowdpoint.tiles import Box
from crowdpoint.train.transforms import random_crops, shrink


class Batch(NamedTuple):
    """Crops of one step.

    Attributes:
        images: (B, 3, crop, crop) uint8 RGB, channels last in memory.
        boxes: (N, 4) float32, the heads of all crops one after another: (x, y) in their crop's pixels, then
            width and height of the box, or NaN. One tensor, because each sent tensor holds a file descriptor.
        counts: number of heads in and around each crop.
        shown: width and height of the part of each crop that shows the image; the rest is padding.
        borders: left, top, right and bottom of the image that each crop is cut from, in pixels of the crop.
        names: the image that each crop comes from.
    """

    images: Tensor
    boxes: Tensor
    counts: list[int]
    shown: list[list[int]]
    borders: list[list[int]]
    names: list[str]

    def heads(self) -> list[Points]:
        """Return the heads in and around each crop, with the size of the crop without its padding."""
        boxes = (own.numpy() for own in torch.split(self.boxes, self.counts))
        return [
            Points(
                own[:, :2], sizes=own[:, 2:] if np.isfinite(own).all() else None, image_size=(width, height)
            )
            for own, (width, height) in zip(boxes, self.shown, strict=True)
        ]

    def image_borders(self) -> list[Box]:
        """Return the borders of the image that each crop is cut from, in pixels of the crop."""
        return [(left, top, right, bottom) for left, top, right, bottom in self.borders]


def split(data: DataConfig, root: Path, run: RunConfig) -> tuple[list[Sample], list[Sample]]:
    """Split the images of a dataset into training and validation images.

    Validation uses the `val` split, if there is one; otherwise, a random fraction `run.held_out` of the
    training images, or, with the papers' protocol, the test split or the fold that is left out.

    Raises:
        DatasetError: if the dataset is missing or has too few images.
        FormatError: if a list of images cannot be read.
        ConfigError: if the papers' protocol has no validation images.
    """
    root = root / data.path
    samples, left_out = datasets.load(data.name, root, "train", data.classes), None
    if data.fold:
        samples, left_out = datasets.split_folds(samples, data.folds, run.seed)[data.fold - 1]
    if "val" in datasets.list_splits(data.name, root):
        return samples, datasets.load(data.name, root, "val", data.classes)
    if run.protocol == "held-out":
        return datasets.split_holdout(samples, run.held_out, run.seed)
    validation = left_out or datasets.load(data.name, root, "test", data.classes)
    if {sample.image for sample in samples} & {sample.image for sample in validation}:
        raise ConfigError(
            f"run.protocol: {data.name} has no validation images besides the training images; leave out a "
            "fold with data.0.fold or crowdpoint crossvalidate, or give a folder val or test"
        )
    return samples, validation


class Budget:
    """Memory in bytes that the datasets of a process share for decoded pixels."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> bool:
        """Reserve `size` bytes, and tell whether they fit."""
        if size > self._left:
            return False
        self._left -= size
        return True


class AnnotatedImages:
    """Images and points of one dataset, decoded at first use and cached while they fit in `budget`."""

    def __init__(self, samples: Sequence[Sample], config: DataConfig, budget: Budget) -> None:
        self.samples = samples
        self.config = config
        self._budget = budget
        self._kept: dict[int, tuple[Picture, Points]] = {}

    def __getitem__(self, index: int) -> tuple[Picture, Points]:
        """Return an image (H, W, 3) and its points, shrunk to the dataset's `max_side`.

        Outside of a region of interest, the image is black: what is there is not annotated.
        """
        if index in self._kept:
            return self._kept[index]
        sample = self.samples[index]
        image, points, region = rasters.read(sample.image), sample.points(), sample.region()
        if region is not None:
            image, points = image * region[..., None], filter_by_region(points, region)
        # Off the borders, heads stay in their pixel when they are flipped.
        points = replace(points, xy=move_off_borders(points.xy))
        pair = shrink(image, points, self.config.max_side)
        if self._budget.take(pair[0].nbytes):
            self._kept[index] = pair
        return pair


class CropBatches:
    """Batches of a run by step, for one of `world_size` processes with even shares of each batch.

    The n-th image of a step depends on the seed, the step and n only, not on the number of processes.
    """

    def __init__(
        self, sources: Sequence[AnnotatedImages], recipe: Recipe, rank: int = 0, world_size: int = 1
    ) -> None:
        self.sources = sources
        self.recipe = recipe
        self._reach = METHODS[recipe.model.method].reach(recipe.model)
        share = recipe.run.images // world_size
        self._own = range(rank * share, (rank + 1) * share)
        weights = np.array([source.config.weight for source in sources])
        self._chances = weights / weights.sum()
        self._all = [(source, index) for source in sources for index in range(len(source.samples))]

    def __len__(self) -> int:
        return self.recipe.run.steps

    def __getitem__(self, step: int) -> Batch:
        pixels, heads, shown, borders, names = [], [], [], [], []
        for number in self._own:
            rng = np.random.default_rng((self.recipe.run.seed, step, number))
            source, index = self._draw_image(step, number, rng)
            image, points = source[index]
            for crop, near, border in random_crops(image, points, self.recipe.augment, rng, self._reach):
                pixels.append(crop)
                heads.append(_build_boxes(near))
                shown.append([*(near.image_size or crop.shape[1::-1])])
                borders.append([*border])
                names.append(str(source.samples[index].image))
        return Batch(
            torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2),
            torch.from_numpy(np.concatenate(heads)),
            [len(points) for points in heads],
            shown,
            borders,
            names,
        )

    def _draw_image(self, step: int, number: int, rng: np.random.Generator) -> tuple[AnnotatedImages, int]:
        run = self.recipe.run
        if run.sampling == "passes":
            epoch, position = divmod(step * run.images + number, len(self._all))
            # The last number of the keys of crops is below `run.images`.
            order = np.random.default_rng((run.seed, epoch, run.images)).permutation(len(self._all))
            return self._all[int(order[position])]
        source = self.sources[rng.choice(len(self.sources), p=self._chances)]
        return source, int(rng.integers(len(source.samples)))


def _build_boxes(heads: Points) -> FloatArray:
    sizes = np.full((len(heads), 2), np.nan, np.float32) if heads.sizes is None else heads.sizes
    return np.concatenate((heads.xy, sizes), axis=1)


def load_batches(batches: CropBatches, first: int) -> Iterator[Batch]:
    """Load the batches from step `first` on; the recipe's workers prepare them ahead.

    Raises:
        TrainingError: if a worker was killed.
        CrowdpointError: as `Sample.points` and `rasters.read`, also from workers.
    """
    workers = batches.recipe.run.workers
    loader: DataLoader[Batch | CrowdpointError] = DataLoader(
        range(first, len(batches)),  # type: ignore[arg-type]
        batch_size=None,
        collate_fn=partial(_prepare, batches),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_outlive_interrupt,
        generator=torch.Generator(),  # the default one would also be drawn from after each resume
    )
    try:
        for batch in _begin(loader):
            if isinstance(batch, CrowdpointError):
                raise batch
            yield batch
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise TrainingError(
            "a process that prepares batches was killed, probably because memory is short; lower run.cache "
            "or run.workers, and resume the run"
        ) from error


def _prepare(batches: CropBatches, step: int) -> Batch | CrowdpointError:
    """Prepare a batch, or return its error; an exception of a worker has its traceback as message."""
    try:
        return batches[step]
    except CrowdpointError as error:
        return error


def _begin(loader: DataLoader[Batch | CrowdpointError]) -> Iterator[Batch | CrowdpointError]:
    """Start the workers without torch's handler of SIGCHLD, which raises in the middle of a step.

    A worker that was killed is an error when its batch is due.
    """
    before = signal.getsignal(signal.SIGCHLD)
    iterator = iter(loader)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, before)
    return iterator


def _outlive_interrupt(_worker: int) -> None:
    """Ignore SIGINT and SIGTERM, which the training process handles for the group."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
