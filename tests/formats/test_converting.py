"""formats: what is written is read back as far as the format holds it, alone and in folders."""

import math
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crowdpoint import formats
from crowdpoint.errors import FormatError
from crowdpoint.names import escape
from crowdpoint.points import FloatArray, Points

PIXEL_ERROR = {
    "yolo": 1e-4,
    "label-studio": 1e-4,
    "coco-boxes": 1e-3,
    "labelme": 1e-3,
    "voc": 1e-3,
    "nwpu": 0.5,
    "nwpu-truth": 0.5,
}
"""How far a coordinate may be off, in pixels, on images of up to 5000; no more than float32 elsewhere."""

FILES = {
    "geojson": "a.geojson",
    "coco-keypoints": "a.json",
    "coco-boxes": "a.json",
    "label-studio": "a.json",
    "cvat": "a.xml",
    "nwpu": "a.txt",
    "nwpu-truth": "a.txt",
    "p2pnet": "a.list",
}
FOLDERS = ("xy", "labelme", "voc", "yolo", "shanghaitech", "ucf-cc-50")

FEW = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
COORDINATES = st.floats(-10, 9000, width=32)

# Words without folders, different on file systems that ignore case, too.
words = st.lists(
    st.text("abcdefghijklmnopqrstuvwxyz0123456789-_äß語", min_size=1, max_size=8), max_size=4, unique=True
)


@st.composite
def boxed_points(draw: st.DrawFn) -> Points:
    """Points near or on an image, with boxes and scores: what the richest format holds."""
    n = draw(st.integers(0, 5))
    if not n:
        return Points.empty((draw(st.integers(1, 5000)), draw(st.integers(1, 5000))))
    size = draw(st.integers(1, 5000)), draw(st.integers(1, 5000))
    sides = np.array(size, np.float32)
    return Points(
        draw(hnp.arrays(np.float32, (n, 2), elements=st.floats(-1, 2, width=32))) * sides,
        draw(hnp.arrays(np.float32, n, elements=st.floats(0, 1, width=32))),
        draw(hnp.arrays(np.float32, (n, 2), elements=st.floats(0, 1, width=32))) * sides,
        size,
    )


@st.composite
def image_sets(draw: st.DrawFn) -> dict[str, Points]:
    return {name: draw(boxed_points()) for name in draw(words)}


def assert_kept(found: Mapping[str, Points], points: Mapping[str, Points], name: str) -> None:
    holds, off = formats.FORMATS[name].holds, PIXEL_ERROR.get(name, 0)
    assert found.keys() == points.keys()
    for image, expected in points.items():
        got = found[image]
        np.testing.assert_allclose(got.xy, expected.xy, rtol=0, atol=off)
        np.testing.assert_array_equal(
            got.scores, expected.scores if "scores" in holds else np.ones(len(expected))
        )
        if "sizes" in holds and len(expected):
            assert got.sizes is not None
            assert expected.sizes is not None
            np.testing.assert_allclose(got.sizes, expected.sizes, rtol=0, atol=2 * off)
        else:
            assert got.sizes is None
        assert got.image_size == (expected.image_size if "image_size" in holds else None)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=25)
@given(points=image_sets())
def test_file_round_trip(
    tmp_path_factory: pytest.TempPathFactory, name: str, points: Mapping[str, Points]
) -> None:
    path = tmp_path_factory.mktemp(name) / FILES[name]
    formats.write(path, points, name)
    found = formats.read(path, name)
    assert_kept(found, points, name)
    assert list(found) == list(points)
    said = " ".join(formats.list_losses(points, name))
    if points:
        assert ("image sizes" in said) == ("image_size" not in formats.FORMATS[name].holds)


@pytest.mark.parametrize("name", [name for name in FOLDERS if name != "yolo"])
@settings(max_examples=25)
@given(points=image_sets().filter(bool))
def test_folder_round_trip(
    tmp_path_factory: pytest.TempPathFactory, name: str, points: Mapping[str, Points]
) -> None:
    folder = tmp_path_factory.mktemp(name) / "points"
    formats.write(folder, points, name)
    assert len(list(folder.iterdir())) == len(points)
    assert_kept(formats.read(folder, name), points, name)


@settings(max_examples=25)
@given(points=boxed_points())
def test_yolo_round_trip(tmp_path_factory: pytest.TempPathFactory, points: Points) -> None:
    folder = tmp_path_factory.mktemp("yolo")
    assert points.image_size is not None
    width, height = points.image_size
    assert cv2.imwrite(str(folder / "a.png"), np.zeros((height, width, 1), np.uint8))
    formats.write(folder / "labels", {"a": points}, "yolo")
    (folder / "labels" / "a.txt").rename(folder / "a.txt")
    found = formats.read(folder / "a.txt", "yolo")
    assert found["a"].image_size == points.image_size
    assert_kept({"a": Points(found["a"].xy, found["a"].scores, found["a"].sizes)}, {"a": points}, "yolo")


@pytest.mark.parametrize("name", ["geojson", "coco-keypoints", "label-studio"])
@settings(max_examples=25)
@given(image=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_name(tmp_path_factory: pytest.TempPathFactory, name: str, image: str) -> None:
    path = tmp_path_factory.getbasetemp() / "named.json"
    points = {image: Points(np.array([[1, 2]]), image_size=(100, 100))}
    formats.write(path, points, name)
    assert formats.read(path) == {escape(image): points[image]}


def boxed(sizes: FloatArray | None = None) -> Points:
    xy = np.array([[10, 20], [30.25, 41]], np.float32)
    return Points(xy, sizes=np.array([[4, 6], [8, 8]]) if sizes is None else sizes, image_size=(64, 50))


@pytest.mark.parametrize("name", [*FILES, *FOLDERS])
def test_the_format_is_detected_by_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / FILES.get(name, "points")
    formats.write(path, {"a": boxed()}, name)
    assert cv2.imwrite(str(tmp_path / "points.png"), np.zeros((50, 64, 1), np.uint8))
    if path.is_dir():
        (tmp_path / "points" / "a.png").write_bytes((tmp_path / "points.png").read_bytes())
    assert formats.read(path) == formats.read(path, name)
    assert len(formats.read(path)["a"]) == 2


def test_truth_has_the_benchmarks_radii_and_levels(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    formats.write(path, {"1": boxed(), "2": Points.empty()}, "nwpu-truth")
    assert path.read_text() == "1 2 10 20 2 4 1 30 41 4 6 1\n2 0\n"  # radii 2, 3.6 and 4, 5.7


def test_submission_text(tmp_path: Path) -> None:
    """Images are called by their numbers, as the benchmark's code expects."""
    formats.write(tmp_path / "a.txt", {"images/3610.jpg": boxed(), "3611": Points.empty()}, "nwpu")
    assert (tmp_path / "a.txt").read_text() == "3610 2 10 20 30 41\n3611 0\n"


@FEW
@given(st.lists(st.tuples(st.integers(-9, 9000), st.integers(-9, 9000)), max_size=5))
@pytest.mark.parametrize("name", ["nwpu", "nwpu-truth"])
def test_formats_with_pixel_indices_keep_every_pixel(
    tmp_path: Path, name: str, indices: list[tuple[int, int]]
) -> None:
    """An index is read as the centre of its pixel, and the centre is written as that index."""
    columns = " ".join(f"{x} {y}" + " 4 6 1" * (name == "nwpu-truth") for x, y in indices)
    line = f"1 {len(indices)} {columns}".strip() + "\n"
    (tmp_path / "a.txt").write_text(line)
    points = formats.read(tmp_path / "a.txt", name)
    assert points["1"].xy.tolist() == [[x + 0.5, y + 0.5] for x, y in indices]
    sized = {"1": Points(points["1"].xy, sizes=np.full_like(points["1"].xy, 8))}
    formats.write(tmp_path / "b.txt", sized, name)
    assert (tmp_path / "b.txt").read_text() == line


@FEW
@given(st.lists(st.tuples(COORDINATES, COORDINATES), min_size=1, max_size=5))
def test_a_submission_has_the_pixel_of_each_point(tmp_path: Path, xy: list[tuple[float, float]]) -> None:
    formats.write(tmp_path / "a.txt", {"1": Points(np.array(xy, np.float32))}, "nwpu")
    written = (tmp_path / "a.txt").read_text().split()[2:]
    assert [int(word) for word in written] == [math.floor(value) for pair in xy for value in pair]


def test_p2pnet_list_has_a_text_file_for_each_image(tmp_path: Path) -> None:
    formats.write(tmp_path / "train.list", {"train/1.jpg": boxed(), "train/b/2.v1": Points.empty()}, "p2pnet")
    assert (tmp_path / "train.list").read_text() == "train/1.jpg train/1.txt\ntrain/b/2.v1 train/b/2.v1.txt\n"
    assert (tmp_path / "train" / "1.txt").read_text() == "10.0 20.0\n30.25 41.0\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train", "train.list"]


def test_folder_in_natural_order(tmp_path: Path) -> None:
    formats.write(tmp_path / "GT", {f"IMG_{n}.jpg": boxed() for n in (10, 9, 100)}, "shanghaitech")
    (tmp_path / "GT" / "classes.txt").write_text("head\n")
    (tmp_path / "GT" / "._GT_IMG_9.mat").write_text("macOS")
    assert list(formats.read(tmp_path / "GT")) == ["IMG_9", "IMG_10", "IMG_100"]


def test_empty_labels_beside_others(tmp_path: Path) -> None:
    formats.write(tmp_path / "a", {"1": boxed(), "2": Points.empty()}, "xy")
    assert formats.read(tmp_path / "a") == {"1": Points(boxed().xy), "2": Points.empty()}


def test_wrong_folders(tmp_path: Path) -> None:
    formats.write(tmp_path / "a", {"1": boxed()}, "xy")
    formats.write(tmp_path / "a" / "b.csv", {"2": boxed()})
    with pytest.raises(FormatError, match=r"a: files are in several formats \(xy, csv\)"):
        formats.read(tmp_path / "a")
    formats.write(tmp_path / "a" / "c.csv", {"2": boxed()})
    with pytest.raises(FormatError, match=r"c\.csv: image 2 is also in another file"):
        formats.read(tmp_path / "a", "csv")


@pytest.mark.parametrize(
    ("name", "path", "points", "message"),
    [
        ("coco-boxes", "a.json", {"a": Points(boxed().xy)}, "needs a box for every point, image a has none"),
        ("voc", "a.xml", {"a": Points(boxed().xy)}, "needs a box"),
        ("nwpu-truth", "a.txt", {"a": Points(boxed().xy)}, "needs a box"),
        ("yolo", "a.txt", {"a": Points(boxed().xy, sizes=boxed().sizes)}, "needs the size of image a"),
        ("label-studio", "a.json", {"a": Points(boxed().xy)}, "needs the size of image a"),
        ("voc", "a.xml", {"a": boxed(), "b": boxed()}, "expected one image, found 2; pass a folder"),
        ("xy", "a.txt", {}, "expected one image, found 0"),
        ("xy", "out", {"a/1.jpg": boxed(), "b/1.png": boxed()}, "a/1.jpg would be written to the same file"),
        ("xy", "out", {"a": boxed(), "..": boxed()}, "is not a valid file name"),
        ("nwpu", "a.txt", {"a": boxed(), "b c": boxed()}, "'b c' contains spaces"),
        (
            "nwpu",
            "a.txt",
            {"a/1.jpg": boxed(), "b/1.jpg": boxed()},
            "b/1.jpg and a/1.jpg would both be called 1",
        ),
        ("p2pnet", "a.list", {"b": boxed(), "../a.jpg": boxed()}, "not below the list's folder"),
        ("p2pnet", "a.list", {"b": boxed(), "/a.jpg": boxed()}, "not below the list's folder"),
        ("p2pnet", "a.list", {"b.jpg": boxed(), "b.png": boxed()}, "would both be written to b.txt"),
        ("p2pnet", "a.txt", {"a.jpg": boxed()}, "the list itself would both be written to a.txt"),
    ],
)
def test_an_invalid_file_name_leaves_no_files(
    tmp_path: Path, name: str, path: str, points: Mapping[str, Points], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        formats.write(tmp_path / path, points, name)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    formats.write(path, {"1": boxed()}, "nwpu")
    before = path.read_bytes()
    with pytest.raises(FormatError, match="contains spaces"):
        formats.write(path, {"1": Points.empty(), "b c": boxed()}, "nwpu")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_losses() -> None:
    points = {"train/a.jpg": Points(boxed().xy, np.array([0.5, 1]), boxed().sizes, (64, 50))}
    assert formats.list_losses(points, "csv") == []
    assert formats.list_losses(points, "cvat") == ["cvat does not store scores", "cvat does not store boxes"]
    assert formats.list_losses(points, "xy") == [
        "xy does not store scores",
        "xy does not store boxes",
        "xy does not store image sizes",
        "xy does not store folders and extensions of image names",
    ]
    assert formats.list_losses({"a": Points(boxed().xy)}, "xy") == []
    assert formats.list_losses({"a": boxed()[:0]}, "cvat") == [], "no points, no boxes"
    assert formats.list_losses({"a": Points(boxed().xy)}, "nwpu") == ["nwpu rounds points to whole pixels"]
    assert formats.list_losses({"a": Points(np.array([[10.5, 7.5]]))}, "nwpu") == []


def test_the_formats_page_lists_losses() -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    table = page.partition("| format | scores |")[2]
    for known in formats.FORMATS.values():
        row = next(line for line in table.splitlines() if line.startswith(f"| `{known.name}` |"))
        cells = [cell.strip() for cell in row.strip("|").split("|")][1:]
        for cell, part in zip(cells, ("scores", "sizes", "image_size", "names"), strict=True):
            expected = "needed" if part in known.needs else "kept" if part in known.holds else "lost"
            if part in known.needs and part not in known.holds:
                expected = "needed, lost"
            assert cell == expected, (known.name, part)
