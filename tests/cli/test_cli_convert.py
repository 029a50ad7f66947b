"""`crowdpoint convert` from file to file, from folder to file and back."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import crowdpoint

from crowdpoint import formats
from crowdpoint.points import Points

HEADS = Points(np.array([[10, 20], [30, 40]]), np.array([0.5, 1]), np.array([[4, 6], [8, 8]]), (64, 48))


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    formats.write(path, {"1.jpg": HEADS, "2.jpg": Points.empty((32, 24))})
    return path


def test_formats_are_detected_and_nothing_is_lost(csv: Path, tmp_path: Path) -> None:
    outcome = crowdpoint("convert", csv, tmp_path / "a.geojson")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"2 images, 2 points: {tmp_path / 'a.geojson'}\n"
    assert formats.read(tmp_path / "a.geojson") == formats.read(csv)


@pytest.mark.parametrize("name", ["nosuch", "-", "nosuch.xyz"])
def test_a_misspelt_source_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (("convert", name, "out.csv"), ("score", "--pred", name, "--gt", name)):
        outcome = crowdpoint(*arguments)
        assert (outcome.code, outcome.err) == (1, f"crowdpoint: {name}: no such file or folder\n")


def test_an_unclear_format_is_chosen_by_the_option_of_this_command(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1 0\n2 0\n")
    (tmp_path / "several").mkdir()
    formats.write(tmp_path / "several" / "a.csv", {"a": HEADS})
    formats.write(tmp_path / "several" / "b.geojson", {"b": HEADS})
    for source in (tmp_path / "a.txt", tmp_path / "several"):
        outcome = crowdpoint("convert", source, tmp_path / "a.csv")
        assert outcome.code == 1
        assert "; choose with --from FORMAT" in outcome.err
        assert "crowdpoint convert" not in outcome.err


def test_losses_are_reported(csv: Path, tmp_path: Path) -> None:
    outcome = crowdpoint("convert", csv, tmp_path / "labels", "--to", "yolo")
    assert outcome.code == 0
    assert outcome.err.splitlines() == [
        "crowdpoint: warning: yolo does not store image sizes",
        "crowdpoint: warning: yolo does not store folders and extensions of image names",
    ]
    assert sorted(path.name for path in (tmp_path / "labels").iterdir()) == ["1.txt", "2.txt"]


def test_folder_to_file_with_the_sizes_of_the_images(csv: Path, tmp_path: Path) -> None:
    crowdpoint("convert", csv, tmp_path / "GT", "--to", "shanghaitech")
    for name, size in (("1.jpg", (48, 64, 3)), ("2.PNG", (24, 32, 3))):
        (tmp_path / "images").mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / "images" / name), np.zeros(size, np.uint8))
    arguments = ("convert", tmp_path / "GT", tmp_path / "a.xml", "--from", "shanghaitech", "--to", "cvat")
    assert crowdpoint(*arguments, "--images", tmp_path / "images").code == 0
    assert formats.read(tmp_path / "a.xml") == {
        "1": Points(HEADS.xy, image_size=(64, 48)),
        "2": Points.empty((32, 24)),
    }
    outcome = crowdpoint(*arguments, "--images", tmp_path / "GT")
    assert outcome.code == 1
    assert "GT: no image 1, the most similar of 0 is nothing; --images must contain all images" in outcome.err


def test_sizes_that_contradict_the_images_are_refused(csv: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert cv2.imwrite(str(tmp_path / "images" / "1.jpg"), np.zeros((64, 48, 3), np.uint8))
    arguments = ("convert", csv, tmp_path / "a.json", "--to", "label-studio", "--images")
    outcome = crowdpoint(*arguments, tmp_path / "images")
    assert outcome.code == 1
    found = f"{csv}: image 1.jpg: states (64, 48) pixels, but the image in {tmp_path / 'images'} has (48, 64)"
    assert found in outcome.err
    assert not (tmp_path / "a.json").exists()
    assert cv2.imwrite(str(tmp_path / "images" / "1.jpg"), np.zeros((48, 64, 3), np.uint8))
    assert crowdpoint(*arguments, tmp_path / "images").code == 0, "the other image's size is stated"


def test_places_that_do_not_suit(csv: Path, tmp_path: Path) -> None:
    for images in (tmp_path / "nowhere", csv):
        outcome = crowdpoint("convert", csv, tmp_path / "a.json", "--images", images)
        assert outcome.code == 2
        assert "Invalid value for '--images'" in outcome.err
    outcome = crowdpoint("convert", csv, tmp_path, "--to", "csv")
    assert outcome.code == 1
    assert (
        outcome.err
        == f"crowdpoint: {tmp_path}: is a folder, but csv is one file for all images; name a file\n"
    )


def test_a_broken_file_is_named_and_nothing_written(csv: Path, tmp_path: Path) -> None:
    with csv.open("a") as file:
        file.write("3.jpg,one,2,1,64,48,4,6\n")
    outcome = crowdpoint("convert", csv, tmp_path / "a.geojson")
    assert outcome.code == 1
    assert f"crowdpoint: {csv}:5: x: expected a finite number, found 'one'" in outcome.err
    assert list(tmp_path.iterdir()) == [csv]


def test_usage(csv: Path, tmp_path: Path) -> None:
    outcome = crowdpoint("convert", csv, tmp_path / "a.json", "--to", "xls")
    assert outcome.code == 2
    assert "unknown format xls" in outcome.err
    outcome = crowdpoint("convert", csv, tmp_path / "a.txt")
    assert outcome.code == 1
    assert "ambiguous format" in outcome.err
