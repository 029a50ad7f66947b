"""GeoJSON: a FeatureCollection of Points in pixels, each with the image that it lies on.

Only `_feature` and `_head` know what the coordinates are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crowdpoint.errors import FormatError
from crowdpoint.formats import documents
from crowdpoint.formats.format import Format
from crowdpoint.formats.records import parse, record
from crowdpoint.formats.text import at
from crowdpoint.points import Points


def _read(path: Path) -> dict[str, Points]:
    match documents.load(path):
        case {"type": "FeatureCollection", "features": list(features)}:
            pass
        case _:
            raise FormatError(f"{path}: expected a FeatureCollection with a list of features")
    entries: dict[str, dict[str, Any]] = {}
    for index, feature in enumerate(features, start=1):
        with at(path, f" feature {index}"):
            properties, head = _head(feature)
            size = {side: properties.get(side) for side in ("width", "height")}
            entry = entries.setdefault(
                properties["image"], {"image": properties["image"], "points": [], **size}
            )
            if size != {side: entry[side] for side in size}:
                raise ValueError(f"image {entry['image']} has another size than in a feature above")
            if head is not None:
                parse({"image": "", "points": [head]})  # to complain about this feature
                entry["points"].append(head)
    points = {}
    for image, entry in entries.items():
        with at(path, f" image {image}"):
            points[image] = parse(entry)[1]
    return points


def _head(feature: object) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The properties of a feature and its point, None where there is no geometry."""
    match feature:
        case {"properties": {"image": str()} as properties, "geometry": None}:
            return properties, None
        case {
            "properties": {"image": str()} as properties,
            "geometry": {"type": "Point", "coordinates": [x, y, *_]},
        }:
            known = {name: value for name, value in properties.items() if value is not None}
            return properties, {**known, "x": x, "y": y}  # programs write null for what a feature lacks
        case _:
            raise ValueError(
                "expected a Point in pixels with the property image; map coordinates cannot be read"
            )


def _write(path: Path, points: Mapping[str, Points]) -> None:
    features = []
    for image, found in points.items():
        entry: dict[str, Any] = record(image, found)
        shared = {"image": image}
        if found.image_size:
            shared |= {"width": entry["width"], "height": entry["height"]}
        features += [_feature(shared, head) for head in entry["points"]]
        if not len(found):
            features.append({"type": "Feature", "geometry": None, "properties": shared})
    documents.save(path, {"type": "FeatureCollection", "features": features})


def _feature(shared: dict[str, Any], head: dict[str, float]) -> dict[str, Any]:
    geometry = {"type": "Point", "coordinates": [head.pop("x"), head.pop("y")]}
    return {"type": "Feature", "geometry": geometry, "properties": {**shared, **head}}


GEOJSON = Format(
    name="geojson",
    suffixes=(".geojson", ".json"),
    description="a FeatureCollection of Points in pixels, with the property image",
    read=_read,
    write=_write,
    accepts=lambda path: documents.kind(path) == "geojson",
    holds=frozenset({"scores", "sizes", "image_size", "names"}),
)
