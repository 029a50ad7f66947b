"""Label Studio JSON: one task per image, with keypoints in percent of the image size."""

from pathlib import Path
from typing import Any

import numpy as np

from crowdpoint.errors import FormatError
from crowdpoint.formats import documents
from crowdpoint.formats.classes import Classes
from crowdpoint.formats.documents import parse_real
from crowdpoint.formats.format import LABEL, Format
from crowdpoint.formats.image_names import is_image
from crowdpoint.formats.text import build_points, parse_images, shorten_floats
from crowdpoint.points import Points


def _read(path: Path, classes: Classes) -> dict[str, Points]:
    tasks = documents.load(path)
    if not isinstance(tasks, list):
        raise FormatError(f"{path}: expected a list of tasks")
    entries = ((f" task {index}", task) for index, task in enumerate(tasks, start=1))
    return parse_images(path, entries, lambda task: _read_task(task, classes))


def _read_task(task: Any, classes: Classes) -> tuple[str, Points]:
    match task:
        case {"data": dict(data)}:
            image = _read_image(data)
        case _:
            raise ValueError("expected an object whose data has an image")
    size = documents.parse_size(data)
    rows = []
    for number, region in enumerate(_read_regions(task), start=1):
        match region:
            case {"type": "keypointlabels" | "keypoint", "value": dict(value)}:
                pass
            case {"type": str()}:
                continue
            case _:
                raise ValueError(f"region {number}: expected an object with type and value")
        found = documents.parse_size(region, "original_width", "original_height")
        if found is None or size not in (None, found):
            raise ValueError(f"region {number}: expected the original_width and _height of its image {size}")
        if region.get("image_rotation"):
            raise ValueError(f"region {number}: image_rotation: expected 0; rotate the image file instead")
        size = found
        labels = value.get("keypointlabels")
        names = [label for label in labels if isinstance(label, str)] if isinstance(labels, list) else []
        if not classes.keep(*names):
            continue
        x, y = (parse_real(value.get(name), f"region {number}: {name}") for name in ("x", "y"))
        rows.append([x / 100 * size[0], y / 100 * size[1], parse_real(region.get("score", 1.0), "score")])
    return image, build_points(rows, size)


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


def _read_regions(task: dict[str, Any]) -> list[Any]:
    """Return the regions of the first annotation that was not skipped, or else of the first prediction."""
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
    description="Label Studio tasks with keypointlabels, in percent of the image size",
    read=_read,
    write=lambda path, points: documents.save(path, [_build_task(*entry) for entry in points.items()]),
    accepts=lambda path: documents.detect_format(path) == "label-studio",
    holds=frozenset({"scores", "image_size", "names"}),
    needs=frozenset({"image_size"}),
)
