"""`crowdpoint predict --zones`: the people in parts of photos."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from command_line import crowdpoint
from drawn_rasters import bands, write_raster
from PIL import Image

from crowdpoint import images

LEFT = {"name": "left", "polygon": [[0, 0], [48, 0], [48, 64], [0, 64]]}
ALL = {"name": "all, of it", "polygon": [[0, 0], [96, 0], [96, 64], [0, 64]], "alert": {"above": 1}}
GROUND = {
    "image": [[0, 0], [96, 0], [96, 64], [0, 64]],
    "metres": [[0, 0], [12, 0], [12, 8], [0, 8]],
}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos: three people of whom two are on the left, and none on one twice as large."""
    folder = tmp_path / "photos"
    folder.mkdir()
    image = np.zeros((64, 96, 3), np.uint8)
    image[4, 4] = image[40, 20] = image[40, 80] = 255
    Image.fromarray(image).save(folder / "a.png")
    Image.new("RGB", (192, 128)).save(folder / "b.png")
    return folder


def _zones(path: Path, **values: object) -> Path:
    path.write_text(yaml.safe_dump({"image_size": [96, 64], "zones": [LEFT, ALL]} | values))
    return path


def test_json_has_counts_and_densities(tiny: Path, photos: Path, tmp_path: Path) -> None:
    zones = _zones(tmp_path / "zones.yaml", ground=GROUND)
    outcome = crowdpoint("predict", photos, "--model", tiny, "--zones", zones, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    first, second = map(json.loads, outcome.out.splitlines())
    assert first["count"] == 3
    assert first["zones"] == {
        "left": {"count": 2, "per_m2": pytest.approx(2 / 48, abs=1e-4)},
        "all, of it": {"count": 3, "per_m2": pytest.approx(3 / 96, abs=1e-4)},
    }
    assert second["zones"] == {name: {"count": 0, "per_m2": 0} for name in ("left", "all, of it")}


def test_without_ground_there_is_no_density(tiny: Path, photos: Path, tmp_path: Path) -> None:
    zones = _zones(tmp_path / "zones.yaml")
    outcome = crowdpoint("predict", photos, "--model", tiny, "--zones", zones, "--out", tmp_path / "out")
    assert outcome.code == 0
    assert outcome.out.splitlines()[0].endswith(" ms); left: 2, all, of it: 3")
    with (tmp_path / "out" / "zones.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[:2] == [
        {"image": "a.png", "zone": "left", "count": "2", "per_m2": ""},
        {"image": "a.png", "zone": "all, of it", "count": "3", "per_m2": ""},
    ]
    assert [row["count"] for row in rows[2:]] == ["0", "0"]


def test_a_table_has_a_row_for_each_zone(
    tiny: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    for ground in ({"ground": GROUND}, {}):
        zones = _zones(tmp_path / "zones.yaml", **ground)
        outcome = crowdpoint("predict", photos, "--model", tiny, "--zones", zones)
        assert outcome.code == 0
        assert ("per m²" in outcome.out) == bool(ground)
        (row,) = (line for line in outcome.out.splitlines() if "left" in line and " 2 " in line)
        assert ("0.04" in row) == bool(ground)


def test_the_overlay_shows_zones_of_any_size_of_picture(tiny: Path, photos: Path, tmp_path: Path) -> None:
    zones = _zones(tmp_path / "zones.yaml", zones=[LEFT])
    crowdpoint("predict", photos, "--model", tiny, "--zones", zones, "--out", tmp_path / "out")
    for name, width in (("a", 96), ("b", 192)):
        overlay = images.read(tmp_path / "out" / "overlay" / f"{name}.jpg").astype(int)
        red = overlay[-10:, :, 0]
        assert red[:, 4 : width // 2 - 8].min() > 20
        assert red[:, width // 2 + 8 :].max() < 20


def test_rasters_have_zones_in_pixels(tiny: Path, tmp_path: Path) -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[20, 40] = picture[50, 90] = 255
    write_raster(tmp_path / "field.tif", bands(picture))
    zones = _zones(tmp_path / "zones.yaml", zones=[LEFT])
    outcome = crowdpoint("predict", tmp_path / "field.tif", "--model", tiny, "--zones", zones, "--json")
    assert json.loads(outcome.out)["zones"]["left"]["count"] == 1


def test_a_photo_outside_of_which_a_zone_lies_fails_alone(tiny: Path, photos: Path, tmp_path: Path) -> None:
    right = {"name": "right", "polygon": [[100, 0], [190, 0], [190, 60]]}
    zones = tmp_path / "zones.yaml"
    zones.write_text(yaml.safe_dump({"zones": [right]}))
    outcome = crowdpoint("predict", photos, "--model", tiny, "--zones", zones, "--out", tmp_path / "out")
    assert outcome.code == 1
    assert outcome.err.startswith(
        f"crowdpoint: {photos / 'a.png'}: zone 'right': lies outside the image of 96x64 pixels"
    )
    assert (tmp_path / "out" / "zones.csv").read_text() == "image,zone,count,per_m2\nb.png,right,0,\n"


def test_invalid_options_are_reported_before_the_work(
    tiny: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "zone.yaml"
    outcome = crowdpoint("predict", photos, "--model", tiny, "--zones", missing, "--out", tmp_path / "out")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"crowdpoint: {missing}: cannot be read (No such file or directory)\n"
    assert not (tmp_path / "out").exists()
    monkeypatch.setitem(sys.modules, "shapely", None)
    outcome = crowdpoint("predict", photos, "--model", tiny, "--zones", _zones(tmp_path / "zones.yaml"))
    assert (outcome.code, outcome.out) == (2, "")
    assert "reading zones needs an optional dependency: pip install 'crowdpoint[zones]'" in outcome.err


def test_names_in_tables_are_no_formulas(tiny: Path, photos: Path, tmp_path: Path) -> None:
    zones = _zones(tmp_path / "zones.yaml", zones=[ALL | {"name": "=1+1"}])
    outcome = crowdpoint("predict", photos, "--model", tiny, "--zones", zones, "--out", tmp_path / "out")
    assert outcome.code == 0
    assert ",'=1+1," in (tmp_path / "out" / "zones.csv").read_text()


def test_a_table_of_zones_that_cannot_be_written(tiny: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "zones.csv").mkdir(parents=True)
    zones = _zones(tmp_path / "zones.yaml")
    outcome = crowdpoint("predict", photos, "--model", tiny, "--zones", zones, "--out", tmp_path / "out")
    assert outcome.code == 1
    assert f"{tmp_path / 'out' / 'zones.csv'}: cannot be written" in outcome.err
