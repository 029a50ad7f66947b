"""COCO keypoints and boxes, with all images in one file."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from crowdpoint.errors import FormatError
from crowdpoint.formats import documents
from crowdpoint.formats.classes import Classes
from crowdpoint.formats.documents import parse_real
from crowdpoint.formats.format import LABEL, Format
from crowdpoint.formats.text import build_points, locate_errors, shorten_floats
from crowdpoint.points import Points

Row = list[float]
"""x, y and score; for boxes x, y, score, width and height."""


def _read(parse: Callable[[dict[str, Any]], Row | None], path: Path, classes: Classes) -> dict[str, Points]:
    match documents.load(path):
        case {"images": list(images), "annotations": list(annotations), **rest}:
            categories = rest.get("categories")
        case _:
            raise FormatError(f"{path}: expected an object with the lists images and annotations")
    names = {
        str(category["id"]): str(category["name"])
        for category in (categories if isinstance(categories, list) else ())
        if isinstance(category, dict) and {"id", "name"} <= category.keys()
    }
    sizes: dict[str, tuple[int, int] | None] = {}
    heads: dict[object, list[Row]] = {}
    for index, image in enumerate(images, start=1):
        with locate_errors(path, f" image {index}"):
            match image:
                case {"file_name": str(name), "id": (int() | str()) as key}:
                    pass
                case _:
                    raise ValueError("expected an object with file_name and id")
            if name in sizes or key in heads:
                raise ValueError(f"duplicate file_name {name} or id {key}")
            sizes[name], heads[key] = documents.parse_size(image), []
    for index, annotation in enumerate(annotations, start=1):
        with locate_errors(path, f" annotation {index}"):
            if not isinstance(annotation, dict):
                raise ValueError(f"expected an object, found {annotation!r}")
            image_id = annotation.get("image_id")
            if not isinstance(image_id, int | str) or image_id not in heads:
                raise ValueError(f"image_id: expected the id of one of the images, found {image_id!r}")
            row = None if annotation.get("iscrowd") else parse(annotation)
            key = str(annotation.get("category_id", ""))
            if row is not None and classes.keep(names.get(key, key)):
                heads[image_id].append(row)
    points = {}
    for (name, size), rows in zip(sizes.items(), heads.values(), strict=True):
        with locate_errors(path, f" image {name}"):
            points[name] = build_points(rows, size)
    return points


def _read_keypoint(annotation: dict[str, Any]) -> Row | None:
    """Return the first labelled keypoint; for COCO's persons, the nose, an eye, an ear and so on."""
    keypoints = annotation.get("keypoints")
    if not isinstance(keypoints, list) or len(keypoints) % 3:
        raise ValueError("keypoints: expected a list of x, y and visibility for each")
    for x, y, visibility in zip(keypoints[::3], keypoints[1::3], keypoints[2::3], strict=True):
        if parse_real(visibility, "visibility") > 0:
            return [parse_real(x, "x"), parse_real(y, "y"), _read_score(annotation)]
    return None


def _read_box(annotation: dict[str, Any]) -> Row:
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"bbox: expected a list of x, y, width and height, found {box!r}")
    x, y, width, height = (parse_real(value, "bbox") for value in box)
    return [x + width / 2, y + height / 2, _read_score(annotation), width, height]


def _read_score(annotation: dict[str, Any]) -> float:
    return parse_real(annotation.get("score", 1.0), "score")


def _write(keypoints: bool, path: Path, points: Mapping[str, Points]) -> None:
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for key, (name, found) in enumerate(points.items(), start=1):
        image: dict[str, object] = {"id": key, "file_name": name}
        if found.image_size:
            image |= {"width": found.image_size[0], "height": found.image_size[1]}
        images.append(image)
        for annotation in _build_annotations(found, keypoints):
            annotations.append({"id": len(annotations) + 1, "image_id": key, **annotation})
    category: dict[str, object] = {"id": 1, "name": LABEL, "supercategory": ""}
    if keypoints:
        category |= {"keypoints": [LABEL], "skeleton": []}
    documents.save(path, {"images": images, "annotations": annotations, "categories": [category]})


def _build_annotations(points: Points, keypoints: bool) -> list[dict[str, object]]:
    """Create one annotation per point. COCO's tools require a box and an area even for keypoints."""
    sizes = np.zeros_like(points.xy) if points.sizes is None else points.sizes
    annotations = []
    for x, y, score, width, height in shorten_floats(np.hstack([points.xy, points.scores[:, None], sizes])):
        box = {"bbox": [x - width / 2, y - height / 2, width, height], "area": width * height, "iscrowd": 0}
        head: dict[str, object] = {"category_id": 1, **box}
        if keypoints:
            head |= {"keypoints": [x, y, 2], "num_keypoints": 1}
        annotations.append(head if score == 1 else {**head, "score": score})
    return annotations


KEYPOINTS = Format(
    name="coco-keypoints",
    suffixes=(".json",),
    description="COCO keypoints; reads the first labelled keypoint of each annotation",
    read=partial(_read, _read_keypoint),
    write=partial(_write, True),
    accepts=lambda path: documents.detect_format(path) == "coco-keypoints",
    holds=frozenset({"scores", "image_size", "names"}),
)
BOXES = Format(
    name="coco-boxes",
    suffixes=(".json",),
    description="COCO boxes; points are their centres",
    read=partial(_read, _read_box),
    write=partial(_write, False),
    accepts=lambda path: documents.detect_format(path) == "coco-boxes",
    holds=frozenset({"scores", "sizes", "image_size", "names"}),
    needs=frozenset({"sizes"}),
)
