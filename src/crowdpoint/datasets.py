"""Load the papers' datasets from the folders in which their authors distribute them.

A dataset is a function that pairs images with annotations and returns a list of `Sample`.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from crowdpoint import folders, formats, rasters
from crowdpoint.errors import ConfigError, DatasetError, FormatError
from crowdpoint.formats import Classes, image_names, jhu, mat, nwpu_crowd, pairing, trancos
from crowdpoint.formats.text import locate_errors, parse_integer, read_rows
from crowdpoint.points import BoolArray, Points

AnnotationReader = Callable[[Path, tuple[int, int]], Points]


@dataclass(frozen=True)
class Sample:
    """An image and its annotation file.

    Attributes:
        name: file name of the image without extension, such as `IMG_1`; in a `folder`, after its subfolders.
        image: image file.
        annotation: file with the points; None if unpublished.
        reader: reads `annotation`, given the image's (width, height).
        mask: file with the region of interest; None for the whole image.
        labels: the dataset's labels of the image, such as `luminance`; `count` is the number of objects.
        lacks_entry: whether `annotation`, a file of all images, lacks this one, so that `points` fails.
    """

    name: str
    image: Path
    annotation: Path | None
    reader: AnnotationReader = field(repr=False, compare=False)
    mask: Path | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    lacks_entry: bool = False

    def points(self) -> Points:
        """Read the annotated points, also those outside the image, and the size in the image's header.

        Raises:
            DatasetError: if there is no annotation, or no entry for the image in it.
            FormatError: if the annotation cannot be read.
            ImageError: if the image's header, or an annotation stored as an image, cannot be read.
        """
        if self.annotation is None:
            raise DatasetError(
                f"{self.image}: the annotation is not published; choose another split, or predict only"
            )
        return self.reader(self.annotation, rasters.read_size(self.image))

    def region(self) -> BoolArray | None:
        """Read the region of interest, (H, W) True inside; None for the whole image.

        Raises:
            FormatError: if the mask cannot be read or has another size than the image.
            ImageError: if the image's header cannot be read.
        """
        return None if self.mask is None else trancos.read_mask(self.mask, rasters.read_size(self.image))

    def files(self) -> dict[str, Path]:
        """Return the required files by kind: image, annotation, mask."""
        paths = {"image": self.image, "annotation": self.annotation, "mask": self.mask}
        return {kind: path for kind, path in paths.items() if path is not None}


@dataclass(frozen=True)
class Dataset:
    """Layout of a dataset."""

    splits: tuple[str, ...]
    list_samples: Callable[[Path, str], list[Sample]]
    """Lists the samples of a split below the root folder, in any order."""
    read_stated_count: Callable[[Path], int | None] = lambda path: None  # noqa: ARG005  # most state none
    """Reads the number of objects stated in an annotation file; None if it states none."""


def load(name: str, root: Path, split: str = "train", classes: Sequence[str] = ()) -> list[Sample]:
    """List the samples of a split in natural order of their names (IMG_2 before IMG_10).

    Args:
        name: one of `DATASETS`.
        root: folder as distributed by the authors; that of ShanghaiTech has `part_A…` and `part_B…`.
        split: `train`, `test` or another split of the dataset.
        classes: which classes of a `folder` to read, as in `formats.Classes`; all by default.

    Raises:
        ConfigError: if the name or split is unknown, or the dataset has no classes.
        DatasetError: if a folder or file is missing.
        FormatError: if a list of images or labels cannot be read.
    """
    chosen = Classes(classes)
    samples = list_samples(name, root, split, chosen)
    for sample in samples:
        for kind, path in sample.files().items():
            if not path.is_file():
                raise DatasetError(f"{sample.image}: its {kind} is missing; expected {path}")
        if sample.lacks_entry:
            sample.points()  # raises the error
    for sample, following in itertools.pairwise(samples):
        if sample.name == following.name:
            raise DatasetError(f"{following.image}: has the same name as {sample.image}; rename one of them")
    if classes:
        # Reads them now, to count their classes.
        samples = [
            replace(sample, reader=partial(_read_known, sample.points(), sample.image)) for sample in samples
        ]
        chosen.check(root)
    return samples


def check_name(name: str, others: Iterable[str] = ()) -> None:
    """Raise a ConfigError if a name is neither in `DATASETS` nor among `others`."""
    if name not in {*DATASETS, *others}:
        raise ConfigError(f"{name}: unknown dataset; choose one of {', '.join(DATASETS)}")


def list_samples(name: str, root: Path, split: str, classes: Classes | None = None) -> list[Sample]:
    """List samples as `load` does, without checking for missing files and entries and duplicate names."""
    check_name(name)
    if split not in (dataset := DATASETS[name]).splits:
        raise ConfigError(f"{name}: unknown split {split}; choose one of {', '.join(dataset.splits)}")
    if name == "folder":
        return _sort(_folder(Path(root), split, classes))
    if classes and classes.wanted:
        raise ConfigError(f"{name}: has no classes to choose from; only the dataset folder may have some")
    return _sort(dataset.list_samples(Path(root), split))


def list_splits(name: str, root: Path) -> Sequence[str]:
    """List the splits of a dataset, or `all` if it has none; a `folder` may have some."""
    if name == "folder":
        return [*pairing.find_splits(root)] or ["all"]
    return ["all"] if "all" in (known := DATASETS[name].splits) else known


def split_holdout(
    samples: Sequence[Sample], fraction: float = 0.1, seed: int = 0
) -> tuple[list[Sample], list[Sample]]:
    """Split off a random validation set, which does not depend on the order of the samples.

    Holds out a fraction above 0 and below 1, rounded up. Returns (training, validation) in natural order.

    Raises:
        ValueError: if `fraction` is out of range.
        DatasetError: if there are too few samples.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: expected a number between 0 and 1, found {fraction}")
    count = math.ceil(round(fraction * len(samples), 6))  # 0.07 * 100 is slightly more than 7
    if count >= len(samples):
        raise DatasetError(f"cannot hold out {count} of {len(samples)} images; add more images")
    shuffled = _shuffle(samples, seed)
    return _sort(shuffled[count:]), _sort(shuffled[:count])


def split_folds(
    samples: Sequence[Sample], k: int = 5, seed: int = 0
) -> list[tuple[list[Sample], list[Sample]]]:
    """Split samples for k-fold cross-validation, as in the protocol of UCF_CC_50, in any order.

    Returns k pairs of (training, test) in natural order. The sizes of folds differ by at most one.

    Raises:
        ValueError: if `k` is below 2.
        DatasetError: if there are fewer samples than folds.
    """
    if k < 2:
        raise ValueError(f"k: expected at least 2 folds, found {k}")
    if len(samples) < k:
        raise DatasetError(f"cannot split {len(samples)} images into {k} folds; add more images")
    shuffled = _shuffle(samples, seed)
    return [
        (_sort([s for i, s in enumerate(shuffled) if i % k != fold]), _sort(shuffled[fold::k]))
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
    """Return the whole dataset for every split; the protocol is `split_folds`."""
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
            image.stem, image, annotations / f"{image.stem}.txt", jhu.read, labels=labels.get(image.stem, {})
        )
        for image in found
    ]


def _nwpu_crowd(root: Path, split: str) -> list[Sample]:
    """List samples; annotations of the test split are unpublished."""
    layout = "images, jsons or mats, and train.txt, val.txt and test.txt"
    folder = _subfolder(root, ("images",), layout)
    annotations = None if split == "test" else _subfolder(root, ("jsons", "mats"), layout)
    samples = []
    for name, labels in _read_list(root / f"{split}.txt", ("luminance", "scene_level")):
        annotation = annotations and annotations / f"{name}.{annotations.name.removesuffix('s')}"
        samples.append(Sample(name, folder / f"{name}.jpg", annotation, nwpu_crowd.read, labels=labels))
    return samples


def _trancos(root: Path, split: str) -> list[Sample]:
    layout = "images and image_sets, which has training.txt, validation.txt, trainval.txt and test.txt"
    folder = _subfolder(root, ("images",), layout)
    lists = _subfolder(root, ("image_sets",), layout)
    samples = []
    for name, _ in _read_list(lists / f"{_TRANCOS_LISTS.get(split, split)}.txt"):
        dots, text = folder / f"{name}dots.png", folder / f"{name}.txt"
        annotation = text if text.is_file() and not dots.is_file() else dots
        mask = folder / f"{name}mask.mat"
        samples.append(Sample(name, folder / f"{name}.jpg", annotation, trancos.read, mask))
    return samples


def _read_list(path: Path, labels: Sequence[str] = ()) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the name of each image of a list, without extension, and its labels: integers, or none."""
    seen = set()
    for line, (image, *words) in read_rows(path):
        name = image.removesuffix(".jpg")
        with locate_errors(path, line):
            if len(words) not in (0, len(labels)):
                raise ValueError(f"expected {' '.join(('image', *labels))}, found {len(words) + 1} words")
            for label, word in zip(labels, words, strict=False):
                parse_integer(word, label)
            if name in seen:
                raise ValueError(f"duplicate image {name}")
        seen.add(name)
        yield name, dict(zip(labels, words, strict=False))
    if not seen:
        raise DatasetError(f"{path}: lists no image")


def _folder(root: Path, split: str, classes: Classes | None = None) -> list[Sample]:
    """List images with point files in any format: one per image, with its name, or one for all images.

    Without folders of splits, the folder is used for every split. Includes other subfolders.
    """
    classes = classes or Classes()
    if parts := pairing.find_splits(root):
        root = next(iter(parts.values())).parent
        pairing.report_others(root, parts.values())
        if split == "all":
            return [
                replace(sample, name=f"{part.name}/{sample.name}")
                for part in parts.values()
                for sample in _folder(part, split, classes)
            ]
        if split not in parts:
            layout = f"{split}/ with images and points, as for the other splits"
            raise DatasetError(f"{root}: has no folder {split}; expected {layout}")
        root = parts[split]
    found = _images(root, below=True)
    files = pairing.list_point_files(root)
    annotations = pairing.find_own_files(found)
    top = [image for image in found if image.parent == root]
    lacking = not all(annotations[image] for image in top or found)
    own = [paths for paths in annotations.values() if paths]
    # A file for all images may have the name of one of them.
    if lacking and len(files) == 1 and (not own or (own == [files] and _has_several_images(files[0]))):
        return _list_shared(root, found, files[0], classes)
    found = pairing.leave_out(root, found, {image for image, paths in annotations.items() if paths})
    if own and all(len(paths) <= 1 for paths in annotations.values()):
        reader = partial(_read_single, classes)
        chosen = pairing.choose_files(found, annotations)
        return [
            Sample(_name(image, root), image, file, reader) for image, file in zip(found, chosen, strict=True)
        ]
    image = next(image for image in found if len(annotations[image]) != 1)
    raise DatasetError(
        f"{image}: expected one point file with its name beside it, or one for all images in {root}; "
        f"found {_name_files(annotations[image])} with its name and {_name_files(files)} in the folder"
    )


def _name_files(files: Sequence[Path]) -> str:
    names = ", ".join(file.name for file in files[:5]) + ", ..." * (len(files) > 5)
    return f"{len(files)} ({names})" if files else "0"


def _has_several_images(path: Path) -> bool:
    return len(formats.read_part(path, alone=True, classes=Classes())) > 1


def _list_shared(root: Path, found: list[Path], path: Path, classes: Classes) -> list[Sample]:
    points = formats.read_part(path, alone=False, classes=classes)
    classes.report(path, _CHOICE)
    with locate_errors(path, kind=DatasetError):
        known = image_names.match([image.relative_to(root).as_posix() for image in found], points)
    annotated = {root / name: points[entry] for name, entry in known.items()}
    taken = set(known.values())
    samples = []
    for image in pairing.leave_out(root, found, annotated):
        reader: AnnotationReader
        if image in annotated:
            reader = partial(_read_known, annotated[image], image)
        else:
            reader = partial(pairing.report_missing, image.relative_to(root).as_posix(), points, taken)
        samples.append(Sample(_name(image, root), image, path, reader, lacks_entry=image not in annotated))
    return samples


def _name(image: Path, root: Path) -> str:
    return image.relative_to(root).with_suffix("").as_posix()


def _read_single(classes: Classes, path: Path, image_size: tuple[int, int]) -> Points:
    entries = formats.read_part(path, alone=True, classes=classes)
    if len(entries) != 1:
        raise FormatError(f"{path}: expected the points of one image, found {len(entries)} images")
    classes.report(path.parent, _CHOICE)
    ((image, points),) = entries.items()
    return _read_known(points, image, path, image_size)


def _read_known(points: Points, image: Path | str, path: Path, image_size: tuple[int, int]) -> Points:
    if points.image_size not in (None, image_size):
        raise FormatError(
            f"{path}: {image}: states an image size of {points.image_size} pixels, but the image has "
            f"{image_size}"
        )
    return replace(points, image_size=image_size)


_CHOICE = "--classes, or with classes of data in a recipe"
_SPLITS = ("train", "val", "test")
_TRANCOS_LISTS = {"train": "training", "val": "validation"}

DATASETS = {
    **{
        f"shanghaitech-{part.lower()}": Dataset(
            ("train", "test"), partial(_shanghaitech, f"part_{part}"), mat.read_shanghaitech_count
        )
        for part in "AB"
    },
    "ucf-cc-50": Dataset(("all", "train", "test"), _ucf_cc_50),
    "ucf-qnrf": Dataset(("train", "test"), _ucf_qnrf),
    "jhu-crowd++": Dataset(_SPLITS, _jhu_crowd),
    "nwpu-crowd": Dataset(_SPLITS, _nwpu_crowd, nwpu_crowd.read_stated_count),
    "trancos": Dataset(("train", "val", "trainval", "test"), _trancos),
    "folder": Dataset((*_SPLITS, "all"), _folder),
}
"""All datasets by name."""


def _subfolder(parent: Path, names: Sequence[str], layout: str) -> Path:
    for name in names:
        if (parent / name).is_dir():
            return parent / name
    raise DatasetError(f"{parent}: has no folder {' or '.join(names)}; expected {layout}")


def _images(folder: Path, *, below: bool = False) -> list[Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    if not (found := folders.list_files(folder, folders.IMAGE_SUFFIXES, below=below)):
        raise DatasetError(f"{folder}: contains no images")
    return found


def _sort(samples: Sequence[Sample]) -> list[Sample]:
    return sorted(samples, key=lambda sample: (folders.natural_sort_key(sample.name), str(sample.image)))


def _shuffle(samples: Sequence[Sample], seed: int) -> list[Sample]:
    ordered = _sort(samples)
    return [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]
