"""GeoJSON: a FeatureCollection of Points, each with the image that it lies on.

The coordinates are pixels. Points on the map are in longitude and latitude, as RFC 7946 has it, and have
their pixels as the properties `pixel_x` and `pixel_y`; these are read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crowdpoint.errors import FormatError
from crowdpoint.formats import documents
from crowdpoint.formats.format import Format
from crowdpoint.formats.records import parse, record
from crowdpoint.formats.text import at
from crowdpoint.points import Points

_DECIMALS = 9  # of a degree, less than a millimetre


def _read(path: Path) -> dict[str, Points]:
    match documents.load(path):
        case {"type": "FeatureCollection", "features": list(features)}:
            pass
        case _:
            raise FormatError(f"{path}: expected a FeatureCollection with a list of features")
    on_map = any(_has_pixels(feature) for feature in features)
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
                if on_map and not _has_pixels(feature):
                    raise ValueError(
                        "has no pixel_x and pixel_y, as features above or below have; a point that was added "
                        "on a map needs them, in pixels of its image"
                    )
                parse({"image": "", "points": [head]})  # to complain about this feature
                entry["points"].append(head)
    points = {}
    for image, entry in entries.items():
        with at(path, f" image {image}"):
            points[image] = parse(entry)[1]
    return points


def _has_pixels(feature: object) -> bool:
    """Whether a feature says its pixels, too; programs write null where it does not."""
    match feature:
        case {"properties": {"pixel_x": x, "pixel_y": y}}:
            return x is not None and y is not None
        case _:
            return False


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
            x, y = known.get("pixel_x", x), known.get("pixel_y", y)
            return properties, {**known, "x": x, "y": y}  # programs write null for what a feature lacks
        case _:
            raise ValueError(
                "expected a Point in pixels with the property image; map coordinates cannot be read "
                "without the properties pixel_x and pixel_y"
            )


def _write(path: Path, points: Mapping[str, Points]) -> None:
    documents.save(path, collection(points))


def collection(
    points: Mapping[str, Points], positions: Mapping[str, npt.NDArray[np.float64]] | None = None
) -> dict[str, Any]:
    """The FeatureCollection of some images' points.

    Args:
        points: image id -> Points.
        positions: image id -> (N, 2) longitude and latitude of its points in degrees; pixels when None.
    """
    features: list[dict[str, Any]] = []
    for image, found in points.items():
        entry: dict[str, Any] = record(image, found)
        shared = {"image": image}
        if found.image_size:
            shared |= {"width": entry["width"], "height": entry["height"]}
        if positions is None:
            features += [_feature(shared, head, [head.pop("x"), head.pop("y")]) for head in entry["points"]]
        else:
            on_map = zip(entry["points"], positions[image].round(_DECIMALS).tolist(), strict=True)
            for head, position in on_map:
                pixel = {"pixel_x": head.pop("x"), "pixel_y": head.pop("y")}
                features.append(_feature(shared, head | pixel, position))
        if not len(found):
            features.append({"type": "Feature", "geometry": None, "properties": shared})
    return {"type": "FeatureCollection", "features": features}


def _feature(shared: dict[str, Any], head: dict[str, float], position: list[float]) -> dict[str, Any]:
    geometry = {"type": "Point", "coordinates": position}
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
