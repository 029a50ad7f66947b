"""Named parts of a picture: how many people are in each, how dense they stand, and when to raise an alarm.

Zones are read from YAML or GeoJSON, and with them the lines that people cross in videos. Zones serve still
images and videos alike, since they only take `Points`.
"""

import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BeforeValidator, Field, field_validator, model_validator

from crowdpoint.errors import ConfigError, requires
from crowdpoint.points import Points
from crowdpoint.sections import Section, validated

if TYPE_CHECKING:
    import shapely

    from crowdpoint.rasters import Place

Coordinates = tuple[float, float]
Size = tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
"""Seconds in each."""

_SHAPE_TOLERANCE = 0.02
"""How far width : height may differ between pictures of one view, whose sides are rounded to pixels."""


def _seconds(value: object) -> object:
    """A time such as `10s` in seconds; numbers are seconds already."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h)\s*", value)
    if not match:
        raise ValueError(f"expected seconds or a time such as 500ms, 10s, 2m or 1h, found {value!r}")
    return float(match[1]) * _UNITS[match[2]]


class AlertRule(Section):
    """When a zone's alarm is raised, and when it is cleared again."""

    above: float = Field(ge=0)
    """Raised above this many people, or people per square metre."""
    clear: float | None = Field(None, ge=0)
    """Cleared at this or less; `above` by default. Keep it lower, or a value near the limit raises often."""
    hold: Annotated[float, BeforeValidator(_seconds)] = Field(0.0, ge=0, alias="for")
    """How long the value must stay beyond its limit, in seconds or as `10s`, to raise or to clear."""
    measure: Literal["count", "density"] = "count"
    """People in the zone, or people per square metre."""

    @property
    def clear_level(self) -> float:
        """The value at or below which the alarm is cleared."""
        return self.above if self.clear is None else self.clear

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.clear_level > self.above:
            raise ValueError(f"clear: expected at most above ({self.above:g}), found {self.clear:g}")
        return self


class Zone(Section):
    """A part of the picture that has a name."""

    name: str = Field(min_length=1, max_length=100)
    """What results call it; no two zones have the same."""
    polygon: tuple[Coordinates, ...] = Field(min_length=3)
    """Corners (x, y) in pixels, in order; the last is joined to the first."""
    alert: AlertRule | None = None
    """When to raise an alarm."""

    @field_validator("polygon")
    @classmethod
    def _simple(cls, polygon: tuple[Coordinates, ...]) -> tuple[Coordinates, ...]:
        if polygon[0] == polygon[-1]:
            polygon = polygon[:-1]
        _shape(polygon)
        return polygon


class Line(Section):
    """A line across a way, on which people are counted in both directions; for videos."""

    name: str = Field(min_length=1, max_length=100)
    """What results call it; no other line and no zone has the same."""
    line: tuple[Coordinates, Coordinates]
    """Its two ends (x, y) in pixels. Seen from the first end towards the second, a crossing from the right
    to the left is `in`, and one from the left to the right is `out`; swap the ends to swap them."""

    @field_validator("line")
    @classmethod
    def _long(cls, line: tuple[Coordinates, Coordinates]) -> tuple[Coordinates, Coordinates]:
        if line[0] == line[1]:
            raise ValueError(f"expected two different ends, found {list(line[0])} twice")
        return line


class Ground(Section):
    """Where four points of the picture lie on the ground, seen from above."""

    image: tuple[Coordinates, Coordinates, Coordinates, Coordinates]
    """(x, y) in pixels."""
    metres: tuple[Coordinates, Coordinates, Coordinates, Coordinates]
    """The same four points on the ground, (x, y) in metres from any origin."""

    @field_validator("image", "metres")
    @classmethod
    def _convex(cls, corners: tuple[Coordinates, ...]) -> tuple[Coordinates, ...]:
        shape = _shape(corners)
        if not np.isclose(shape.convex_hull.area, shape.area, rtol=1e-6):
            raise ValueError("expected the corners of a convex shape, in order around it")
        return corners

    def homography(self) -> npt.NDArray[np.float64]:
        """(3, 3), from (x, y, 1) in pixels to multiples of (x, y, 1) in metres."""
        import cv2

        image, metres = np.array(self.image), np.array(self.metres)
        to_origin = np.eye(3)
        to_origin[:2, 2] = metres[0]
        # OpenCV takes float32, which is too coarse for the coordinates of a map.
        near = cv2.getPerspectiveTransform(image.astype(np.float32), (metres - metres[0]).astype(np.float32))
        homography: npt.NDArray[np.float64] = to_origin @ near
        return homography

    def to_metres(self, xy: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Pixels (N, 2) as ground coordinates (N, 2) in metres.

        Raises:
            ValueError: if a pixel shows no ground, since it lies on or beyond the horizon.
        """
        homography = self.homography()
        xy = np.asarray(xy, np.float64)
        homogeneous = np.column_stack((xy, np.ones(len(xy))))
        scale = homogeneous @ homography[2]
        sign = np.sign(homography[2] @ (*self.image[0], 1.0))
        if (scale * sign <= 1e-9).any():
            raise ValueError("expected pixels that show the ground, found one on or beyond its horizon")
        metres: npt.NDArray[np.float64] = homogeneous @ homography[:2].T / scale[:, None]
        return metres


class Zones(Section):
    """The zones of a picture, as their file has them.

    Polygons are in the pixels of `image_size`; `count` and `fitted` scale them to other sizes. Without it
    they are in the pixels of whatever picture they are used on.
    """

    image_size: Size | None = None
    """(width, height) in pixels of the picture that the zones were drawn on."""
    ground: Ground | None = None
    """What makes areas, and so densities, known."""
    zones: tuple[Zone, ...] = ()
    """The zones; they may overlap."""
    lines: tuple[Line, ...] = ()
    """The lines; they may cross zones and each other."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [zone.name for zone in self.zones] + [line.name for line in self.lines]
        if not names:
            raise ValueError("zones: expected at least one zone or line, found none")
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            raise ValueError(f"zones: expected a name of its own for each, found {double!r} twice")
        for zone in self.zones:
            if self.ground is None:
                if zone.alert and zone.alert.measure == "density":
                    raise ValueError(f"zones: the density alert of {zone.name!r} needs `ground`")
            else:
                _ground_area(zone, self.ground)
        return self

    def count(self, points: Points) -> dict[str, int]:
        """People in each zone, by its name, in the order of the file.

        Points that know the size of their image are counted in polygons that are scaled to it.

        Raises:
            ConfigError: if a zone lies outside the image.
        """
        zones = self if points.image_size is None else self.fitted(points.image_size)
        return {zone.name: len(points.within(zone.polygon)) for zone in zones.zones}

    @cached_property
    def areas(self) -> dict[str, float | None]:
        """Square metres on the ground of each zone, by its name; None where there is no `ground`."""
        ground = self.ground
        return {zone.name: None if ground is None else _ground_area(zone, ground) for zone in self.zones}

    def densities(self, counts: Mapping[str, float]) -> dict[str, float | None]:
        """People per square metre of each zone, from people in each; None where there is no `ground`."""
        return {name: None if area is None else counts[name] / area for name, area in self.areas.items()}

    def fitted(self, image_size: tuple[int, int]) -> "Zones":
        """The zones and lines on a picture of another size (width, height) of the same view.

        Raises:
            ConfigError: if the picture has another shape than the one that the zones were drawn on, or a zone
                or a line lies outside it or is less than a pixel wide or high.
        """
        width, height = image_size
        drawn_width, drawn_height = self.image_size or image_size
        factors = (width / drawn_width, height / drawn_height)
        if abs(factors[0] / factors[1] - 1) > _SHAPE_TOLERANCE:
            raise ConfigError(
                f"zones: were drawn on a picture of {drawn_width}x{drawn_height} pixels, found one of "
                f"{width}x{height}, whose shape is another; draw zones for it, or mend `image_size`"
            )
        zones = tuple(
            zone.model_copy(update={"polygon": _scaled(zone.polygon, factors)}) for zone in self.zones
        )
        lines = tuple(line.model_copy(update={"line": _scaled(line.line, factors)}) for line in self.lines)
        outlines = [(f"zone {zone.name!r}", zone.polygon) for zone in zones]
        outlines += [(f"line {line.name!r}", line.line) for line in lines]
        for name, corners in outlines:
            (left, top), (right, bottom) = np.min(corners, axis=0), np.max(corners, axis=0)
            if right <= 0 or bottom <= 0 or left >= width or top >= height:
                raise ConfigError(
                    f"{name}: lies outside the picture of {width}x{height} pixels; if it was "
                    "drawn on a picture of another size, say so with `image_size: [width, height]`"
                )
            sides = (right - left, bottom - top)
            if (max(sides) if name.startswith("line") else min(sides)) < 1:
                raise ConfigError(
                    f"{name}: expected pixels, found {right - left:.3g} x {bottom - top:.3g} of "
                    f"them at ({left:.6g}, {top:.6g}); longitudes and latitudes need an image of that place "
                    "that says where it lies on the map"
                )
        ground = self.ground
        if ground is not None:
            ground = ground.model_copy(update={"image": _scaled(ground.image, factors)})
        return Zones.model_construct(image_size=image_size, ground=ground, zones=zones, lines=lines)

    def on_image(self, place: "Place", image_size: tuple[int, int]) -> "Zones":
        """The zones in the pixels of an image on the map, turned into them from longitude and latitude.

        They are in longitude and latitude if, read so, each lies on the image, and `image_size` is not given;
        else they are in pixels already.

        Args:
            place: where the image lies.
            image_size: its (width, height) in pixels.
        """
        if self.image_size is not None:
            return self
        polygons = [place.pixels(np.array(zone.polygon)) for zone in self.zones]
        ends = [place.pixels(np.array(line.line)) for line in self.lines]
        if not all(_about(corners, image_size) for corners in (*polygons, *ends)):
            return self
        zones = tuple(
            zone.model_copy(update={"polygon": tuple(map(tuple, polygon.tolist()))})
            for zone, polygon in zip(self.zones, polygons, strict=True)
        )
        lines = tuple(
            line.model_copy(update={"line": tuple(map(tuple, own.tolist()))})
            for line, own in zip(self.lines, ends, strict=True)
        )
        return Zones.model_construct(image_size=None, ground=self.ground, zones=zones, lines=lines)


def load(path: str | Path) -> Zones:
    """Read zones from a YAML file of `Zones`, or a GeoJSON FeatureCollection.

    Polygons of the latter are zones, and LineStrings are lines. They are in pixels, or in longitude and
    latitude for images that say where they lie (`Zones.on_image`).

    Raises:
        ConfigError: for a file that cannot be read, an unknown key, or an outline that is not one.
        MissingExtraError: if the optional part that checks outlines is not installed.
    """
    path = Path(path)
    is_json = path.suffix.lower() in (".json", ".geojson")
    try:
        text = path.read_text(encoding="utf-8-sig")
        values = json.loads(text) if is_json else yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # also impossible dates, endless numbers
        raise ConfigError(f"{path}: not a {'JSON' if is_json else 'YAML'} file: {error}") from error
    if isinstance(values, dict) and values.get("type") == "FeatureCollection":
        values = _from_geojson(values, path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping with `zones`, found {type(values).__name__}")
    return validated(Zones, values, str(path))


def _from_geojson(collection: dict[str, Any], path: Path) -> dict[str, Any]:
    """The values of `Zones` in a FeatureCollection; what it has beside them stays, to be complained of."""
    if "crs" in collection:
        raise ConfigError(
            f"{path}: crs: expected pixels, or longitude and latitude as RFC 7946 has them, found a "
            "coordinate system; remove `crs` if it is CRS84, or save the file again as RFC 7946"
        )
    values = {key: value for key, value in collection.items() if key not in ("type", "features")}
    features = collection.get("features")
    if not isinstance(features, list):
        raise ConfigError(f"{path}: features: expected a list")
    parts = [_feature(f, f"{path}: feature {i}") for i, f in enumerate(features, start=1)]
    zones = [part for part in parts if "polygon" in part]
    return values | {"zones": zones, "lines": [part for part in parts if "line" in part]}


def _feature(feature: object, where: str) -> dict[str, Any]:
    """The values of a `Zone` or a `Line`."""
    match feature:
        case {
            "geometry": {"type": "LineString", "coordinates": [_, _] as line},
            "properties": dict(properties),
        }:
            return {key: value for key, value in properties.items() if value is not None} | {"line": line}
        case {
            "geometry": {"type": "Polygon", "coordinates": [list(outline)]},
            "properties": dict(properties),
        }:
            return {key: value for key, value in properties.items() if value is not None} | {
                "polygon": outline
            }
        case {"geometry": {"type": "Polygon", "coordinates": [_, _, *_]}}:
            raise ConfigError(f"{where}: expected a Polygon without holes; draw it as two zones")
        case _:
            raise ConfigError(
                f"{where}: expected a Polygon or a LineString of two points in pixels, with the property name"
            )


def _shape(polygon: tuple[Coordinates, ...]) -> "shapely.Polygon":
    """The outline as a shape that is one: three corners or more, no crossing, not flat."""
    with requires("reading zones", "zones"):
        import shapely
    if len(polygon) < 3:
        raise ValueError("expected three or more corners")
    shape = shapely.Polygon(polygon)
    if not shape.is_valid:
        reason = shapely.is_valid_reason(shape)
        raise ValueError(f"expected an outline that does not cross or touch itself, found {reason}")
    if not shape.area:
        raise ValueError("expected an outline around an area, found corners on one line")
    return shape


def _ground_area(zone: Zone, ground: Ground) -> float:
    """Square metres; lines stay lines on the ground, so the corners are enough."""
    try:
        corners = ground.to_metres(zone.polygon)
    except ValueError as error:
        raise ValueError(f"zones: {zone.name!r}: {error}; see `ground`") from error
    return float(_shape(tuple(map(tuple, corners.tolist()))).area)


def _about(polygon: npt.NDArray[np.float64], image_size: tuple[int, int]) -> bool:
    """Whether corners in pixels may be a zone of an image: around or in it, not far larger."""
    if not np.isfinite(polygon).all():
        return False
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    size = np.array(image_size)
    return bool((high > 0).all() and (low < size).all() and (high - low < 100 * size).all())


def _scaled(corners: tuple[Coordinates, ...], factors: Coordinates) -> tuple[Coordinates, ...]:
    return tuple((x * factors[0], y * factors[1]) for x, y in corners)
