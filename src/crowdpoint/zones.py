"""Zones: named polygons in an image with counts, densities and alert rules, and lines to count crossings.

Zones and lines are read from YAML or GeoJSON. Zones take `Points`, so they work on images and videos.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from crowdpoint.errors import ConfigError, ImageError, requires
from crowdpoint.points import DoubleArray, Points
from crowdpoint.rasters import Georeference
from crowdpoint.sections import Section, read_values, validate

if TYPE_CHECKING:
    import shapely


Coordinate = Annotated[float, Field(gt=-1e9, lt=1e9)]
"""A number of pixels, degrees or metres; larger ones are damaged, and overflow."""

Coordinates = tuple[Coordinate, Coordinate]
Size = tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]

_OF_GIS = ("type", "features", "name", "bbox", "xy_coordinate_resolution", "z_coordinate_resolution")
"""Keys of a FeatureCollection that GIS programs write."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
"""Seconds per unit."""

_SHAPE_TOLERANCE = 0.02
"""Tolerated relative difference of aspect ratios between images of the same view, due to rounding."""


def _parse_seconds(value: object) -> object:
    """Convert a duration such as `10s` to seconds; numbers are seconds already."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h)\s*", value)
    if not match:
        raise ValueError(f"expected seconds or a duration such as 500ms, 10s, 2m or 1h, found {value!r}")
    return float(match[1]) * _UNITS[match[2]]


class AlertRule(Section):
    """Rule that raises and clears the alert of a zone."""

    above: float = Field(ge=0)
    """Raise above this many people, or people per square metre."""
    clear: float | None = Field(None, ge=0)
    """Clear at or below this value; by default, `above`. A lower value avoids repeated alerts."""
    hold: Annotated[float, BeforeValidator(_parse_seconds)] = Field(0.0, ge=0, alias="for")
    """Duration for which the value must stay beyond a limit to raise or clear, in seconds or as `10s`."""
    measure: Literal["count", "density"] = "count"
    """Measured value: people in the zone, or people per square metre."""

    @property
    def clear_level(self) -> float:
        """The value at or below which the alert is cleared."""
        return self.above if self.clear is None else self.clear

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.clear_level > self.above:
            raise ValueError(f"clear: expected at most above ({self.above:g}), found {self.clear:g}")
        return self


class Zone(Section):
    """A named polygon in the image."""

    name: str = Field(min_length=1, max_length=100)
    """Name in results; unique."""
    polygon: tuple[Coordinates, ...] = Field(min_length=3)
    """Corners (x, y) in pixels, in order; closed automatically."""
    alert: AlertRule | None = None
    """Alert rule."""

    @field_validator("polygon")
    @classmethod
    def _check_polygon(cls, polygon: tuple[Coordinates, ...]) -> tuple[Coordinates, ...]:
        if polygon[0] == polygon[-1]:
            polygon = polygon[:-1]
        _build_shape(polygon)
        return polygon


class Line(Section):
    """A line in a video that counts people crossing it in both directions."""

    name: str = Field(min_length=1, max_length=100)
    """Name in results; unique among zones and lines."""
    line: tuple[Coordinates, Coordinates]
    """End points (x, y) in pixels. Looking from the first to the second, crossings from right to left are
    `in`, those from left to right `out`; swap the end points to swap the directions."""

    @field_validator("line")
    @classmethod
    def _check_line(cls, line: tuple[Coordinates, Coordinates]) -> tuple[Coordinates, Coordinates]:
        if line[0] == line[1]:
            raise ValueError(f"expected two different end points, found {list(line[0])} twice")
        return line


class Ground(Section):
    """Calibration of the ground plane by four points."""

    image: tuple[Coordinates, Coordinates, Coordinates, Coordinates]
    """Points (x, y) in pixels."""
    metres: tuple[Coordinates, Coordinates, Coordinates, Coordinates]
    """The same points on the ground, (x, y) in metres from any origin."""

    @field_validator("image", "metres")
    @classmethod
    def _check_convex(cls, corners: tuple[Coordinates, ...]) -> tuple[Coordinates, ...]:
        shape = _build_shape(corners)
        if not np.isclose(shape.convex_hull.area, shape.area, rtol=1e-6):
            raise ValueError("expected the corners of a convex shape, in order around it")
        return corners

    def homography(self) -> DoubleArray:
        """Compute the (3, 3) homography from homogeneous pixels (x, y, 1) to homogeneous metres."""
        import cv2

        image, metres = np.array(self.image), np.array(self.metres)
        to_origin = np.eye(3)
        to_origin[:2, 2] = metres[0]
        # OpenCV uses float32, which is too coarse for map coordinates.
        near = cv2.getPerspectiveTransform(image.astype(np.float32), (metres - metres[0]).astype(np.float32))
        homography: DoubleArray = to_origin @ near
        return homography

    def to_metres(self, xy: npt.ArrayLike) -> DoubleArray:
        """Convert pixels (N, 2) to ground coordinates (N, 2) in metres.

        Raises:
            ValueError: if a pixel lies on or above the horizon.
        """
        homography = self.homography()
        xy = np.asarray(xy, np.float64)
        homogeneous = np.column_stack((xy, np.ones(len(xy))))
        scale = homogeneous @ homography[2]
        sign = np.sign(homography[2] @ (*self.image[0], 1.0))
        if (scale * sign <= 1e-9).any():
            raise ValueError("expected pixels on the ground, found one on or above the horizon")
        metres: DoubleArray = homogeneous @ homography[:2].T / scale[:, None]
        if not np.isfinite(metres).all():
            raise ValueError(
                "expected pixels that lie near its points, found some without a place on the ground"
            )
        return metres


class Zones(Section):
    """Zones and lines of an image.

    Polygons are in pixels of an image of `image_size`; `count` and `fit` scale them to other sizes. Without
    `image_size`, they are in pixels of the image at hand.

    >>> zones = Zones(zones=[{"name": "door", "polygon": [(0, 0), (10, 0), (10, 10), (0, 10)]}])
    >>> zones.count(Points([[5, 5], [20, 5]]))
    {'door': 1}
    """

    image_size: Size | None = None
    """(width, height) in pixels of the image on which the zones were drawn."""
    ground: Ground | None = None
    """Ground plane calibration, needed for areas and densities."""
    zones: tuple[Zone, ...] = ()
    """The zones; they may overlap."""
    lines: tuple[Line, ...] = ()
    """The lines; they may cross zones and each other."""

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        names = [zone.name for zone in self.zones] + [line.name for line in self.lines]
        if not names:
            raise ValueError("zones: expected at least one zone or line, found none")
        double = next((name for name, count in Counter(names).items() if count > 1), None)
        if double is not None:
            raise ValueError(f"zones: expected unique names, found {double!r} twice")
        for zone in self.zones:
            if self.ground is None:
                if zone.alert and zone.alert.measure == "density":
                    raise ValueError(f"zones: the density alert of {zone.name!r} needs `ground`")
            else:
                _compute_area(zone, self.ground)
        return self

    def count(self, points: Points) -> dict[str, int]:
        """Count the people in each zone, by name in the order of the file.

        If the points have an image size, scales the polygons to it.

        Raises:
            ConfigError: if a zone lies outside the image.
        """
        zones = self if points.image_size is None else self.fit(points.image_size)
        return {zone.name: len(points.within(zone.polygon)) for zone in zones.zones}

    @cached_property
    def areas(self) -> dict[str, float | None]:
        """Ground area of each zone in square metres, by name; None without `ground`."""
        ground = self.ground
        return {zone.name: None if ground is None else _compute_area(zone, ground) for zone in self.zones}

    def densities(self, counts: Mapping[str, float]) -> dict[str, float | None]:
        """Compute people per square metre from the count of each zone; None without `ground`."""
        return {name: None if area is None else counts[name] / area for name, area in self.areas.items()}

    def fit(self, image_size: tuple[int, int]) -> "Zones":
        """Scale the zones and lines to an image of the same view of another size (width, height).

        Raises:
            ConfigError: if the aspect ratio differs, or a zone or line lies outside the image or is smaller
                than a pixel.
        """
        width, height = image_size
        drawn_width, drawn_height = self.image_size or image_size
        factors = (width / drawn_width, height / drawn_height)
        if abs(factors[0] / factors[1] - 1) > _SHAPE_TOLERANCE:
            raise ConfigError(
                f"zones: drawn on an image of {drawn_width}x{drawn_height} pixels, found "
                f"{width}x{height} with another aspect ratio; draw zones for it, or correct `image_size`"
            )
        ground = self.ground
        if ground is not None:
            ground = ground.model_copy(update={"image": _scale(ground.image, factors)})
        fitted = self._move(lambda corners: _scale(corners, factors), image_size, ground)
        for name, corners in fitted._list_outlines():
            (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
            if right <= 0 or bottom <= 0 or left >= width or top >= height:
                raise ConfigError(
                    f"{name}: lies outside the image of {width}x{height} pixels, or on its edge; if it was "
                    "drawn on an image of another size, write that size as `image_size: [width, height]`"
                )
            sides = (right - left, bottom - top)
            if (max(sides) if name.startswith("line") else min(sides)) < 1:
                raise ConfigError(
                    f"{name}: expected pixels, found {right - left:.3g} x {bottom - top:.3g} pixels at "
                    f"({left:.6g}, {top:.6g}); longitude and latitude need a georeferenced image"
                )
        return fitted

    def project(self, place: "Georeference", image_size: tuple[int, int]) -> "Zones":
        """Convert zones in longitude and latitude to pixels of a georeferenced image.

        Zones without `image_size` are taken as longitude and latitude if one lies on the image when read that
        way, or if none covers a pixel when read as pixels. Otherwise, they are in pixels already, and are
        fitted to the image if they have an `image_size`. The georeference is their `ground`, unless they have
        one.

        Args:
            place: georeference of the image.
            image_size: (width, height) of the image in pixels.
        """
        if self.image_size is not None:
            fitted = self.fit(image_size)
            return fitted.model_copy(update={"ground": fitted.ground or _find_ground(place, image_size)})
        ground = self.ground or _find_ground(place, image_size)
        moved = self._move(
            lambda corners: tuple(map(tuple, place.to_pixels(np.array(corners)).tolist())), None, ground
        )
        if any(_overlaps(corners, image_size) for _, corners in moved._list_outlines()) or not any(
            (np.ptp(corners, axis=0) >= 1).any() for _, corners in self._list_outlines()
        ):
            return moved
        return self._move(lambda corners: corners, None, ground)

    def _list_outlines(self) -> list[tuple[str, DoubleArray]]:
        """List the name for messages and the corners (N, 2) of every zone and line."""
        zones = [(f"zone {zone.name!r}", np.array(zone.polygon)) for zone in self.zones]
        return zones + [(f"line {line.name!r}", np.array(line.line)) for line in self.lines]

    def _move(self, move: Callable[[Any], Any], image_size: Size | None, ground: Ground | None) -> "Zones":
        zones = tuple(zone.model_copy(update={"polygon": move(zone.polygon)}) for zone in self.zones)
        lines = tuple(line.model_copy(update={"line": move(line.line)}) for line in self.lines)
        return Zones.model_construct(image_size=image_size, ground=ground, zones=zones, lines=lines)


def load(path: str | Path) -> Zones:
    """Read zones from a YAML file of `Zones`, or a GeoJSON FeatureCollection.

    In GeoJSON, Polygons are zones and LineStrings are lines. Coordinates are pixels, or longitude and
    latitude for georeferenced images (`Zones.project`).

    Raises:
        ConfigError: if the file cannot be read, or has an unknown key or an invalid polygon.
        MissingExtraError: if the extra `zones` is not installed.
    """
    path = Path(path)
    values = read_values(path)
    if isinstance(values, dict) and values.get("type") == "FeatureCollection":
        values = _from_geojson(values, path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping with `zones`, found {type(values).__name__}")
    return validate(Zones, values, str(path))


def _from_geojson(collection: dict[str, Any], path: Path) -> dict[str, Any]:
    """Convert a FeatureCollection to the values of `Zones`; keeps unknown keys, which validation rejects."""
    if "crs" in collection:
        raise ConfigError(
            f"{path}: crs: expected pixels, or longitude and latitude (RFC 7946), found a coordinate system; "
            "remove `crs` if it is CRS84, or save the file again as RFC 7946"
        )
    values = {key: value for key, value in collection.items() if key not in _OF_GIS}
    features = collection.get("features")
    if not isinstance(features, list):
        raise ConfigError(f"{path}: features: expected a list")
    parts = [_parse_feature(f, f"{path}: feature {i}") for i, f in enumerate(features, start=1)]
    zones = [part for part in parts if "polygon" in part]
    return values | {"zones": zones, "lines": [part for part in parts if "line" in part]}


def _parse_feature(feature: object, where: str) -> dict[str, Any]:
    if isinstance(feature, dict) and feature.get("properties") is None:
        feature = feature | {"properties": {}}
    match feature:
        case {
            "geometry": {"type": "LineString", "coordinates": [_, _] as line}
            | {"type": "MultiLineString", "coordinates": [[_, _] as line]},
            "properties": dict(known),
        }:
            shape = {"line": _drop_heights(line)}
        case {
            "geometry": {"type": "Polygon", "coordinates": [list(outline)]}
            | {"type": "MultiPolygon", "coordinates": [[list(outline)]]},
            "properties": dict(known),
        }:
            shape = {"polygon": _drop_heights(outline)}
        case {"geometry": {"type": "Polygon" | "MultiPolygon"}, "properties": dict()}:
            raise ConfigError(
                f"{where}: expected a Polygon of one part without holes; split it into two zones"
            )
        case _:
            raise ConfigError(
                f"{where}: expected a Polygon or a LineString of two points, with the property name"
            )
    # A table of a GIS has other columns, too.
    return {key: known[key] for key in ("name", "alert") if known.get(key) is not None} | shape


def _drop_heights(corners: list[Any]) -> list[Any]:
    return [corner[:2] if isinstance(corner, list) else corner for corner in corners]


def _build_shape(polygon: tuple[Coordinates, ...]) -> "shapely.Polygon":
    """Create a shape, checking that it has at least three corners, an area and no self-intersection."""
    with requires("reading zones", "zones"):
        import shapely
    if len(polygon) < 3:
        raise ValueError("expected three or more corners")
    shape = shapely.Polygon(polygon)
    if not shape.is_valid:
        reason = shapely.is_valid_reason(shape)
        raise ValueError(f"expected a polygon that does not cross or touch itself, found {reason}")
    if not shape.area:
        raise ValueError("expected a polygon with an area, found corners on one line")
    return shape


def _compute_area(zone: Zone, ground: Ground) -> float:
    """Compute the ground area in square metres. Projecting the corners suffices, as lines remain lines."""
    try:
        corners = ground.to_metres(zone.polygon)
    except ValueError as error:
        raise ValueError(f"zones: {zone.name!r}: {error}; see `ground`") from error
    return float(_build_shape(tuple(map(tuple, corners.tolist()))).area)


def _find_ground(place: "Georeference", image_size: tuple[int, int]) -> Ground | None:
    """Measure the corners of a georeferenced image on the ground; None if it is no convex part of a globe."""
    width, height = image_size
    corners = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    try:
        metres = place.to_metres(np.array(corners, np.float32))
        return Ground(image=corners, metres=tuple(map(tuple, metres.tolist())))
    except (ImageError, ValidationError):  # the latter all around the globe, or on a line
        return None


def _overlaps(polygon: DoubleArray, image_size: tuple[int, int]) -> bool:
    """Check whether a polygon in pixels overlaps an image and is not much larger than it."""
    if not np.isfinite(polygon).all():
        return False
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    size = np.array(image_size)
    return bool((high > 0).all() and (low < size).all() and (high - low < 100 * size).all())


def _scale(corners: tuple[Coordinates, ...], factors: Coordinates) -> tuple[Coordinates, ...]:
    return tuple((x * factors[0], y * factors[1]) for x, y in corners)
