"""CVAT for images 1.1: the points of all images in one XML file."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from xml.etree.ElementTree import Element  # only made here; `markup` reads

import numpy as np

from crowdpoint.errors import FormatError
from crowdpoint.formats import markup
from crowdpoint.formats.format import LABEL, Format
from crowdpoint.formats.markup import child
from crowdpoint.formats.text import at, number, shortest, whole
from crowdpoint.points import Points


def _read(path: Path) -> dict[str, Points]:
    root = markup.root(path)
    if root.tag != "annotations" or root.find("track") is not None:
        raise FormatError(f"{path}: expected annotations of images; export it as `CVAT for images 1.1`")
    points: dict[str, Points] = {}
    for index, image in enumerate(root.iter("image"), start=1):
        with at(path, f" image {index}"):
            name = image.get("name")
            if not name or name in points:
                raise ValueError(f"expected a name of its own, found {name!r}")
            points[name] = _image(image)
    return points


def _image(image: Element) -> Points:
    sides = image.get("width"), image.get("height")
    size = None if sides == (None, None) else (whole(sides[0], "width"), whole(sides[1], "height"))
    xy = []
    for shape in _shapes(image):
        for pair in (shape.get("points") or "").split(";"):
            x, comma, y = pair.partition(",")
            if not comma:
                raise ValueError(f"points: expected `x,y;x,y;...`, found {pair!r}")
            xy.append((number(x, "x"), number(y, "y")))
    return Points(np.array(xy, np.float32), image_size=size)


def _shapes(image: Element) -> Iterator[Element]:
    """The shapes `points`, and of each skeleton its first joint that is in the picture."""
    for shape in image:
        if shape.tag == "points" and shape.get("outside") != "1":
            yield shape
        elif shape.tag == "skeleton":
            yield from islice((joint for joint in shape.iter("points") if joint.get("outside") != "1"), 1)


def _write(path: Path, points: Mapping[str, Points]) -> None:
    root = Element("annotations")
    child(root, "version", "1.1")
    task = child(child(root, "meta"), "task")
    child(task, "size", len(points))
    child(task, "mode", "annotation")
    child(child(child(task, "labels"), "label"), "name", LABEL)
    for index, (name, found) in enumerate(points.items()):
        image = child(root, "image", id=index, name=name)
        if found.image_size:
            width, height = found.image_size
            image.attrib |= {"width": str(width), "height": str(height)}
        for x, y in shortest(found.xy):
            child(image, "points", label=LABEL, source="manual", occluded=0, points=f"{x},{y}", z_order=0)
    markup.save(path, root)


CVAT = Format(
    name="cvat",
    suffixes=(".xml",),
    description="CVAT for images 1.1: the shapes `points`, and of each skeleton its first joint",
    read=_read,
    write=_write,
    accepts=lambda path: markup.root_tag(path) == "annotations",
    holds=frozenset({"image_size", "names"}),
)
