"""Label Studio JSON: one task per image, with shapes in percent of the image size."""

import logging
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crowdpoint.errors import FormatError
from crowdpoint.formats import documents
from crowdpoint.formats.classes import Classes, report_shapes
from crowdpoint.formats.documents import parse_real
from crowdpoint.formats.format import LABEL, Format
from crowdpoint.formats.image_names import is_image
from crowdpoint.formats.text import build_points, parse_images, shorten_floats
from crowdpoint.points import Points

_log = logging.getLogger(__name__)

_HEADS = ("keypoint", "rectangle", "ellipse")
_REMARKS = ("", "choices", "datetime", "number", "pairwise", "ranker", "rating", "taxonomy", "textarea")
"""Regions that mark no place: the labels of others, and answers about the whole image."""


def _read(path: Path, classes: Classes) -> dict[str, Points]:
    tasks = documents.load(path)
    if not isinstance(tasks, list):
        raise FormatError(f"{path}: expected a list of tasks")
    entries = [(f" task {index}", task) for index, task in enumerate(tasks, start=1) if _has_result(task)]
    if unfinished := len(tasks) - len(entries):
        _log.warning(
            "warning: %s: leaves out tasks that are skipped or not annotated: %d of %d",
            *(path, unfinished, len(tasks)),
        )
    others: Counter[str] = Counter()
    points = parse_images(path, entries, lambda task: _read_task(task, classes, others))
    report_shapes(path, others)
    return points


def _has_result(task: Any) -> bool:
    """Check whether a task says what is in its image: a skipped or open one does not mean an empty image."""
    match task:
        case {"annotations": [_, *_] as annotations}:
            return not all(
                isinstance(found, dict) and found.get("was_cancelled") is True for found in annotations
            )
        case {"data": _}:
            return bool(task.get("annotations") or task.get("predictions"))
    return True


@dataclass(frozen=True, slots=True)
class _Region:
    place: str
    kind: str
    value: dict[str, Any]
    entry: dict[str, Any]

    @property
    def shape(self) -> str:
        return self.kind.removesuffix("labels")

    @property
    def labels(self) -> list[str]:
        labels = self.value.get(self.kind)
        return [label for label in labels if isinstance(label, str)] if isinstance(labels, list) else []

    def read(self, name: str) -> float:
        return parse_real(self.value.get(name), f"{self.place}: {name}")


def _read_task(task: Any, classes: Classes, others: Counter[str]) -> tuple[str, Points]:
    match task:
        case {"data": dict(data)}:
            image = _read_image(data)
        case {"annotation_id": _}:
            raise ValueError("Label Studio's JSON-MIN cannot be read; export the project as JSON")
        case _:
            raise ValueError("expected an object whose data has an image")
    size = documents.parse_size(data)
    regions = list(_read_regions(task))
    others.update(region.shape for region in regions if region.shape not in _HEADS + _REMARKS)
    # A shape that has no labels of its own shares its id with a region that has.
    shared = {str(region.entry.get("id")): region.labels for region in regions if region.kind == "labels"}
    rows = []
    for region in regions:
        if region.shape not in _HEADS:
            continue
        size = _read_size(region, size)
        if classes.keep(*(region.labels or shared.get(str(region.entry.get("id")), []))):
            rows.append(_read_head(region, size))
    return image, build_points(rows, size)


def _read_size(region: _Region, known: tuple[int, int] | None) -> tuple[int, int]:
    found = documents.parse_size(region.entry, "original_width", "original_height")
    if found is None or known not in (None, found):
        raise ValueError(f"{region.place}: expected the original_width and _height of its image {known}")
    if region.entry.get("image_rotation"):
        raise ValueError(f"{region.place}: image_rotation: expected 0; rotate the image file instead")
    return found


def _read_head(region: _Region, size: tuple[int, int]) -> list[float]:
    """Read x, y and score of a key point; of a rectangle or an ellipse also its width and height."""
    across, down = size[0] / 100, size[1] / 100
    x, y = across * region.read("x"), down * region.read("y")
    score = parse_real(region.entry.get("score", 1.0), "score")
    if region.shape == "keypoint":
        return [x, y, score]
    if region.shape == "ellipse":
        return [x, y, score, 2 * across * region.read("radiusX"), 2 * down * region.read("radiusY")]
    width, height = across * region.read("width"), down * region.read("height")
    # Label Studio turns a rectangle clockwise around its top-left corner.
    angle = math.radians(parse_real(region.value.get("rotation", 0), f"{region.place}: rotation"))
    x += (width * math.cos(angle) - height * math.sin(angle)) / 2
    y += (width * math.sin(angle) + height * math.cos(angle)) / 2
    return [x, y, score, width, height]


def _read_image(data: dict[str, Any]) -> str:
    """Find the image name, under the key `image` or a key of the project's own."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    if len(texts) > 1:
        texts = {key: value for key, value in texts.items() if key == "image"} or {
            key: value for key, value in texts.items() if is_image(value)
        }
    if len(texts) != 1:
        raise ValueError(
            f"expected an object whose data has an image, found {', '.join(map(str, data)) or 'nothing'}"
        )
    return next(iter(texts.values()))


def _read_regions(task: dict[str, Any]) -> Iterator[_Region]:
    """Read the regions of the first annotation that was not skipped, or else of the first prediction."""
    for number, entry in enumerate(_find_result(task), start=1):
        match entry:
            case {"type": str(kind), "value": dict(value)}:
                yield _Region(f"region {number}", kind, value, entry)
            case {"type": str()}:
                continue  # a relation, or another region without a place
            case _:
                raise ValueError(f"region {number}: expected an object with type and value")


def _find_result(task: dict[str, Any]) -> list[Any]:
    for key in ("annotations", "predictions"):
        attempts = task.get(key) or []
        if not isinstance(attempts, list):
            raise ValueError(f"{key}: expected a list, found {attempts!r}")
        for attempt in attempts:
            match attempt:
                case {"was_cancelled": True}:
                    continue
                case {"result": list(regions)}:
                    return regions
                case _:
                    raise ValueError(f"{key}: expected objects with a list result")
    return []


def _build_task(image: str, points: Points) -> dict[str, Any]:
    """Create a task: scored points become a prediction that annotators can correct, others an annotation."""
    data: dict[str, object] = {"image": image}
    if points.image_size:
        data |= {"width": points.image_size[0], "height": points.image_size[1]}
    scored = bool((points.scores != 1).any())
    width, height = points.image_size or (1, 1)  # None only without points
    regions: list[dict[str, Any]] = []
    for x, y, score in shorten_floats(np.hstack([points.xy, points.scores[:, None]])):
        region: dict[str, Any] = {
            "id": f"point{len(regions) + 1}",
            "type": "keypointlabels",
            "from_name": "label",
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {"x": x / width * 100, "y": y / height * 100, "width": 0.5, "keypointlabels": [LABEL]},
        }
        regions.append({**region, "score": score} if scored else region)
    if scored:
        return {"data": data, "predictions": [{"model_version": "crowdpoint", "result": regions}]}
    return {"data": data, "annotations": [{"result": regions}]}


LABEL_STUDIO = Format(
    name="label-studio",
    suffixes=(".json",),
    description="Label Studio tasks: key points, rectangles and ellipses, in percent of the image size",
    read=_read,
    write=lambda path, points: documents.save(path, [_build_task(*entry) for entry in points.items()]),
    accepts=lambda path: documents.detect_format(path) == "label-studio",
    holds=frozenset({"scores", "image_size", "names"}),
    needs=frozenset({"image_size"}),
)
