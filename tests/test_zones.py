import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from crowdpoint import zones
from crowdpoint.errors import ConfigError
from crowdpoint.points import Points
from crowdpoint.rasters import Georeference

SQUARE = [[10, 10], [50, 10], [50, 50], [10, 50]]
LEFT = {"name": "left", "polygon": [[0, 0], [50, 0], [50, 80], [0, 80]]}
DOOR = {"name": "door", "line": [[10, 20], [90, 20]]}
ALL = {"name": "all", "polygon": [[0, 0], [100, 0], [100, 80], [0, 80]]}
TRAPEZOID = {
    "image": [[40, 20], [60, 20], [100, 80], [0, 80]],
    "metres": [[0, 30], [10, 30], [10, 0], [0, 0]],
}


def _load(path: Path, values: object) -> zones.Zones:
    path.write_text(yaml.safe_dump(values) if path.suffix == ".yaml" else json.dumps(values))
    return zones.load(path)


def _zone(**values: object) -> dict[str, object]:
    return {"zones": [{"name": "gate", "polygon": SQUARE, **values}]}


def test_people_are_counted_in_zones_that_overlap(tmp_path: Path) -> None:
    found = _load(tmp_path / "z.yaml", {"zones": [LEFT, ALL]})
    assert found.count(Points([[10, 10], [49, 70], [51, 70]])) == {"left": 2, "all": 3}


def test_zones_are_scaled_to_the_picture(tmp_path: Path) -> None:
    found = _load(tmp_path / "z.yaml", {"image_size": [100, 80], "zones": [LEFT]})
    points = Points(np.array([[99, 10], [101, 10]], np.float32), image_size=(200, 160))
    assert found.count(points) == {"left": 1}
    assert found.fit((200, 160)).zones[0].polygon[2] == (100, 160)


def test_geojson_and_yaml_are_equivalent(tmp_path: Path) -> None:
    alert = {"above": 50, "clear": 40, "for": "2m"}
    ring = [*SQUARE, SQUARE[0]]
    feature = {
        "type": "Feature",
        "properties": {"name": "gate", "alert": alert, "note": None},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    collection = {"type": "FeatureCollection", "image_size": [100, 80], "features": [feature]}
    values = _zone(alert=alert) | {"image_size": [100, 80]}
    assert _load(tmp_path / "z.geojson", collection) == _load(tmp_path / "z.yaml", values)


def test_lines_are_scaled_to_the_picture_and_need_no_zone(tmp_path: Path) -> None:
    geometry = {"type": "LineString", "coordinates": DOOR["line"]}
    feature = {"properties": {"name": "door"}, "geometry": geometry}
    collection = {"type": "FeatureCollection", "image_size": [100, 80], "features": [feature]}
    found = _load(tmp_path / "z.geojson", collection)
    assert found == _load(tmp_path / "z.yaml", {"image_size": [100, 80], "lines": [DOOR]})
    assert found.fit((200, 160)).lines[0].line == ((20, 40), (180, 40))
    away = _load(tmp_path / "z.yaml", {"lines": [DOOR]})
    with pytest.raises(ConfigError, match="line 'door': lies outside the image of 64x16 pixels"):
        away.fit((64, 16))
    with pytest.raises(ConfigError, match=r"line 'door': lies outside .*, or on its edge; .*image_size"):
        away.fit((100, 20))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("10s", 10), ("2m", 120), ("1h", 3600), ("99999999999h", 359999999996400), (7, 7)],
)
def test_times_have_units(tmp_path: Path, text: object, seconds: float) -> None:
    rule = _load(tmp_path / "z.yaml", _zone(alert={"above": 5, "for": text})).zones[0].alert
    assert rule
    assert (rule.hold, rule.clear_level, rule.measure) == (seconds, 5, "count")


def test_area_of_a_flat_ground_is_that_of_the_scale(tmp_path: Path) -> None:
    metres = [[x / 10, y / 10] for x, y in SQUARE]  # ten pixels a metre
    found = _load(tmp_path / "z.yaml", _zone() | {"ground": {"image": SQUARE, "metres": metres}})
    assert found.areas == {"gate": pytest.approx(16)}
    assert found.densities({"gate": 8}) == {"gate": pytest.approx(0.5)}


@pytest.mark.parametrize("origin", [(691_603.37, 5_334_772.81), (32_691_603.37, 5_334_772.81)])
def test_area_does_not_depend_on_the_origin(tmp_path: Path, origin: tuple[float, float]) -> None:
    """The coordinates of maps have a metre as the eighth digit, which float32 lacks."""
    ground = [[x / 10, y / 7] for x, y in SQUARE]
    far = [[x + origin[0], y + origin[1]] for x, y in ground]
    near, there = (
        _load(tmp_path / "z.yaml", _zone() | {"ground": {"image": SQUARE, "metres": metres}})
        for metres in (ground, far)
    )
    assert there.areas == {"gate": pytest.approx(near.areas["gate"], rel=1e-5)}


def test_area_in_perspective(tmp_path: Path) -> None:
    whole = {"name": "whole", "polygon": TRAPEZOID["image"]}
    found = _load(tmp_path / "z.yaml", {"image_size": [100, 80], "ground": TRAPEZOID, "zones": [whole]})
    assert found.areas == {"whole": pytest.approx(300, rel=1e-4)}
    assert found.ground
    # the diagonals of the trapezoid cross where those of the rectangle do, in its middle
    assert found.ground.to_metres([[50, 30]]) == pytest.approx(np.array([[5, 15]]), abs=1e-3)
    doubled = found.fit((200, 160))
    assert doubled.areas == found.areas


def test_without_ground_there_is_no_density(tmp_path: Path) -> None:
    found = _load(tmp_path / "z.yaml", _zone())
    assert (found.areas, found.densities({"gate": 3})) == ({"gate": None}, {"gate": None})


BOW = [[0, 0], [40, 40], [40, 0], [0, 40]]
SKY = {"name": "sky", "polygon": [[10, 0], [30, 0], [20, 9]]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"zones": []}, "expected at least one zone or line"),
        (
            {"zones": [{"name": "gate", "polygon": BOW}]},
            r"polygon: .*does not cross .*Self-intersection\[20 20\]",
        ),
        (
            {"zones": [{"name": "gate", "polygon": [[0, 0], [1, 1], [2, 2]]}]},
            "corners on one line|cross or touch",
        ),
        ({"zones": [{"name": "gate", "polygon": [[0, 0], [9, 0], [0, 0]]}]}, "three or more corners"),
        ({"zones": [LEFT, LEFT]}, "'left' twice"),
        ({"zones": [LEFT], "lines": [DOOR | {"name": "left"}]}, "'left' twice"),
        ({"lines": [{"name": "door", "line": [[5, 5], [5, 5]]}]}, "two different end points"),
        ({"lines": [{"name": "door", "line": [[5, 5], [6, 5], [7, 5]]}]}, "at most 2 items"),
        (_zone(colour="red"), "colour: Extra inputs are not permitted"),
        (_zone(alert={"above": 5, "clear": 6}), r"clear: expected at most above \(5\), found 6"),
        (_zone(alert={"above": 5, "for": "soon"}), "500ms, 10s, 2m or 1h, found 'soon'"),
        (_zone(alert={"above": 5, "measure": "density"}), "the density alert of 'gate' needs `ground`"),
        (_zone(polygon=[[0, 0], [1, 0], [1, 4e38]]), "polygon.2.1: Input should be less than 1000000000"),
        (_zone() | {"ground": TRAPEZOID | {"image": [[x * 1e-25, y * 1e-25] for x, y in SQUARE]}}, "ground"),
        (_zone() | {"ground": {"image": BOW, "metres": SQUARE}}, "ground.image: .*does not cross"),
        (_zone() | {"ground": {"image": SQUARE, "metres": [[0, 0], [9, 0], [2, 2], [0, 9]]}}, "convex shape"),
        ({"ground": TRAPEZOID, "zones": [SKY]}, "'sky': .*on or above the horizon"),
        ([1, 2], "expected a mapping with `zones`, found list"),
    ],
)
def test_invalid_values_are_named(tmp_path: Path, values: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        _load(tmp_path / "z.yaml", values)
    assert str(tmp_path / "z.yaml") in str(raised.value)


def test_a_zone_with_a_fault_is_not_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"zones\.0\.colour: Extra inputs are not permitted$"):
        _load(tmp_path / "z.yaml", _zone(colour="red"))


def test_geojson_of_a_gis_may_have_heights_single_parts_and_other_columns(tmp_path: Path) -> None:
    high = [[x, y, 12.5] for x, y in SQUARE]
    features = [
        {
            "type": "Feature",
            "id": 1,
            "properties": {"fid": 1, "name": "door", "owner": None},
            "geometry": {"type": "MultiPolygon", "coordinates": [[high]]},
        },
        {
            "type": "Feature",
            "properties": {"name": "gate"},
            "geometry": {"type": "MultiLineString", "coordinates": [[[0, 0, 1], [9, 9, 1]]]},
        },
    ]
    collection = {"type": "FeatureCollection", "name": "layer", "bbox": [0, 0, 9, 9], "features": features}
    zones = _load(tmp_path / "z.geojson", collection)
    assert [(zone.name, zone.polygon) for zone in zones.zones] == [("door", tuple(map(tuple, SQUARE)))]
    assert [(line.name, line.line) for line in zones.lines] == [("gate", ((0, 0), (9, 9)))]


@pytest.mark.parametrize(
    ("collection", "message"),
    [
        ({"crs": {}, "features": []}, "expected pixels, or longitude and latitude .RFC 7946"),
        ({"features": 3}, "features: expected a list"),
        (
            {"features": [{"geometry": {"type": "Point"}, "properties": {}}]},
            "feature 1: expected a Polygon or a LineString of two points, with",
        ),
        (
            {"features": [{"geometry": {"type": "Polygon", "coordinates": [SQUARE, BOW]}, "properties": {}}]},
            "feature 1: expected a Polygon of one part without holes",
        ),
        (
            {
                "features": [
                    {
                        "geometry": {"type": "MultiPolygon", "coordinates": [[SQUARE], [SQUARE]]},
                        "properties": {},
                    }
                ]
            },
            "feature 1: expected a Polygon of one part without holes",
        ),
        (
            {"features": [{"geometry": {"type": "Polygon", "coordinates": [SQUARE]}, "properties": None}]},
            r"zones\.0\.name: Field required",
        ),
        (
            {"features": [{"geometry": {"type": "LineString", "coordinates": SQUARE[:2]}}]},
            r"lines\.0\.name: Field required",
        ),
        (
            {"features": [{"geometry": {"type": "Polygon", "coordinates": [SQUARE]}, "properties": "a"}]},
            "feature 1: expected a Polygon or a LineString of two points, with the property name",
        ),
        ({"features": [], "imagesize": [100, 80]}, "imagesize: Extra inputs are not permitted"),
    ],
)
def test_invalid_geojson_is_named(tmp_path: Path, collection: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _load(tmp_path / "z.geojson", {"type": "FeatureCollection"} | collection)


@pytest.mark.parametrize("name", ["z.yaml", "z.json"])
def test_a_byte_order_mark_is_ignored(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps(_zone()), encoding="utf-8-sig")
    assert zones.load(tmp_path / name).zones[0].name == "gate"


def test_missing_and_invalid_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        zones.load(tmp_path / "none.yaml")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ConfigError, match="not a JSON file"):
        zones.load(tmp_path / "bad.json")


def test_a_zone_outside_the_picture_is_an_error(tmp_path: Path) -> None:
    found = _load(tmp_path / "z.yaml", _zone())
    with pytest.raises(ConfigError, match=r"'gate': lies outside the image of 8x8 .*image_size"):
        found.count(Points.empty((8, 8)))


def test_another_shape_is_refused(tmp_path: Path) -> None:
    found = _load(tmp_path / "z.yaml", {"image_size": [100, 80], "zones": [LEFT]})
    assert found.fit((201, 160)).zones
    with pytest.raises(ConfigError, match="drawn on an image of 100x80 pixels, found 80x100"):
        found.fit((80, 100))


@pytest.mark.parametrize("west", [8.54, 179.9998])
def test_longitude_and_latitude_on_the_map(tmp_path: Path, west: float) -> None:
    place = Georeference("EPSG:4326", (1e-6, 0, west, 0, -1e-6, 47.37))
    corners = np.array([[0, 0], [200, 0], [200, 100], [0, 100]], np.float32)
    outline = place.to_longitude_latitude(corners)
    assert np.abs(outline).max() <= 180
    zone = {"name": "west", "polygon": outline.tolist()}
    known = _load(tmp_path / "z.yaml", {"zones": [zone]})
    np.testing.assert_allclose(known.project(place, (300, 100)).zones[0].polygon, corners, atol=1e-3)
    with pytest.raises(ConfigError, match=r"zone 'west': expected pixels, found .* longitude and latitude"):
        known.fit((300, 100))
    pixels = _load(tmp_path / "z.yaml", {"zones": [LEFT]})
    assert pixels.project(place, (300, 100)).zones == pixels.zones


def test_a_zone_beside_a_georeferenced_image_is_named(tmp_path: Path) -> None:
    place = Georeference("EPSG:4326", (1e-6, 0, 8.54, 0, -1e-6, 47.37))
    on, off = (
        place.to_longitude_latitude(np.array(SQUARE, np.float32) + shift).tolist() for shift in (0, 9000)
    )
    parts = [{"name": "on", "polygon": on}, {"name": "off", "polygon": off}]
    for chosen in (parts, parts[1:]):
        placed = _load(tmp_path / "z.yaml", {"zones": chosen}).project(place, (300, 100))
        with pytest.raises(ConfigError, match="zone 'off': lies outside the image of 300x100 pixels"):
            placed.fit((300, 100))


def test_a_zone_a_hundred_times_as_large_as_the_image_is_not_of_it() -> None:
    for width, fits in ((9900, True), (10_000, False)):
        outline = np.array([[-10, 0], [width - 10, 0], [width - 10, 50], [-10, 50]], np.float64)
        assert zones._overlaps(outline, (100, 80)) == fits
        assert zones._overlaps(outline[:, ::-1], (80, 100)) == fits


def test_zones_drawn_on_another_size_have_the_ground_of_the_image(tmp_path: Path) -> None:
    place = Georeference("EPSG:32632", (0.5, 0, 500_000, 0, -0.5, 5_300_000))
    zone = {"name": "a", "polygon": SQUARE}
    plain = _load(tmp_path / "z.yaml", {"zones": [zone]}).project(place, (400, 300)).areas["a"]
    half = {"name": "a", "polygon": [[x / 2, y / 2] for x, y in SQUARE]}
    known = _load(tmp_path / "z.yaml", {"image_size": [200, 150], "zones": [half]})
    assert known.project(place, (400, 300)).fit((400, 300)).areas["a"] == pytest.approx(plain)


@pytest.mark.parametrize(
    ("place", "metres"),
    [
        (Georeference("EPSG:32632", (0.5, 0, 500_000, 0, -0.5, 5_300_000)), 0.5 / 0.9996),
        (Georeference("EPSG:32632", (0, 0.5, 500_000, 0.5, 0, 5_300_000)), 0.5 / 0.9996),
        (Georeference("EPSG:3857", (1, 0, 950_000, 0, -1, 6_000_000)), 0.6777),  # the cosine of the latitude
        (Georeference("EPSG:4326", (1e-5, 0, 179.9999, 0, -1e-5, 0)), 1.1094),  # across the date line
        (
            Georeference("EPSG:3031", (100, 0, -20_000, 0, -100, 15_000)),
            100 / 0.97276,
        ),  # around the South Pole
    ],
)
def test_a_georeferenced_image_knows_its_ground(tmp_path: Path, place: Georeference, metres: float) -> None:
    drawn = _load(tmp_path / "z.yaml", {"zones": [{"name": "a", "polygon": SQUARE}]}).project(
        place, (400, 300)
    )
    corners = place.to_longitude_latitude(np.array(SQUARE, np.float32))
    on_map = _load(tmp_path / "z.yaml", {"zones": [{"name": "a", "polygon": corners.tolist()}]})
    for found in (drawn, on_map.project(place, (400, 300))):
        assert found.areas["a"] == pytest.approx((40 * metres) ** 2, rel=5e-3)
        assert found.densities({"a": 3})["a"] == pytest.approx(3 / (40 * metres) ** 2, rel=5e-3)


def test_ground_of_the_file_comes_first_and_local_maps_have_none(tmp_path: Path) -> None:
    ground = {"image": SQUARE, "metres": [[0, 0], [2, 0], [2, 2], [0, 2]]}
    known = _load(tmp_path / "z.yaml", {"ground": ground, "zones": [{"name": "a", "polygon": SQUARE}]})
    assert known.project(Georeference("EPSG:3857", (1, 0, 0, 0, -1, 0)), (400, 300)).areas[
        "a"
    ] == pytest.approx(4)
    unknown = _load(tmp_path / "z.yaml", {"zones": [{"name": "a", "polygon": SQUARE}]})
    local = 'LOCAL_CS["site",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
    assert unknown.project(Georeference(local, (1, 0, 0, 0, -1, 0)), (400, 300)).areas == {"a": None}


@pytest.mark.parametrize(
    "place",
    [
        Georeference("EPSG:4326", (0.9, 0, -180, 0, -0.6, 90)),
        Georeference("EPSG:32632", (1, 1, 500_000, 1, 1, 5_300_000)),
    ],
    ids=["around the globe", "on a line"],
)
def test_images_that_are_no_convex_part_of_the_globe_have_no_ground(
    tmp_path: Path, place: Georeference
) -> None:
    for size in ({}, {"image_size": [400, 300]}):
        drawn = _load(tmp_path / "z.yaml", {"zones": [{"name": "a", "polygon": SQUARE}]} | size)
        assert drawn.project(place, (400, 300)).fit((400, 300)).areas == {"a": None}


@pytest.mark.parametrize("text", ["[" * 20_000, "zones: 2020-13-45", f"image_size: [{'9' * 5000}]"])
def test_yaml_with_other_values_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "z.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"z\.yaml: not a YAML file"):
        zones.load(tmp_path / "z.yaml")
