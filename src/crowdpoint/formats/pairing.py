"""Pair the photos in a folder and its subfolders with files of points."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from crowdpoint import folders, formats
from crowdpoint.errors import DatasetError
from crowdpoint.formats import image_names, yolo
from crowdpoint.formats.text import list_regular_files, locate_errors
from crowdpoint.outputs import LOCK

_log = logging.getLogger(__name__)

_POINT_SUFFIXES = frozenset(end for known in formats.FORMATS.values() for end in known.suffixes)

_SPLITS = {"train": "train", "valid": "val", "val": "val", "test": "test"}  # `valid` is Roboflow's


def find_splits(root: Path) -> dict[str, Path]:
    """Return split -> its folder in a folder, or in `images` of YOLO's layout; empty without splits."""
    for parent in [root, root / "images"] if (root / "labels").is_dir() else [root]:
        found = {split: parent / name for name, split in _SPLITS.items() if (parent / name).is_dir()}
        if found:
            return found
    return {}


def list_point_files(folder: Path) -> list[Path]:
    """List the files in a folder whose extensions are those of files of points, but a training's own log."""
    others = {yolo.CLASS_LIST, *(["log.csv"] if (folder / LOCK).exists() else [])}
    return [path for path in list_regular_files(folder, _POINT_SUFFIXES) if path.name not in others]


def find_own_files(found: Sequence[Path]) -> dict[Path, list[Path]]:
    """Find the point files that have the name of each image, beside it or else in YOLO's `labels`.

    Raises:
        DatasetError: if names are ambiguous.
    """
    by_folder: dict[Path, list[Path]] = {}
    for image in found:
        by_folder.setdefault(image.parent, []).append(image)
    annotations: dict[Path, list[Path]] = {}
    for folder, beside in by_folder.items():
        annotations |= _find_files(beside, folder)
        labels = folders.swap_folder(folder, "images", "labels")
        if labels and labels.is_dir():
            annotations |= _find_files([image for image in beside if not annotations[image]], labels)
    return annotations


def _find_files(found: Sequence[Path], folder: Path) -> dict[Path, list[Path]]:
    by_stem: dict[str, list[Path]] = {}
    for file in list_point_files(folder):
        by_stem.setdefault(file.stem, []).append(file)
    with locate_errors(folder, kind=DatasetError):
        known = image_names.match([image.stem for image in found], by_stem)
    return {image: by_stem.get(known.get(image.stem, ""), []) for image in found}


def choose_files(found: Sequence[Path], annotations: Mapping[Path, Sequence[Path]]) -> Iterator[Path]:
    """Yield the point file of each image, or the path where it is expected, as for the other images."""
    other, file = next((other, files[0]) for other, files in annotations.items() if files)
    beside = file.parent == other.parent
    for image in found:
        labels = None if beside else folders.swap_folder(image.parent, "images", "labels")
        expected = (labels or image.parent) / f"{image.stem}{file.suffix}"
        yield next(iter(annotations[image]), expected)


def leave_out(root: Path, found: list[Path], annotated: Collection[Path]) -> list[Path]:
    """Leave out the images in subfolders without annotated images, such as overlays, with a warning.

    Leaves out nothing if no image would remain.
    """
    used = {root, *(image.parent for image in annotated)}
    kept = [image for image in found if image.parent in used]
    if kept:
        _report(
            root, [image for image in found if image.parent not in used], "in subfolders without annotations"
        )
    return kept or found


def report_missing(
    image: str, names: Collection[str], taken: Collection[str], path: Path, _image_size: tuple[int, int]
) -> NoReturn:
    """Raise the error of an image without an entry in its file, which has `names`, some of them `taken`.

    Raises:
        DatasetError: always, where a reader of annotations would return points.
    """
    raise DatasetError(
        f"{path}: no entry for {image}, the most similar of its {len(names)} images is "
        f"{image_names.find_nearest(image, names, taken)}; images without people need an entry, too"
    )


def report_others(root: Path, parts: Collection[Path]) -> None:
    """Warn of the images below a folder that are in none of its `parts`, the folders of its splits."""
    others = [
        child
        for child in root.iterdir()
        if child.is_dir() and not folders.is_hidden(child.name) and child not in parts
    ]
    found = [
        image for other in others for image in folders.list_files(other, folders.IMAGE_SUFFIXES, below=True)
    ]
    beside = folders.list_files(root, folders.IMAGE_SUFFIXES)
    _report(root, beside + found, f"outside of {', '.join(part.name for part in parts)}")


def _report(root: Path, left_out: list[Path], where: str) -> None:
    if left_out:
        places = list(dict.fromkeys(image.parent.relative_to(root).as_posix() for image in left_out))
        listed = ", ".join(places[:5]) + ", ..." * (len(places) > 5)
        count = f"{len(left_out)} image{'s' * (len(left_out) > 1)}"
        _log.warning("warning: %s: leaves out %s %s: %s", root, count, where, listed)
