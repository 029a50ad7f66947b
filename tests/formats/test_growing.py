"""Files that grow by an image are, after each, what is written in one go."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
from any_points import any_points
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crowdpoint import formats
from crowdpoint.errors import FormatError, StorageError
from crowdpoint.formats import growing
from crowdpoint.points import Points
from crowdpoint.rasters import Georeference

HERE = Georeference("EPSG:32632", (0.5, 0, 500_000, 0, -0.5, 5_300_000))
WEST = Georeference("EPSG:32631", (1, 0, 9, 0, -1, 9))
TWO = Points(np.array([[1, 2], [3, 4.5]]), np.array([0.5, 1]), image_size=(9, 8))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(images=st.lists(st.booleans().flatmap(lambda boxes: any_points(boxes=boxes)), max_size=4))
@pytest.mark.parametrize("suffix", [".csv", ".json", ".geojson"])
def test_the_file_is_valid_after_each_image(suffix: str, images: list[Points], tmp_path: Path) -> None:
    path = tmp_path / f"points{suffix}"
    path.write_text("an older file")
    file = growing.GrowingFile(path, on_map=False)
    assert formats.read(path) == {}
    for number, points in enumerate(images):
        file.add(f"{number}.jpg", points)
        saved = formats.read(path)
        assert list(saved) == [f"{i}.jpg" for i in range(number + 1)]
        for found, points in zip(saved.values(), images, strict=False):
            assert (found.image_size, found.xy.tolist()) == (points.image_size, points.xy.tolist())
            if len(points) and points.sizes is not None:
                np.testing.assert_array_equal(found.sizes, points.sizes)
    whole = tmp_path / f"whole{suffix}"
    formats.write(whole, dict(zip(formats.read(path), images, strict=True)))
    assert formats.read(whole).keys() == formats.read(path).keys()


def test_images_of_one_layout_are_appended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in (".csv", ".json", ".geojson"):
        path = tmp_path / f"points{suffix}"
        file = growing.GrowingFile(path, on_map=suffix == ".geojson")
        file.add("a", TWO, HERE)
        before = path.stat().st_ino
        for image in "bcd":
            file.add(image, TWO, HERE)
            file.add(f"{image}-empty", Points.empty((9, 8)), HERE)
        assert path.stat().st_ino == before, "it is not written anew"
        assert [len(found) for found in formats.read(path).values()] == [2, 2, 0, 2, 0, 2, 0]


def test_a_geopackage_has_a_layer_for_each_system(tmp_path: Path) -> None:
    path = tmp_path / "points.gpkg"
    path.write_text("an older file")
    file = growing.GrowingFile(path, on_map=True)
    file.add("a", TWO, HERE)
    file.add("b", TWO, HERE)
    file.add("c", Points.empty((9, 8)), HERE)
    assert pyogrio.list_layers(path)[:, 0].tolist() == ["points"]
    file.add("d", TWO, WEST)
    file.add("e", TWO, HERE)
    file.add("f", TWO, WEST)
    assert pyogrio.list_layers(path)[:, 0].tolist() == ["points_1", "points_2"]
    for layer, images in (("points_1", "aabbee"), ("points_2", "ddff")):
        _, _, geometry, fields = pyogrio.raw.read(path, layer=layer)
        assert "".join(fields[0]) == images
        assert len(geometry) == len(images)
    with pytest.raises(ValueError, match="place: expected the georeference of g, found None"):
        file.add("g", TWO)


LIMITED = """
import resource, signal, sys
from pathlib import Path
from crowdpoint.formats import growing
path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20,) * 2)
growing.append(path, b",\\n" + b"x" * 100, over=b"\\n]\\n")
"""


def test_a_failed_append_leaves_the_file_unchanged(tmp_path: Path) -> None:
    pytest.importorskip(
        "resource", reason="Windows has no limits on a process"
    )  # a limit on the size of files does what a full disk does
    path = tmp_path / "points.json"
    growing.GrowingFile(path, on_map=False).add("a", TWO)
    command = [sys.executable, "-c", LIMITED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"StorageError: {path}: cannot be written" in done.stderr
    assert formats.read(path) == {"a": TWO}


def test_an_unwritable_folder_is_reported_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "none").write_text("a file and no folder")
    for name in ("points.csv", "points.json"):
        with pytest.raises(FormatError, match=rf"{name}: cannot be written"):
            growing.GrowingFile(tmp_path / "none" / name, on_map=False)
    (tmp_path / "points.gpkg").mkdir()
    with pytest.raises(StorageError, match=r"points\.gpkg: cannot be written"):
        growing.GrowingFile(tmp_path / "points.gpkg", on_map=True)
