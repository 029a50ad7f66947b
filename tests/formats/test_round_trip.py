"""formats: what is written is read back, whatever the points and the image's name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crowdpoint import formats
from crowdpoint.errors import FormatError
from crowdpoint.formats.records import to_record
from crowdpoint.points import Points

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)


@st.composite
def some_points(draw: st.DrawFn) -> Points:
    n = draw(st.integers(0, 5))
    return Points(
        draw(hnp.arrays(np.float32, (n, 2), elements=finite)),
        draw(hnp.arrays(np.float32, n, elements=st.floats(0, 1, width=32))),
        draw(st.none() | hnp.arrays(np.float32, (n, 2), elements=st.floats(0, 1e9, width=32))) if n else None,
        draw(st.none() | st.tuples(st.integers(1, 10**6), st.integers(1, 10**6))),
    )


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl"])
@given(points=st.dictionaries(names, some_points(), max_size=4))
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, points: Mapping[str, Points]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"points{suffix}"
    formats.write(path, points)
    found = formats.read(path)
    assert found == points
    assert list(found) == list(points)


def test_csv_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    one = Points(np.array([[0.1, 2]]), np.array([0.7]), image_size=(640, 480))
    formats.write(path, {"a, b.jpg": one, "empty.jpg": Points.empty((3, 4))})
    assert path.read_text().splitlines() == [
        "image,x,y,score,width,height",
        '"a, b.jpg",0.1,2.0,0.7,640,480',
        "empty.jpg,,,,3,4",
    ]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ('=HYPERLINK("http://example.org")', '"\'=HYPERLINK(""http://example.org"")"'),
        ("+1.jpg", "'+1.jpg"),
        ("-1.jpg", "'-1.jpg"),
        ("@a.jpg", "'@a.jpg"),
        ("'=a.jpg", "''=a.jpg"),
        ("'a.jpg", "'a.jpg"),
        ("a=1.jpg", "a=1.jpg"),
    ],
)
def test_names_in_csv_are_no_formulas(tmp_path: Path, name: str, cell: str) -> None:
    path = tmp_path / "a.csv"
    formats.write(path, {name: Points.empty()})
    assert path.read_text().splitlines()[1] == f"{cell},,,,,"
    assert list(formats.read(path)) == [name]


@pytest.mark.parametrize("name", [name for name, known in formats.FORMATS.items() if "names" in known.holds])
def test_names_keep_folders_and_endings(tmp_path: Path, name: str) -> None:
    images = ["day/a.jpg", "day/b.png", "night/c.jpg", "night/d.tar.TIF"]
    known = formats.FORMATS[name]
    path = tmp_path / f"points{known.suffixes[0]}"
    if known.file_name:
        images = images[:1]
    formats.write(path, {image: Points.empty((3, 4)) for image in images}, name)
    assert list(formats.read(path, name)) == images


def test_json_lines_and_array(tmp_path: Path) -> None:
    one = Points(np.array([[0.1, 2]]), np.array([0.7]), image_size=(640, 480))
    expected = {
        "image": "a.jpg",
        "width": 640,
        "height": 480,
        "count": 1,
        "points": [{"x": 0.1, "y": 2.0, "score": 0.7}],
    }
    assert to_record("a.jpg", one) == expected
    formats.write(tmp_path / "a.jsonl", {"a.jpg": one})
    assert json.loads((tmp_path / "a.jsonl").read_text()) == expected
    formats.write(tmp_path / "a.json", {"a.jpg": one})
    assert json.loads((tmp_path / "a.json").read_text()) == [expected]
    formats.write(tmp_path / "a.out", {"a.jpg": one}, format="json")
    assert formats.read(tmp_path / "a.out", format="json") == {"a.jpg": one}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.txt", "yolo or p2pnet or xy or nwpu or nwpu-truth"),
        ("a.mat", "shanghaitech or ucf-cc-50"),
        ("a", "none has this extension"),
    ],
)
def test_write_refuses(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(
        FormatError, match=rf"{name}: ambiguous format \({found}\); choose one of csv \(\.csv\)"
    ):
        formats.write(tmp_path / name, {})
    assert not (tmp_path / name).exists()


def test_the_folder_of_a_file_is_made(tmp_path: Path) -> None:
    formats.write(tmp_path / "new" / "folder" / "a.csv", {"a.jpg": Points.empty()})
    assert list(formats.read(tmp_path / "new" / "folder" / "a.csv")) == ["a.jpg"]


def test_write_failures(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FormatError, match=r"file/a.csv: cannot be written \(.*file"):
        formats.write(tmp_path / "file" / "a.csv", {})
    formats.write(tmp_path / "a.csv", {"\udcff\x01.jpg": Points.empty()})
    assert list(formats.read(tmp_path / "a.csv")) == ["%FF%01.jpg"], "a name is escaped, not refused"
    with pytest.raises(FormatError, match="xml: unknown format; choose one of csv"):
        formats.write(tmp_path / "a.csv", {}, "xml")


@pytest.mark.parametrize(
    ("points", "found"),
    [
        (Points.empty(), "to Points, found Points; write one image as"),
        ({Path("a.jpg"): Points.empty()}, "found one from PosixPath to Points; the name of a path is"),
        ({"a.jpg": np.zeros((1, 2))}, "found one from str to ndarray"),
    ],
)
def test_other_values_than_a_mapping_from_names_to_points(points: Any, found: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=f"points: expected a mapping from .*{found}"):
        formats.write(tmp_path / "points.csv", points)
    with pytest.raises(TypeError, match=f"points: expected a mapping from .*{found}"):
        formats.write_map(tmp_path / "points.gpkg", points, {})
    with pytest.raises(TypeError, match=f"points: expected a mapping from .*{found}"):
        formats.list_losses(points, "csv")
    assert not list(tmp_path.iterdir())
