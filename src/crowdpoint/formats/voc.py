"""Pascal VOC boxes, one XML file per image; points are their centres."""

from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element  # for writing; `markup` parses

import numpy as np

from crowdpoint.errors import FormatError
from crowdpoint.formats import markup
from crowdpoint.formats.classes import Classes
from crowdpoint.formats.documents import parse_size
from crowdpoint.formats.format import LABEL, Format, get_single
from crowdpoint.formats.markup import add_child
from crowdpoint.formats.text import build_points, locate_errors, parse_number, shorten_floats
from crowdpoint.points import Points

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def _read(path: Path, classes: Classes) -> dict[str, Points]:
    root = markup.parse(path)
    if root.tag != "annotation":
        raise FormatError(f"{path}: expected the element annotation, found {root.tag}")
    boxes = []
    for index, entry in enumerate(root.iter("object"), start=1):
        with locate_errors(path, f" object {index}"):
            if classes.keep(entry.findtext("name", "")):
                boxes.append(_read_box(entry))
    name = root.findtext("filename") or path.stem
    with locate_errors(path, f" image {name}"):
        size = parse_size({side: root.findtext(f"size/{side}") for side in ("width", "height")})
        return {name: build_points(boxes, size)}


def _read_box(entry: Element) -> list[float]:
    left, top, right, bottom = (parse_number(entry.findtext(f"bndbox/{name}"), name) for name in _CORNERS)
    if right < left or bottom < top:
        raise ValueError(
            f"expected xmax and ymax of at least xmin and ymin, found {left, top, right, bottom}"
        )
    return [(left + right) / 2, (top + bottom) / 2, 1.0, right - left, bottom - top]


def _write(path: Path, points: Mapping[str, Points]) -> None:
    image, found = get_single(points)
    root = Element("annotation")
    add_child(root, "folder", "")
    add_child(root, "filename", image)
    if found.image_size:
        size = add_child(root, "size")
        for side, pixels in zip(("width", "height", "depth"), (*found.image_size, 3), strict=True):
            add_child(size, side, pixels)
    add_child(root, "segmented", 0)
    sizes = np.zeros_like(found.xy) if found.sizes is None else found.sizes
    for x, y, width, height in shorten_floats(np.hstack([found.xy, sizes])):
        entry = add_child(root, "object")
        for tag, text in (("name", LABEL), ("pose", "Unspecified"), ("truncated", 0), ("difficult", 0)):
            add_child(entry, tag, text)
        box = add_child(entry, "bndbox")
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        for tag, value in zip(_CORNERS, corners, strict=True):
            add_child(box, tag, value)
    markup.save(path, root)


VOC = Format(
    name="voc",
    suffixes=(".xml",),
    description="Pascal VOC boxes of one image; points are their centres",
    read=_read,
    write=_write,
    accepts=lambda path: markup.find_root_tag(path) == "annotation",
    holds=frozenset({"sizes", "image_size", "names"}),
    needs=frozenset({"sizes"}),
    file_name=lambda image: f"{image}.xml",
)
