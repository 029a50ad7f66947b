import sys
from pathlib import Path

import numpy as np
import pytest

from crowdpoint import formats
from crowdpoint.errors import FormatError, MissingExtraError
from crowdpoint.integrations.geopandas import to_geo_frame
from crowdpoint.points import Points
from crowdpoint.rasters import Georeference

TWO = Points(np.array([[1, 2], [3, 4.5]]), np.array([0.5, 1]), image_size=(9, 8))
HERE = Georeference("EPSG:32632", (0.5, 0, 500_000, 0, -0.5, 5_300_000))
WEST = Georeference("EPSG:32631", (1, 0, 500_000, 0, -1, 5_300_000))


def test_pixels_without_places() -> None:
    frame = to_geo_frame({"a": TWO, "b": Points.empty()})
    assert list(frame.columns) == ["image", "score", "pixel_x", "pixel_y", "geometry"]
    assert frame.crs is None
    assert frame["image"].tolist() == ["a", "a"]
    assert [(point.x, point.y) for point in frame.geometry] == [(1, 2), (3, 4.5)]
    assert frame["score"].tolist() == [0.5, 1]


def test_the_system_of_the_places() -> None:
    frame = to_geo_frame({"a": TWO, "b": TWO[1]}, {"a": HERE, "b": HERE})
    assert frame.crs == "EPSG:32632"
    assert frame.geometry.x.tolist() == [500_000.5, 500_001.5, 500_001.5]
    assert frame.geometry.y.tolist() == [5_299_999, 5_299_997.75, 5_299_997.75]
    assert frame["pixel_y"].tolist() == [2, 4.5, 4.5]


def test_several_systems_become_degrees() -> None:
    frame = to_geo_frame({"a": TWO, "b": TWO}, {"a": HERE, "b": WEST})
    assert frame.geometry.x.tolist() == pytest.approx([9, 9, 3, 3], abs=1e-3)
    assert frame.geometry.y.tolist() == pytest.approx([47.85] * 4, abs=1e-2)
    assert frame.crs.to_string() == "OGC:CRS84"


def test_nothing() -> None:
    assert len(to_geo_frame({})) == len(to_geo_frame({}, {})) == 0


@pytest.mark.parametrize("rest", [{}, {"b": None}])
def test_a_place_that_is_missing(tmp_path: Path, rest: dict[str, Georeference | None]) -> None:
    message = "places: expected one for every image, found none for b"
    with pytest.raises(FormatError, match=message):
        to_geo_frame({"a": TWO, "b": TWO}, rest | {"a": HERE})
    for name in ("points.gpkg", "points.geojson"):
        with pytest.raises(FormatError, match=message):
            formats.write_map(tmp_path / name, {"a": TWO, "b": TWO}, rest | {"a": HERE})
    assert not list(tmp_path.iterdir())


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "geopandas", None)
    with pytest.raises(MissingExtraError, match=r"a GeoDataFrame needs .*integrations"):
        to_geo_frame({"a": TWO})
