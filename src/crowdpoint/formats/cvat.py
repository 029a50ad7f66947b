"""CVAT for images 1.1 and for video 1.1, with all images or frames in one XML file."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element  # for writing; `markup` parses

from crowdpoint.errors import FormatError
from crowdpoint.folders import natural_sort_key
from crowdpoint.formats import markup
from crowdpoint.formats.classes import Classes, report_shapes
from crowdpoint.formats.documents import parse_size
from crowdpoint.formats.format import LABEL, Format
from crowdpoint.formats.markup import add_child
from crowdpoint.formats.text import (
    build_points,
    locate_errors,
    parse_integer,
    parse_number,
    shorten_floats,
)
from crowdpoint.points import Points

_HEADS = ("box", "ellipse", "points", "skeleton")
_OTHERS = ("polygon", "polyline", "mask", "cuboid")


def _read(path: Path, classes: Classes) -> dict[str, Points]:
    root = markup.parse(path)
    if root.tag != "annotations":
        raise FormatError(f"{path}: expected the element annotations, found {root.tag}")
    report_shapes(path, Counter(shape.tag for shape in root.iter() if shape.tag in _OTHERS))
    if root.find("track") is not None:
        return _read_tracks(path, root, classes)
    points: dict[str, Points] = {}
    for index, image in enumerate(root.iter("image"), start=1):
        with locate_errors(path, f" image {index}"):
            name = image.get("name")
            if not name or name in points:
                raise ValueError(f"expected a unique name, found {name!r}")
            heads = [
                row
                for shape in image
                if shape.tag in _HEADS and (seen := _find_visible(shape)) is not None
                if classes.keep(shape.get("label", ""))
                for row in _read_heads(seen)
            ]
            points[name] = build_points(heads, parse_size(image.attrib))
    return points


def _find_visible(shape: Element) -> Element | None:
    """Find the visible part: the shape itself, or the first visible joint of a skeleton; None without one."""
    parts = shape.iter("points") if shape.tag == "skeleton" else [shape]
    return next((part for part in parts if part.get("outside") != "1"), None)


def _read_heads(shape: Element) -> list[list[float]]:
    """Read x, y and score of each point of a shape; of a box or an ellipse, also its width and height."""
    if shape.tag == "box":
        left, top, right, bottom = (parse_number(shape.get(n), n) for n in ("xtl", "ytl", "xbr", "ybr"))
        return [[(left + right) / 2, (top + bottom) / 2, 1.0, right - left, bottom - top]]
    if shape.tag == "ellipse":
        x, y, across, down = (parse_number(shape.get(n), n) for n in ("cx", "cy", "rx", "ry"))
        return [[x, y, 1.0, 2 * across, 2 * down]]
    rows = []
    for pair in (shape.get("points") or "").split(";"):
        x_text, comma, y_text = pair.partition(",")
        if not comma:
            raise ValueError(f"points: expected `x,y;x,y;...`, found {pair!r}")
        rows.append([parse_number(x_text, "x"), parse_number(y_text, "y"), 1.0])
    return rows


def _read_tracks(path: Path, root: Element, classes: Classes) -> dict[str, Points]:
    """Read the visible heads of the tracks of a video, as one image per frame.

    The subsets of a project number their frames independently, and become folders if there are several.
    """
    with locate_errors(path, " meta"):
        sizes = _read_sizes(root)
    only = next(iter(sizes.values())) if len(set(sizes.values())) == 1 else None
    several = len({track.get("subset") for track in root.iter("track")}) > 1
    frames: dict[str, tuple[tuple[int, int] | None, list[list[float]]]] = {}  # name -> size and heads
    for index, track in enumerate(root.iter("track"), start=1):
        folder = f"{track.get('subset', '')}/" if several else ""
        with locate_errors(path, f" track {index}"):
            for shape in track:
                if shape.tag in _HEADS:
                    frame = f"{folder}frame_{parse_integer(shape.get('frame'), 'frame'):06}"
                    _, heads = frames.setdefault(frame, (sizes.get(track.get("task_id"), only), []))
                    seen = _find_visible(shape)
                    if seen is not None and classes.keep(track.get("label", "")):
                        heads.extend(_read_heads(seen))
    points: dict[str, Points] = {}
    for frame in sorted(frames, key=natural_sort_key):
        with locate_errors(path, f" {frame}"):
            size, heads = frames[frame]
            points[frame] = build_points(heads, size)
    return points


def _read_sizes(root: Element) -> dict[str | None, tuple[int, int] | None]:
    """Read the size of the frames of each task by its id, from the file of a task, job or project."""
    meta = root.find("meta")
    return {
        place.findtext("id"): parse_size({side: found.findtext(side) for side in ("width", "height")})
        for place in (() if meta is None else meta.iter())
        if (found := place.find("original_size")) is not None
    }


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
    description="CVAT for images 1.1 and for video 1.1: points, boxes, ellipses, first joints of skeletons",
    read=_read,
    write=_write,
    accepts=lambda path: markup.find_root_tag(path) == "annotations",
    holds=frozenset({"image_size", "names"}),
)
