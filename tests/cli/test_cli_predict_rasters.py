"""`crowdpoint predict` on images that lie on the map or are too large to be drawn as they are."""

import json
import sys
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
from command_line import crowdpoint
from drawn_rasters import bands, write_raster
from PIL import Image
from rasterio.transform import Affine

from crowdpoint import formats, images
from crowdpoint.cli import pictures
from crowdpoint.opening import storage
from crowdpoint.rasters import Raster

EAST, NORTH = 500_000, 5_300_000


@pytest.fixture
def mosaics(tmp_path: Path) -> Path:
    """Two mosaics on the map with 2 and 0 bright dots, half a metre a pixel."""
    folder = tmp_path / "mosaics"
    folder.mkdir()
    picture = np.zeros((64, 96, 3), np.uint8)
    write_raster(folder / "empty.tif", bands(picture))
    picture[20, 40] = picture[50, 90] = 255
    write_raster(folder / "field.tif", bands(picture))
    return folder


def test_geojson_is_on_the_map_and_reads_as_pixels(tiny: Path, mosaics: Path, tmp_path: Path) -> None:
    outcome = crowdpoint(
        "predict", mosaics, "--model", tiny, "--out", tmp_path / "out", "--format", "geojson"
    )
    assert (outcome.code, outcome.err) == (0, "")
    path = tmp_path / "out" / "points.geojson"
    document = json.loads(path.read_text())
    assert document.keys() == {"type", "features"}  # RFC 7946 knows no other coordinates than WGS 84
    empty, first, second = document["features"]
    assert (empty["geometry"], empty["properties"]["image"]) == (None, "empty.tif")
    longitude, latitude = first["geometry"]["coordinates"]
    assert (longitude, latitude) == pytest.approx((9 + 22 * 1.3352e-5, 47.853342 - 10 * 8.993e-6), abs=1e-6)
    with Raster(mosaics / "field.tif") as raster:
        assert raster.place
        exact = raster.place.to_longitude_latitude(np.array([[44, 20]], np.float32))[0]
    assert (longitude, latitude) == pytest.approx(exact, abs=1e-8), "a millimetre"
    assert second["geometry"]["coordinates"][0] > longitude
    assert first["properties"]["pixel_x"] == 44
    assert [first["properties"][name] for name in ("longitude", "latitude")] == [longitude, latitude]
    saved = formats.read(path)
    assert {image: points.xy.tolist() for image, points in saved.items()} == {
        "empty.tif": [],
        "field.tif": [[44, 20], [92, 52]],
    }
    assert saved["field.tif"].image_size == (96, 64)


def test_a_geopackage_is_in_the_images_own_system(tiny: Path, mosaics: Path, tmp_path: Path) -> None:
    outcome = crowdpoint("predict", mosaics, "--model", tiny, "--out", tmp_path / "out", "--format", "gpkg")
    assert (outcome.code, outcome.err) == (0, "")
    shown = [p.name for p in (tmp_path / "out").iterdir() if p.name[0] != "."]
    assert sorted(shown) == ["overlay", "points.gpkg"]
    path = tmp_path / "out" / "points.gpkg"
    assert pyogrio.list_layers(path)[:, 0].tolist() == ["points"]
    about, _, geometry, fields = pyogrio.raw.read(path)
    assert about["crs"] == "EPSG:32632"
    assert about["fields"].tolist() == ["image", "score", "pixel_x", "pixel_y"]
    assert fields[0].tolist() == ["field.tif", "field.tif"]
    assert fields[1] == pytest.approx([1, 1], abs=1e-3)
    assert [column.tolist() for column in fields[2:]] == [[44, 92], [20, 52]]
    places = [np.frombuffer(point[5:], np.float64).tolist() for point in geometry]
    assert places == [[EAST + 22, NORTH - 10], [EAST + 46, NORTH - 26]]


@pytest.mark.parametrize("format_", ["geojson", "gpkg"])
def test_maps_of_another_kind_are_not_replaced(
    tiny: Path, mosaics: Path, tmp_path: Path, format_: str
) -> None:
    command = ("predict", mosaics, "--model", tiny, "--out", tmp_path / "out", "--save", "points")
    path = tmp_path / "out" / f"points.{format_}"
    for _ in range(2):
        assert crowdpoint(*command, "--format", format_).code == 0, "a run replaces its own file"
    if format_ == "gpkg":
        point = np.array([bytes.fromhex("0101000000") + bytes(16)], object)
        names = [np.array(["oak"], object)]
        pyogrio.raw.write(
            path, point, names, ["name"], layer="trees", geometry_type="Point", crs="EPSG:32632", append=True
        )
    else:
        path.write_text(path.read_text().replace('"image"', '"name"'))
    before = path.read_bytes()
    for content in (before, b"anything"):
        path.write_bytes(content)
        outcome = crowdpoint(*command, "--format", format_)
        assert (outcome.code, path.read_bytes()) == (2, content)
        assert f"points.{format_}: was not written by predict, and would be replaced" in outcome.err


def test_a_layer_for_each_system(tiny: Path, mosaics: Path, tmp_path: Path) -> None:
    west = {"crs": "EPSG:32631", "transform": Affine(1, 0, 9, 0, -1, 9)}
    write_raster(mosaics / "west.tif", np.full((3, 8, 8), 255, np.uint8), **west)
    crowdpoint("predict", mosaics, "--model", tiny, "--out", tmp_path / "out", "--format", "gpkg")
    path = tmp_path / "out" / "points.gpkg"
    assert pyogrio.list_layers(path)[:, 0].tolist() == ["points_1", "points_2"]
    systems = [pyogrio.read_info(path, layer=layer)["crs"] for layer in ("points_1", "points_2")]
    assert systems == ["EPSG:32632", "EPSG:32631"]


@pytest.mark.parametrize("format_", ["geojson", "gpkg"])
def test_images_without_georeference_fail_alone(
    tiny: Path, mosaics: Path, tmp_path: Path, format_: str
) -> None:
    Image.new("L", (9, 9)).save(mosaics / "photo.png")
    outcome = crowdpoint("predict", mosaics, "--model", tiny, "--out", tmp_path / "out", "--format", format_)
    assert outcome.code == 1
    assert outcome.err == (
        f"crowdpoint: {mosaics / 'photo.png'}: is not georeferenced, which "
        f"--format {format_} needs; choose csv or json, which have pixels\n"
        "crowdpoint: 3 images, 1 failed\n"
    )
    assert (tmp_path / "out" / f"points.{format_}").is_file()


@pytest.mark.parametrize("crs", ['LOCAL_CS["site",UNIT["metre",1]]', "IAU_2015:30100"])
def test_images_outside_of_longitude_and_latitude_are_refused_before_prediction(
    tiny: Path, mosaics: Path, tmp_path: Path, crs: str
) -> None:
    site = write_raster(mosaics / "site.tif", np.full((3, 8, 8), 255, np.uint8), crs=crs)
    command = ("predict", mosaics, "--model", tiny, "--out", tmp_path / "out", "--format")
    outcome = crowdpoint(*command, "geojson")
    assert outcome.code == 1
    assert str(site) not in outcome.out
    assert outcome.err.startswith(f"crowdpoint: {site}: ")
    assert "cannot be converted to longitude and latitude; write a GeoPackage" in outcome.err
    assert len(formats.read(tmp_path / "out" / "points.geojson")["field.tif"]) == 2
    assert crowdpoint(*command, "gpkg").code == 0


def test_an_image_at_a_url_must_be_downloaded_first(
    tiny: Path, mosaics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "download", lambda _: (mosaics / "field.tif").read_bytes())
    command = ("predict", "https://host/field.tif", "--model", tiny, "--out", tmp_path, "--format", "gpkg")
    outcome = crowdpoint(*command)
    assert outcome.code == 1
    assert outcome.err == (
        "crowdpoint: https://host/field.tif: is not georeferenced, which --format gpkg "
        "needs; download it first\n"
    )


def test_pixels_stay_pixels(tiny: Path, mosaics: Path, tmp_path: Path) -> None:
    outcome = crowdpoint("predict", mosaics / "field.tif", "--model", tiny, "--out", tmp_path / "out")
    assert outcome.code == 0
    saved = formats.read(tmp_path / "out" / "points.csv")["field.tif"]
    assert saved.xy.tolist() == [[44, 20], [92, 52]]
    assert images.read(tmp_path / "out" / "overlay" / "field.jpg").shape == (64, 96, 3)


def test_pictures_of_large_images_are_reduced(
    tiny: Path, mosaics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[20, 40] = picture[50, 90] = 255
    Image.fromarray(picture).save(mosaics / "photo.png")
    monkeypatch.setattr(pictures, "PICTURE_SIDE", 48)
    field, photo = mosaics / "field.tif", mosaics / "photo.png"
    outcome = crowdpoint("predict", field, photo, "--model", tiny, "--out", tmp_path / "out")
    assert (outcome.code, outcome.err) == (0, "")
    for name in ("field", "photo"):
        overlay = images.read(tmp_path / "out" / "overlay" / f"{name}.jpg")
        assert overlay.shape == (32, 48, 3)
        assert overlay[10, 22].max() > 150
        assert overlay[30, 2].max() < 90
    outcome = crowdpoint(
        "predict", field, "--model", tiny, "--out", tmp_path / "out", "--save", "points,panel"
    )
    assert outcome.code == 1
    assert "field.tif: 96x64 pixels are too many for a panel or proposals" in outcome.err


def test_a_panel_of_a_small_raster(tiny: Path, mosaics: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = crowdpoint("predict", mosaics / "field.tif", "--model", tiny, "--out", out, "--save", "panel")
    assert (outcome.code, outcome.err) == (0, "")
    assert (out / "panel" / "field.jpg").is_file()


def test_a_scale(tiny: Path, mosaics: Path, tmp_path: Path) -> None:
    arguments = ("predict", mosaics / "field.tif", "--model", tiny, "--scale", 2, "--threshold", 0.4)
    found = json.loads(crowdpoint(*arguments, "--json").out)
    assert (found["width"], found["height"]) == (96, 64)
    assert all(min(abs(p["x"] - 40.5), abs(p["x"] - 90.5)) < 6 for p in found["points"])
    assert found["points"]
    for wrong, message in (("0", "'--scale': expected auto or a factor above 0"), ("nan", "found nan")):
        outcome = crowdpoint("predict", mosaics, "--model", tiny, "--scale", wrong)
        assert outcome.code == 2
        assert message in " ".join(outcome.err.split())
    outcome = crowdpoint(*arguments, "--out", tmp_path / "out", "--save", "proposals")
    assert outcome.code == 2
    assert "leave out --scale" in " ".join(outcome.err.split())


def test_an_image_that_a_scale_makes_too_large(
    tiny: Path, mosaics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    Image.new("L", (8, 8)).save(small)
    Image.new("L", (90, 60)).save(large)
    monkeypatch.setattr(images, "PIXEL_LIMIT", 9999)
    outcome = crowdpoint("predict", large, small, mosaics / "field.tif", "--model", tiny, "--scale", 2)
    assert outcome.code == 1
    assert outcome.err == (
        f"crowdpoint: {large}: scale 2 enlarges 90x60 to 180x120 pixels, the limit is 9999 pixels; "
        "choose a smaller --scale\n"
        "crowdpoint: 3 images, 1 failed\n"
    )
    assert outcome.out.count("small.png: ") == outcome.out.count("field.tif: ") == 1


def test_tiles_have_a_progress_bar(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_raster(tmp_path / "wide.tif", np.zeros((1, 32, 132_000), np.uint8))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    outcome = crowdpoint("predict", path, "--model", tiny)
    assert outcome.code == 0
    assert "tiles" in outcome.err
    assert "predicting" not in outcome.err  # there is one image


def test_without_the_extra(
    tiny: Path, mosaics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    outcome = crowdpoint("predict", mosaics, "--model", tiny, "--out", tmp_path, "--format", "gpkg")
    assert (outcome.code, outcome.out) == (2, "")
    assert "--format gpkg needs an optional dependency: pip install 'crowdpoint[geo]'" in outcome.err
