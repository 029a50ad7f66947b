"""Everything that is wrong with the files of a dataset, found before training or evaluation meets it."""

import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from crowdpoint import datasets, folders, images
from crowdpoint.datasets import Sample
from crowdpoint.errors import CrowdpointError, FormatError, ImageError
from crowdpoint.formats.text import rows
from crowdpoint.points import Points

ALL = "all"
"""Stands for every split that a dataset has."""


@dataclass(frozen=True)
class Fault:
    """Something wrong with one file.

    Attributes:
        severity: `error` where the file cannot be used, `warning` where it can but should not be trusted.
        kind: what is wrong in two or three words, the same for all faults of a kind.
        path: the file or folder.
        line: the line in a file of text, from 1; None where there is none.
        message: what was found and what was expected.
    """

    severity: Literal["error", "warning"]
    kind: str
    path: Path
    line: int | None
    message: str

    @property
    def place(self) -> str:
        """The path, with the line where there is one."""
        return str(self.path) if self.line is None else f"{self.path}:{self.line}"


class Inspection:
    """Goes through a dataset: first what its folders lack, then sample by sample.

    Args:
        name: one of `datasets.DATASETS`.
        root: the folder as the dataset's authors distribute it.
        split: one of the dataset's splits, or `all` for every one, which also finds files that belong to
            no image.

    Attributes:
        samples: the samples to inspect, those that can be listed, each image once.
        layout: the faults of the folders and of the lists in them.
        heads: the heads of all samples inspected so far.
    """

    def __init__(self, name: str, root: Path, split: str = ALL) -> None:
        self.samples: list[Sample] = []
        self.layout: list[Fault] = []
        self.heads = 0
        self._stated_count = datasets.DATASETS[name].stated_count
        self._first: dict[bytes, Path] = {}
        splits = _splits(name, root) if split == ALL else (split,)
        for part in splits:
            try:
                found = datasets.listing(name, root, part)
            except CrowdpointError as error:
                self.layout.append(_raised(error, "broken layout", root))
                continue
            self.layout += [*_namesakes(found), *_unlabelled(found)]
            known = {sample.image for sample in self.samples}
            self.samples += [sample for sample in found if sample.image not in known]
        if split == ALL and not any(fault.severity == "error" for fault in self.layout):
            self.layout += _orphans(self.samples)

    def faults(self, sample: Sample) -> Iterator[Fault]:
        """Reads a sample's files whole and yields what is wrong with them.

        Of a file that cannot be read to its end, the first thing wrong.
        """
        present = {kind: path for kind, path in sample.files().items() if path.is_file()}
        for kind, path in sample.files().items():
            if kind not in present:
                yield Fault("error", f"missing {kind}", path, None, f"no such file; {sample.name} needs it")
        if "image" not in present:
            return
        yield from self._pixels(sample.image)
        try:
            images.read_size(sample.image)
        except ImageError:
            return  # the annotation cannot be judged without it
        if "annotation" in present:
            yield from self._annotation(sample, present["annotation"])
        if "mask" in present:
            try:
                sample.region()
            except FormatError as error:
                yield _raised(error, "broken mask", present["mask"])

    def _pixels(self, path: Path) -> Iterator[Fault]:
        try:
            images.read(path)
        except ImageError as error:
            yield _raised(error, "broken image", path)
            return
        first = self._first.setdefault(hashlib.blake2b(path.read_bytes()).digest(), path)
        if first != path:
            yield Fault("warning", "duplicate image", path, None, f"has the same bytes as {first}")

    def _annotation(self, sample: Sample, path: Path) -> Iterator[Fault]:
        try:
            points = sample.points()
            stated = int(sample.labels["count"]) if "count" in sample.labels else self._stated_count(path)
        except CrowdpointError as error:
            yield _raised(error, "broken annotation", path)
            return
        self.heads += len(points)
        if stated not in (None, len(points)):
            message = f"the dataset states {stated} heads, found {len(points)}"
            yield Fault("warning", "wrong count", path, None, message)
        yield from _heads(points, path)


def _splits(name: str, root: Path) -> Sequence[str]:
    """All splits of a dataset; of those that need none of them, the ones that have a folder."""
    known = datasets.DATASETS[name].splits
    if ALL not in known:
        return known
    return [split for split in known if (root / split).is_dir()] or [ALL]


def _heads(points: Points, path: Path) -> Iterator[Fault]:
    lines = _lines(path, len(points))

    def warning(kind: str, head: int, found: str) -> Fault:
        x, y = points.xy[head]
        line = lines[head] if lines else None
        return Fault("warning", kind, path, line, f"head {head + 1} at ({x:g}, {y:g}) {found}")

    if points.image_size:
        width, height = points.image_size
        outside = ((points.xy < 0) | (points.xy >= (width, height))).any(axis=1)
        for head in np.flatnonzero(outside).tolist():
            yield warning("head outside", head, f"is outside its image of {width} x {height} pixels")
    first: dict[tuple[float, float], int] = {}
    for head, (x, y) in enumerate(points.xy.tolist()):
        if (same := first.setdefault((x, y), head)) != head:
            yield warning("duplicate head", head, f"is where head {same + 1} is")


def _lines(path: Path, heads: int) -> list[int] | None:
    """The line of each head, in a file of text that has one line for each."""
    if path.suffix.lower() != ".txt":
        return None
    lines = [line for line, _ in rows(path)]
    return lines if len(lines) == heads else None


def _namesakes(samples: Sequence[Sample]) -> Iterator[Fault]:
    for sample, following in itertools.pairwise(samples):
        if sample.name == following.name:
            yield Fault("error", "same name", following.image, None, f"has the name of {sample.image}")


def _unlabelled(samples: Sequence[Sample]) -> Iterator[Fault]:
    if any(sample.labels for sample in samples):
        for sample in samples:
            if not sample.labels:
                yield Fault(
                    "warning", "missing labels", sample.image, None, "other images of the split have them"
                )


def _orphans(samples: Sequence[Sample]) -> Iterator[Fault]:
    """Files that look like those of samples beside them, but belong to none."""
    claimed: dict[Path, set[Path]] = {}
    for path in (path for sample in samples for path in sample.files().values()):
        claimed.setdefault(path.parent, set()).add(path)
    for folder, files in sorted(claimed.items()):
        if folder.is_dir():
            for path in folders.files_in(folder, {file.suffix.lower() for file in files}):
                if path not in files:
                    yield Fault("warning", "orphan file", path, None, "belongs to no image of the dataset")


def _raised(error: CrowdpointError, kind: str, path: Path) -> Fault:
    """An error of `path`, or of a file below it, whose message begins with the place."""
    below = "" if path == Path() else re.escape(str(path))
    found = re.fullmatch(rf"({below}.*?)(?::(\d+))?: (.*)", str(error), re.DOTALL)
    if found is None:
        return Fault("error", kind, path, None, str(error))
    return Fault("error", kind, Path(found[1]), int(found[2]) if found[2] else None, found[3])
