"""CVAT for images 1.1, with all images in one XML file."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from xml.etree.ElementTree import Element  # for writing; `markup` parses

import numpy as np

from crowdpoint.errors import FormatError
from crowdpoint.formats import markup
from crowdpoint.formats.classes import Classes
from crowdpoint.formats.format import LABEL, Format
from crowdpoint.formats.markup import add_child
from crowdpoint.formats.text import locate_errors, parse_integer, parse_number, shorten_floats
from crowdpoint.points import Points


def _read(path: Path, classes: Classes) -> dict[str, Points]:
    root = markup.parse(path)
    if root.tag != "annotations" or root.find("track") is not None:
        raise FormatError(f"{path}: expected image annotations; export as `CVAT for images 1.1`")
    points: dict[str, Points] = {}
    for index, image in enumerate(root.iter("image"), start=1):
        with locate_errors(path, f" image {index}"):
            name = image.get("name")
            if not name or name in points:
                raise ValueError(f"expected a unique name, found {name!r}")
            points[name] = _image(image, classes)
    return points


def _image(image: Element, classes: Classes) -> Points:
    sides = image.get("width"), image.get("height")
    size = (
        None
        if sides == (None, None)
        else (parse_integer(sides[0], "width"), parse_integer(sides[1], "height"))
    )
    xy = []
    for shape in _shapes(image, classes):
        for pair in (shape.get("points") or "").split(";"):
            x, comma, y = pair.partition(",")
            if not comma:
                raise ValueError(f"points: expected `x,y;x,y;...`, found {pair!r}")
            xy.append((parse_number(x, "x"), parse_number(y, "y")))
    return Points(np.array(xy, np.float32), image_size=size)


def _shapes(image: Element, classes: Classes) -> Iterator[Element]:
    """Yield the `points` shapes, and the first visible joint of each skeleton."""
    for shape in image:
        if shape.tag in ("points", "skeleton"):
            visible = (joint for joint in shape.iter("points") if joint.get("outside") != "1")
            for joint in islice(visible, 1):
                if classes.keep(shape.get("label", "")):
                    yield joint


def _write(path: Path, points: Mapping[str, Points]) -> None:
    root = Element("annotations")
    add_child(root, "version", "1.1")
    task = add_child(add_child(root, "meta"), "task")
    add_child(task, "size", len(points))
    add_child(task, "mode", "annotation")
    add_child(add_child(add_child(task, "labels"), "label"), "name", LABEL)
    for index, (name, found) in enumerate(points.items()):
        image = add_child(root, "image", id=index, name=name)
        if found.image_size:
            width, height = found.image_size
            image.attrib |= {"width": str(width), "height": str(height)}
        for x, y in shorten_floats(found.xy):
            add_child(image, "points", label=LABEL, source="manual", occluded=0, points=f"{x},{y}", z_order=0)
    markup.save(path, root)


CVAT = Format(
    name="cvat",
    suffixes=(".xml",),
    description="CVAT for images 1.1: `points` shapes, and the first joint of each skeleton",
    read=_read,
    write=_write,
    accepts=lambda path: markup.find_root_tag(path) == "annotations",
    holds=frozenset({"image_size", "names"}),
)
