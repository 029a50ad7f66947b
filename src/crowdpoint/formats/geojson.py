"""GeoJSON: a FeatureCollection of Points with the property `image`.

Coordinates are pixels, or longitude and latitude (RFC 7946) with the properties `pixel_x` and `pixel_y`.
Reading uses these properties. The properties `longitude` and `latitude` repeat the coordinates, to detect
points that were moved.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crowdpoint.errors import FormatError
from crowdpoint.formats import documents
from crowdpoint.formats.documents import parse_real
from crowdpoint.formats.format import Format
from crowdpoint.formats.records import parse_record, to_record
from crowdpoint.formats.text import locate_errors
from crowdpoint.points import Points

_log = logging.getLogger(__name__)

_DECIMALS = 9  # of a degree: less than a millimetre

_MOVED = 1e-7
"""Tolerance in degrees, about a centimetre, for programs that round coordinates."""


def _read(path: Path) -> dict[str, Points]:
    match documents.load(path):
        case {"type": "FeatureCollection", "features": list(features)}:
            pass
        case _:
            raise FormatError(f"{path}: expected a FeatureCollection with a list of features")
    on_map = any(_has_pixels(feature) for feature in features)
    entries: dict[str, dict[str, Any]] = {}
    for index, feature in enumerate(features, start=1):
        with locate_errors(path, f" feature {index}"):
            properties, head = _parse_feature(feature)
            size = {side: properties.get(side) for side in ("width", "height")}
            entry = entries.setdefault(
                properties["image"], {"image": properties["image"], "points": [], **size}
            )
            if size != {side: entry[side] for side in size}:
                raise ValueError(f"image {entry['image']} has a different size in an earlier feature")
            if head is not None:
                if on_map and not _has_pixels(feature):
                    raise ValueError(
                        "has no pixel_x and pixel_y, unlike other features; add them to points created "
                        "on a map, in pixels of the image"
                    )
                parse_record({"image": "", "points": [head]})  # raise errors with this feature's number
                entry["points"].append(head)
    if unknown := sum(_hides_moves(feature) for feature in features):
        _log.warning(
            "warning: %s: %d points lack the properties longitude and latitude, which tell whether a point "
            "was moved on the map; using their pixel_x and pixel_y, which are wrong if it was",
            path,
            unknown,
        )
    points = {}
    for image, entry in entries.items():
        with locate_errors(path, f" image {image}"):
            points[image] = parse_record(entry)[1]
    return points


def _has_pixels(feature: object) -> bool:
    match feature:
        case {"properties": {"pixel_x": x, "pixel_y": y}}:
            return x is not None and y is not None  # some programs write missing properties as null
        case _:
            return False


def _hides_moves(feature: object) -> bool:
    """Check whether a feature has pixel and map coordinates, but not the place that it was written at."""
    match feature:
        case {"properties": {**known}, "geometry": {"coordinates": [*place]}}:
            pixel, original = (
                [known.get(name) for name in names]
                for names in (("pixel_x", "pixel_y"), ("longitude", "latitude"))
            )
            return None not in pixel and None in original and place[:2] != pixel
        case _:
            return False


def _parse_feature(feature: object) -> tuple[dict[str, Any], dict[str, Any] | None]:
    match feature:
        case {"properties": {"image": str()} as properties, "geometry": None}:
            return properties, None
        case {
            "properties": {"image": str()} as properties,
            "geometry": {"type": "Point", "coordinates": [x, y, *_]},
        }:
            # Some programs write missing properties as null.
            known = {name: value for name, value in properties.items() if value is not None}
            _check_unmoved(known, x, y)
            x, y = known.get("pixel_x", x), known.get("pixel_y", y)
            return properties, {**known, "x": x, "y": y}
        case _:
            raise ValueError(
                "expected a Point in pixels with the property image; map coordinates also need the "
                "properties pixel_x and pixel_y"
            )


def _check_unmoved(properties: dict[str, Any], x: object, y: object) -> None:
    for name, found in (("longitude", x), ("latitude", y)):
        known = properties.get(name)
        if known is not None and abs(parse_real(known, name) - parse_real(found, name)) > _MOVED:
            raise ValueError(
                f"was moved on the map, from {name} {known} to {found}, and its pixel_x and pixel_y are "
                f"those of the old place; write the new ones and delete the property {name}, or move it back"
            )


def build_feature_collection(
    points: Mapping[str, Points], positions: Mapping[str, npt.NDArray[np.float64]] | None = None
) -> dict[str, Any]:
    """Convert points to a FeatureCollection, in pixels or at `positions` (N, 2): longitude and latitude."""
    features: list[dict[str, Any]] = []
    for image, found in points.items():
        entry: dict[str, Any] = to_record(image, found)
        shared = {"image": image}
        if found.image_size:
            shared |= {"width": entry["width"], "height": entry["height"]}
        for index, head in enumerate(entry["points"]):
            position = [head.pop("x"), head.pop("y")]
            if positions is not None:
                head |= dict(zip(("pixel_x", "pixel_y"), position, strict=True))
                position = positions[image][index].round(_DECIMALS).tolist()
                head |= dict(zip(("longitude", "latitude"), position, strict=True))
            geometry = {"type": "Point", "coordinates": position}
            features.append({"type": "Feature", "geometry": geometry, "properties": {**shared, **head}})
        if not len(found):
            features.append({"type": "Feature", "geometry": None, "properties": shared})
    return {"type": "FeatureCollection", "features": features}


GEOJSON = Format(
    name="geojson",
    suffixes=(".geojson", ".json"),
    description="FeatureCollection of Points in pixels, with the property image",
    read=lambda path, _: _read(path),
    write=lambda path, points: documents.save(path, build_feature_collection(points)),
    accepts=lambda path: documents.detect_format(path) == "geojson",
    holds=frozenset({"scores", "sizes", "image_size", "names"}),
)
