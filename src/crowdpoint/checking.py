"""Check the files of a dataset for errors before training or evaluation."""

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from crowdpoint import datasets, folders, formats, rasters
from crowdpoint.datasets import Sample
from crowdpoint.errors import ConfigError, CrowdpointError, FormatError, ImageError
from crowdpoint.formats import Classes, image_names, yolo
from crowdpoint.formats.text import read_rows
from crowdpoint.points import Points

ALL = "all"
"""Name for all splits of a dataset."""


@dataclass(frozen=True)
class Fault:
    """A fault in one file.

    Attributes:
        severity: `error` if the file cannot be used, `warning` if it can but may be wrong.
        kind: kind of fault in two or three words.
        path: the file or folder.
        line: 1-based line in a text file; None if not applicable.
        message: value found and value expected.
        image: the image whose files have the fault; None for faults of folders and lists.
    """

    severity: Literal["error", "warning"]
    kind: str
    path: Path
    line: int | None
    message: str
    image: Path | None = None

    @property
    def place(self) -> str:
        """The path, and the line if known."""
        return str(self.path) if self.line is None else f"{self.path}:{self.line}"


class DatasetChecker:
    """Check of a dataset: its folders first, then sample by sample.

    Args:
        name: one of `datasets.DATASETS`.
        root: folder as distributed by the dataset's authors.
        split: a split of the dataset, or `all`, which also reports files that belong to no image.
        classes: which classes of a `folder` to read; all by default.

    Attributes:
        samples: samples that can be listed, each image once.
        layout: faults of the folders and lists.
        heads: number of heads in all samples inspected so far.
    """

    def __init__(self, name: str, root: Path, split: str = ALL, classes: Classes | None = None) -> None:
        self.samples: list[Sample] = []
        self.layout: list[Fault] = []
        self.heads = 0
        self._stated_count = datasets.DATASETS[name].read_stated_count
        self._first: dict[bytes, Path] = {}
        splits = datasets.list_splits(name, root) if split == ALL else (split,)
        for part in splits:
            try:
                found = datasets.list_samples(name, root, part, classes)
            except ConfigError:
                raise
            except CrowdpointError as error:
                self.layout.append(_to_fault(error, "broken layout", root))
                continue
            self.layout += _check_listing(found)
            known = {sample.image for sample in self.samples}
            self.samples += [sample for sample in found if sample.image not in known]
        self._images = Counter(sample.annotation for sample in self.samples)  # of each annotation file
        if split == ALL and not any(fault.severity == "error" for fault in self.layout):
            self.layout += _find_orphans(self.samples)
        if name == "folder":
            self.layout += _find_missing_images(self.samples)

    def check(self, sample: Sample) -> Iterator[Fault]:
        """Read a sample's files completely and yield their faults; for unreadable files, the first one."""
        return (replace(fault, image=sample.image) for fault in self._find_faults(sample))

    def _find_faults(self, sample: Sample) -> Iterator[Fault]:
        present = {kind: path for kind, path in sample.files().items() if path.is_file()}
        for kind, path in sample.files().items():
            if kind not in present:
                yield Fault("error", f"missing {kind}", path, None, f"no such file; {sample.name} needs it")
        if "image" not in present:
            return
        yield from self._check_image(sample.image)
        try:
            rasters.read_size(sample.image)
        except ImageError:
            return  # the annotation cannot be checked without the image size
        if "annotation" in present:
            yield from self._check_annotation(sample, present["annotation"])
        if "mask" in present:
            try:
                sample.region()
            except FormatError as error:
                yield _to_fault(error, "broken mask", present["mask"])

    def _check_image(self, path: Path) -> Iterator[Fault]:
        try:
            rasters.read(path)
        except ImageError as error:
            yield _to_fault(error, "broken image", path)
            return
        first = self._first.setdefault(hashlib.blake2b(path.read_bytes()).digest(), path)
        if first != path:
            yield Fault("warning", "duplicate image", path, None, f"has the same bytes as {first}")

    def _check_annotation(self, sample: Sample, path: Path) -> Iterator[Fault]:
        try:
            points = sample.points()
            stated = int(sample.labels["count"]) if "count" in sample.labels else self._stated_count(path)
        except CrowdpointError as error:
            kind = "missing" if sample.lacks_entry else "broken"
            yield _to_fault(error, f"{kind} annotation", path)
            return
        self.heads += len(points)
        if stated not in (None, len(points)):
            message = f"the dataset states {stated} heads, found {len(points)}"
            yield Fault("warning", "wrong count", path, None, message)
        if self._images[path] > 1:
            yield from _check_heads(points, path, (), f"{sample.image}: ")
        else:
            by_line = path.suffix.lower() == ".txt"
            yield from _check_heads(points, path, [line for line, _ in read_rows(path)] if by_line else ())


def _check_heads(points: Points, path: Path, lines: Sequence[int], about: str = "") -> Iterator[Fault]:
    """Yield the faults of heads, with messages that begin with `about`.

    `lines` are those of the file, with a head each if there are as many.
    """

    def build_warning(kind: str, head: int, found: str) -> Fault:
        x, y = points.xy[head]
        line = lines[head] if len(lines) == len(points) else None
        return Fault("warning", kind, path, line, f"{about}head {head + 1} at ({x:g}, {y:g}) {found}")

    if points.image_size:
        width, height = points.image_size
        outside = ((points.xy < 0) | (points.xy >= (width, height))).any(axis=1)
        for head in np.flatnonzero(outside).tolist():
            yield build_warning("head outside", head, f"is outside its image of {width} x {height} pixels")
    first: dict[tuple[float, float], int] = {}
    for head, (x, y) in enumerate(points.xy.tolist()):
        if (same := first.setdefault((x, y), head)) != head:
            yield build_warning("duplicate head", head, f"is where head {same + 1} is")


def _check_listing(samples: Sequence[Sample]) -> Iterator[Fault]:
    for sample, following in itertools.pairwise(samples):
        if sample.name == following.name:
            yield Fault("error", "same name", following.image, None, f"has the name of {sample.image}")
    if any(sample.labels for sample in samples):
        for sample in (sample for sample in samples if not sample.labels):
            message = "other images of the split have them"
            yield Fault("warning", "missing labels", sample.image, None, message)


def _find_orphans(samples: Sequence[Sample]) -> Iterator[Fault]:
    """Find files beside those of samples, with the same extensions, that belong to no sample."""
    claimed: dict[Path, set[Path]] = {}
    for path in (path for sample in samples for path in sample.files().values()):
        claimed.setdefault(path.parent, set()).add(path)
    for folder, files in sorted(claimed.items()):
        if folder.is_dir():
            for path in folders.list_files(folder, {file.suffix.lower() for file in files}):
                if path not in files and path.name != yolo.CLASS_LIST:
                    yield Fault("warning", "orphan file", path, None, "belongs to no image of the dataset")


def _find_missing_images(samples: Sequence[Sample]) -> Iterator[Fault]:
    """Find the images that files for several images have, but the dataset has not."""
    by_file: dict[Path, list[Sample]] = {}
    for sample in samples:
        if sample.annotation:
            by_file.setdefault(sample.annotation, []).append(sample)
    for path, own in by_file.items():
        if len(own) == 1 and path.stem == own[0].image.stem:
            continue  # the file of this image alone
        try:
            names = formats.read_part(path, alone=False, classes=Classes())
            photos = [sample.image.relative_to(path.parent).as_posix() for sample in own]
            known = image_names.match(photos, names).values()
        except (CrowdpointError, ValueError):
            continue  # `DatasetChecker.check` reports the file's own faults
        for name in sorted(names.keys() - set(known)) if len(names) > 1 else ():
            yield Fault("warning", "missing image", path, None, f"has points of {name}, found no such image")


def _to_fault(error: CrowdpointError, kind: str, path: Path) -> Fault:
    """Convert an error about `path`, or a file below it, whose message begins with the location."""
    below = "" if path == Path() else re.escape(str(path))
    found = re.fullmatch(rf"({below}.*?)(?::(\d+))?: (.*)", str(error), re.DOTALL)
    if found is None:
        return Fault("error", kind, path, None, str(error))
    return Fault("error", kind, Path(found[1]), int(found[2]) if found[2] else None, found[3])
