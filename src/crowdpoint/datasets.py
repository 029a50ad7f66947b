"""The datasets of the papers, read from the folders in which their authors distribute them.

A dataset is one small function that pairs images with annotations; what it yields is a list of `Sample`.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crowdpoint import folders, formats, images
from crowdpoint.errors import ConfigError, DatasetError, FormatError
from crowdpoint.formats import image_names, jhu, mat, nwpu_crowd, trancos
from crowdpoint.formats.text import at, rows, whole
from crowdpoint.points import Points

AnnotationReader = Callable[[Path, tuple[int, int]], Points]


@dataclass(frozen=True)
class Sample:
    """An image and where its annotation is.

    Attributes:
        name: the image file's name without its ending, such as `IMG_1`.
        image: the image file.
        annotation: the file with its points; None where the authors keep it to themselves.
        reader: reads `annotation`, given the image's (width, height).
        mask: the file with the region in which objects count; None where they count everywhere.
        labels: what the dataset says of the whole image, such as `luminance`, in its own values; `count`
            is the number of objects.
    """

    name: str
    image: Path
    annotation: Path | None
    reader: AnnotationReader = field(repr=False)
    mask: Path | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    def points(self) -> Points:
        """The annotated points, read now, with the image's size from its header.

        Points outside the image stay: annotations are not altered.

        Raises:
            DatasetError: if there is no annotation.
            FormatError: if the annotation cannot be read.
            ImageError: if the image's header, or an annotation that is a picture, cannot be read.
        """
        if self.annotation is None:
            raise DatasetError(
                f"{self.image}: its authors do not publish its annotation; choose another split, or predict"
            )
        return self.reader(self.annotation, images.read_size(self.image))

    def region(self) -> npt.NDArray[np.bool_] | None:
        """(H, W) True where objects count, read now; None where they count everywhere.

        Raises:
            FormatError: if the mask cannot be read or has another size than the image.
            ImageError: if the image's header cannot be read.
        """
        return None if self.mask is None else trancos.read_mask(self.mask, images.read_size(self.image))

    def files(self) -> dict[str, Path]:
        """The files it should have by what they are: image, annotation, mask."""
        found = {"image": self.image, "annotation": self.annotation, "mask": self.mask}
        return {kind: path for kind, path in found.items() if path is not None}


@dataclass(frozen=True)
class Dataset:
    """How to find the samples of one dataset.

    Attributes:
        splits: the names of its splits.
        samples: lists the samples of a split under the dataset's root folder, in any order.
        stated_count: the number of objects that a file of annotations states beside its points; None where
            it states none.
    """

    splits: tuple[str, ...]
    samples: Callable[[Path, str], list[Sample]]
    stated_count: Callable[[Path], int | None] = lambda path: None  # noqa: ARG005  # most state none


def load(name: str, root: Path, split: str = "train") -> list[Sample]:
    """The samples of a split in natural order of their names (IMG_2 before IMG_10).

    Args:
        name: one of `DATASETS`.
        root: the folder as the dataset's authors distribute it; for ShanghaiTech the one that holds
            `part_A…` and `part_B…`.
        split: `train`, `test` or what else the dataset has.

    Raises:
        ConfigError: for an unknown name or split.
        DatasetError: for a folder or file that is missing.
        FormatError: if a list of images or labels cannot be read.
    """
    samples = listing(name, root, split)
    for sample in samples:
        for kind, path in sample.files().items():
            if not path.is_file():
                raise DatasetError(f"{sample.image}: its {kind} is missing; expected {path}")
    for sample, following in itertools.pairwise(samples):
        if sample.name == following.name:
            raise DatasetError(f"{following.image}: has the same name as {sample.image}; rename one of them")
    return samples


def listing(name: str, root: Path, split: str) -> list[Sample]:
    """As `load`, but files that a sample should have may be missing, and names may come twice."""
    if name not in DATASETS:
        raise ConfigError(f"{name}: no such dataset; known are {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    if split not in dataset.splits:
        raise ConfigError(f"{name}: no split {split}; it has {', '.join(dataset.splits)}")
    return _ordered(dataset.samples(Path(root), split))


def holdout(
    samples: Sequence[Sample], fraction: float = 0.1, seed: int = 0
) -> tuple[list[Sample], list[Sample]]:
    """Sets a seeded random part of the samples aside, whatever order they come in.

    Args:
        samples: at least two.
        fraction: the part to set aside, above 0 and below 1; the number of samples is rounded up.
        seed: which part.

    Returns:
        (training, validation) samples, each in natural order of their names.

    Raises:
        ValueError: if `fraction` is out of range.
        DatasetError: if there are too few samples to fill both.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: expected a number between 0 and 1, found {fraction}")
    count = math.ceil(round(fraction * len(samples), 6))  # 0.07 * 100 is a little over 7
    if count >= len(samples):
        raise DatasetError(
            f"cannot hold out {count} of {len(samples)} images for validation; give more images"
        )
    shuffled = _shuffled(samples, seed)
    return _ordered(shuffled[count:]), _ordered(shuffled[:count])


def folds(samples: Sequence[Sample], k: int = 5, seed: int = 0) -> list[tuple[list[Sample], list[Sample]]]:
    """The k-fold cross-validation of UCF_CC_50: every sample is tested once.

    Args:
        samples: at least k, in any order.
        k: number of folds, at least 2; their sizes differ by at most one.
        seed: which samples fall together.

    Returns:
        k pairs of (training, test) samples, each in natural order of their names.

    Raises:
        ValueError: if `k` is below 2.
        DatasetError: if there are fewer samples than folds.
    """
    if k < 2:
        raise ValueError(f"k: expected at least 2 folds, found {k}")
    if len(samples) < k:
        raise DatasetError(f"cannot make {k} folds of {len(samples)} images; give more images")
    shuffled = _shuffled(samples, seed)
    return [
        (_ordered([s for i, s in enumerate(shuffled) if i % k != fold]), _ordered(shuffled[fold::k]))
        for fold in range(k)
    ]


def _shanghaitech(part: str, root: Path, split: str) -> list[Sample]:
    layout = f"{part}/{split}_data/images and {part}/{split}_data/ground-truth"
    folder = _subfolder(root, (part, f"{part}_final"), layout) / f"{split}_data"
    annotations = _subfolder(folder, ("ground-truth", "ground_truth"), layout)
    return [
        Sample(image.stem, image, annotations / f"GT_{image.stem}.mat", mat.read_shanghaitech)
        for image in _images(_subfolder(folder, ("images",), layout))
    ]


def _ucf_cc_50(root: Path, _split: str) -> list[Sample]:
    """Every split is the whole set: its protocol is `folds`."""
    return [
        Sample(image.stem, image, root / f"{image.stem}_ann.mat", mat.read_ucf_cc_50)
        for image in _images(root)
    ]


def _ucf_qnrf(root: Path, split: str) -> list[Sample]:
    layout = "Train and Test, each with img_0001.jpg and img_0001_ann.mat"
    return _ucf_cc_50(_subfolder(root, (split.capitalize(), split), layout), split)


def _jhu_crowd(root: Path, split: str) -> list[Sample]:
    layout = f"{split}/images, {split}/gt and {split}/image_labels.txt"
    folder = _subfolder(root, (split,), layout)
    annotations = _subfolder(folder, ("gt",), layout)
    found = _images(_subfolder(folder, ("images",), layout))
    labels = jhu.read_labels(folder / "image_labels.txt")
    return [
        Sample(
            image.stem,
            image,
            annotations / f"{image.stem}.txt",
            jhu.read,
            labels=labels.get(image.stem, {}),
        )
        for image in found
    ]


def _nwpu_crowd(root: Path, split: str) -> list[Sample]:
    """The annotations of the test split are not published."""
    layout = "images, jsons or mats, and train.txt, val.txt and test.txt"
    folder = _subfolder(root, ("images",), layout)
    annotations = None if split == "test" else _subfolder(root, ("jsons", "mats"), layout)
    samples = []
    for name, labels in _listed(root / f"{split}.txt", ("luminance", "scene_level")):
        annotation = annotations and annotations / f"{name}.{annotations.name.removesuffix('s')}"
        samples.append(
            Sample(name, folder / f"{name}.jpg", annotation, nwpu_crowd.read, labels=labels),
        )
    return samples


def _trancos(root: Path, split: str) -> list[Sample]:
    layout = "images and image_sets, which has training.txt, validation.txt, trainval.txt and test.txt"
    folder = _subfolder(root, ("images",), layout)
    lists = _subfolder(root, ("image_sets",), layout)
    samples = []
    for name, _ in _listed(lists / f"{_TRANCOS_LISTS.get(split, split)}.txt"):
        dots, text = folder / f"{name}dots.png", folder / f"{name}.txt"
        annotation = text if text.is_file() and not dots.is_file() else dots
        mask = folder / f"{name}mask.mat"
        samples.append(Sample(name, folder / f"{name}.jpg", annotation, trancos.read, mask))
    return samples


def _listed(path: Path, labels: Sequence[str] = ()) -> Iterator[tuple[str, dict[str, str]]]:
    """Each image of a list, without its ending, and its labels: whole numbers, which may all be absent."""
    seen = set()
    for line, (image, *words) in rows(path):
        name = image.removesuffix(".jpg")
        with at(path, line):
            if len(words) not in (0, len(labels)):
                raise ValueError(f"expected {' '.join(('image', *labels))}, found {len(words) + 1} words")
            for label, word in zip(labels, words, strict=False):
                whole(word, label)
            if name in seen:
                raise ValueError(f"image {name} comes a second time")
        seen.add(name)
        yield name, dict(zip(labels, words, strict=False))
    if not seen:
        raise DatasetError(f"{path}: lists no image")


def _folder(root: Path, split: str) -> list[Sample]:
    """Images beside files of points in any known format: one for each image, with its name, or one for all.

    The splits are subfolders; a folder that has none of them is every split at once.
    """
    parts = [root / name for name in _SPLITS if (root / name).is_dir()]
    if split == "all" and parts:
        return [sample for part in parts for sample in _folder(part, split)]
    if parts:
        root = _subfolder(root, (split,), f"{split}/ with images and points, as for the other splits")
    found = _images(root)
    suffixes = {suffix for known in formats.FORMATS.values() for suffix in known.suffixes}
    files = folders.files_in(root, suffixes)
    beside = _beside(found, files)
    if len(files) == 1 and not all(beside.values()):
        return _shared(found, files[0])
    own = [path for paths in beside.values() for path in paths]
    if own and all(len(paths) <= 1 for paths in beside.values()):
        ending = own[0].suffix  # of the files that are missing
        return [
            Sample(image.stem, image, paths[0] if paths else image.with_suffix(ending), _read_alone)
            for image, paths in beside.items()
        ]
    image = next(image for image, paths in beside.items() if len(paths) != 1)
    raise DatasetError(
        f"{image}: expected one file of points with its name, or one for all images of the folder; "
        f"found {len(beside[image])} with its name and {len(files)} in the folder"
    )


def _beside(found: Sequence[Path], files: Sequence[Path]) -> dict[Path, list[Path]]:
    """The files of points that have the name of an image, for each image."""
    by_stem: dict[str, list[Path]] = {}
    for file in files:
        by_stem.setdefault(file.stem, []).append(file)
    known = _matched([image.stem for image in found], by_stem, found[0].parent)
    return {image: by_stem[known[image.stem]] if image.stem in known else [] for image in found}


def _shared(found: Sequence[Path], path: Path) -> list[Sample]:
    """Samples whose points are all in one file, under whatever name of the image its tool writes."""
    points = formats.read(path)
    known = _matched([image.name for image in found], points, path)
    for image in found:
        if image.name not in known:
            raise DatasetError(
                f"{path}: nothing on {image.name}, the nearest of its {len(points)} images is "
                f"{image_names.nearest(image.name, points)}; an image without people needs an entry, too"
            )
    return [
        Sample(image.stem, image, path, partial(_read_known, points[known[image.name]])) for image in found
    ]


def _matched(found: Iterable[str], written: Iterable[str], place: Path) -> dict[str, str]:
    """Image -> what annotations call it, for those that they know; `place` is to be complained of."""
    try:
        return image_names.match(found, written)
    except ValueError as error:
        raise DatasetError(f"{place}: {error}") from error


def _read_alone(path: Path, image_size: tuple[int, int]) -> Points:
    entries = list(formats.read(path, alone=True).values())
    if len(entries) != 1:
        raise FormatError(f"{path}: expected the points of one image, found those of {len(entries)}")
    return _read_known(entries[0], path, image_size)


def _read_known(points: Points, path: Path, image_size: tuple[int, int]) -> Points:
    if points.image_size not in (None, image_size):
        raise FormatError(
            f"{path}: is about an image of {points.image_size} pixels, but the image has {image_size}"
        )
    return replace(points, image_size=image_size)


_SPLITS = ("train", "val", "test")
_TRANCOS_LISTS = {"train": "training", "val": "validation"}

DATASETS = {
    "shanghaitech-a": Dataset(("train", "test"), partial(_shanghaitech, "part_A"), mat.shanghaitech_count),
    "shanghaitech-b": Dataset(("train", "test"), partial(_shanghaitech, "part_B"), mat.shanghaitech_count),
    "ucf-cc-50": Dataset(("all", "train", "test"), _ucf_cc_50),
    "ucf-qnrf": Dataset(("train", "test"), _ucf_qnrf),
    "jhu-crowd++": Dataset(_SPLITS, _jhu_crowd),
    "nwpu-crowd": Dataset(_SPLITS, _nwpu_crowd, nwpu_crowd.stated_count),
    "trancos": Dataset(("train", "val", "trainval", "test"), _trancos),
    "folder": Dataset((*_SPLITS, "all"), _folder),
}
"""The datasets by name."""


def _subfolder(parent: Path, names: Sequence[str], layout: str) -> Path:
    """The first of the named folders that exists."""
    for name in names:
        if (parent / name).is_dir():
            return parent / name
    raise DatasetError(f"{parent}: no folder {' or '.join(names)} in it; expected {layout}")


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    found = folders.files_in(folder, images.IMAGE_SUFFIXES)
    if not found:
        raise DatasetError(f"{folder}: no images in it")
    return found


def _ordered(samples: Sequence[Sample]) -> list[Sample]:
    return sorted(samples, key=lambda sample: (folders.natural(sample.name), str(sample.image)))


def _shuffled(samples: Sequence[Sample], seed: int) -> list[Sample]:
    ordered = _ordered(samples)
    return [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]
