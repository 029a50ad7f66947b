"""datasets: the layouts of UCF-QNRF, JHU-CROWD++, NWPU-Crowd and TRANCOS, drawn small."""

import pickle
from collections.abc import Callable
from pathlib import Path

import drawn_datasets as drawn
import numpy as np
import pytest
from drawn_datasets import BOXES, HEADS, SIZE, save_mat, save_nwpu, save_text

from crowdpoint import datasets
from crowdpoint.errors import CrowdpointError, DatasetError, FormatError
from crowdpoint.points import Points

CROWD = Points(np.array(HEADS), image_size=SIZE)


def names(name: str, root: Path, split: str) -> list[str]:
    return [sample.name for sample in datasets.load(name, root, split)]


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_every_dataset_is_drawn_loaded_and_sent_to_workers(name: str, tmp_path: Path) -> None:
    drawn.DRAW[name](tmp_path)
    samples = datasets.load(name, tmp_path)
    assert samples[0].points().image_size == SIZE
    assert samples[0].points().xy.tolist() == HEADS
    assert pickle.loads(pickle.dumps(samples)) == samples
    assert len(set(samples)) == len(samples)


@pytest.mark.parametrize("name", sorted({*drawn.DRAW} - {"folder", "ucf-cc-50"}))
def test_splits_share_no_image(name: str, tmp_path: Path) -> None:
    drawn.DRAW[name](tmp_path)
    splits = [split for split in datasets.DATASETS[name].splits if split != "trainval"]
    images = [sample.image for split in splits for sample in datasets.load(name, tmp_path, split)]
    assert len(set(images)) == len(images)


def test_ucf_qnrf(tmp_path: Path) -> None:
    drawn.ucf_qnrf(tmp_path)
    assert names("ucf-qnrf", tmp_path, "train") == ["img_0001", "img_0002", "img_0003"]
    assert names("ucf-qnrf", tmp_path, "test") == ["img_0001", "img_0002"]
    with pytest.raises(DatasetError, match="no folder Train or train; expected Train and Test, each"):
        datasets.load("ucf-qnrf", tmp_path / "Train")


def test_jhu_crowd(tmp_path: Path) -> None:
    drawn.jhu_crowd(tmp_path)
    crowd, nobody = datasets.load("jhu-crowd++", tmp_path, "val")
    assert (crowd.name, nobody.name) == ("0004", "0005")
    assert crowd.points() == Points(np.array(HEADS), sizes=np.full((3, 2), (4, 6)), image_size=SIZE)
    assert len(nobody.points()) == 0
    assert crowd.labels == {"count": "3", "scene": "stadium", "weather": "2", "distractor": "0"}
    assert nobody.labels["scene"] == "street, wet"


@pytest.mark.parametrize("annotations", ["jsons", "mats"])
def test_nwpu_crowd(tmp_path: Path, annotations: str) -> None:
    drawn.nwpu_crowd(tmp_path, annotations)
    crowd, nobody = datasets.load("nwpu-crowd", tmp_path, "val")
    corners = np.array(BOXES)
    sizes = corners[:, 2:] - corners[:, :2]
    assert crowd.points() == Points(np.array(HEADS), sizes=sizes, image_size=SIZE)
    assert len(nobody.points()) == 0
    assert crowd.labels == {"luminance": "2", "scene_level": "1"}


def test_nwpu_crowd_keeps_its_test_annotations(tmp_path: Path) -> None:
    drawn.nwpu_crowd(tmp_path)
    samples = datasets.load("nwpu-crowd", tmp_path, "test")
    assert [sample.name for sample in samples] == ["0007", "0008"]
    assert all(sample.image.is_file() for sample in samples)
    with pytest.raises(DatasetError, match=r"0007\.jpg: the annotation is not published"):
        samples[0].points()


def test_nwpu_crowd_lists_may_lack_labels(tmp_path: Path) -> None:
    drawn.nwpu_crowd(tmp_path)
    save_text(tmp_path / "test.txt", "0007\n\n0008.jpg\n")
    samples = datasets.load("nwpu-crowd", tmp_path, "test")
    assert [(sample.name, sample.labels) for sample in samples] == [("0007", {}), ("0008", {})]


def test_trancos(tmp_path: Path) -> None:
    drawn.trancos(tmp_path)
    (sample,) = datasets.load("trancos", tmp_path, "val")
    assert sample.name == "image-1-000003"
    assert sample.points() == CROWD
    region = sample.region()
    assert region is not None
    assert region.shape == SIZE[::-1]
    assert region[:30].all()
    assert not region[30:].any()
    assert len(names("trancos", tmp_path, "trainval")) == 3


def test_trancos_with_points_as_text(tmp_path: Path) -> None:
    drawn.trancos(tmp_path)
    for dots in (tmp_path / "images").glob("*dots.png"):
        dots.unlink()
    (sample,) = datasets.load("trancos", tmp_path, "test")
    assert sample.points() == CROWD


def test_only_trancos_has_regions(tmp_path: Path) -> None:
    drawn.ucf_qnrf(tmp_path)
    assert datasets.load("ucf-qnrf", tmp_path)[0].region() is None


@pytest.mark.parametrize(
    ("name", "spoil", "split", "message"),
    [
        (
            "ucf-qnrf",
            lambda r: (r / "Test" / "img_0002_ann.mat").unlink(),
            "test",
            "its annotation is missing",
        ),
        (
            "jhu-crowd++",
            lambda r: (r / "val" / "gt" / "0005.txt").unlink(),
            "val",
            "its annotation is missing",
        ),
        (
            "jhu-crowd++",
            lambda r: (r / "val" / "image_labels.txt").unlink(),
            "val",
            r"image_labels\.txt: no such file",
        ),
        (
            "jhu-crowd++",
            lambda r: save_text(r / "val" / "image_labels.txt", "\n0004,3,street\n"),
            "val",
            r"image_labels\.txt:2: expected image,count,scene,weather,distractor",
        ),
        (
            "jhu-crowd++",
            lambda r: save_text(r / "val" / "image_labels.txt", "1,2,a,0,0\n1,2,a,0,0\n"),
            "val",
            r"image_labels\.txt:2: duplicate image 1",
        ),
        (
            "jhu-crowd++",
            lambda r: save_text(r / "val" / "image_labels.txt", "1,many,a,0,0\n"),
            "val",
            r"image_labels\.txt:1: count: expected a finite number, found 'many'",
        ),
        ("nwpu-crowd", lambda r: (r / "images" / "0008.jpg").unlink(), "test", "its image is missing"),
        ("nwpu-crowd", lambda r: (r / "val.txt").unlink(), "val", r"val\.txt: no such file"),
        ("nwpu-crowd", lambda r: save_text(r / "val.txt", "\n"), "val", r"val\.txt: lists no image"),
        (
            "nwpu-crowd",
            lambda r: save_text(r / "val.txt", "0004 1 1\n0005 1\n"),
            "val",
            r"val\.txt:2: expected image luminance scene_level, found 2 words",
        ),
        (
            "nwpu-crowd",
            lambda r: save_text(r / "val.txt", "0004 dark 1\n"),
            "val",
            r"val\.txt:1: luminance: expected a finite number, found 'dark'",
        ),
        (
            "nwpu-crowd",
            lambda r: save_text(r / "val.txt", "0004 1 1\n0004 1 1\n"),
            "val",
            r"val\.txt:2: duplicate image 0004",
        ),
        ("nwpu-crowd", lambda r: (r / "jsons").rename(r / "json"), "val", "has no folder jsons or mats"),
        (
            "trancos",
            lambda r: (r / "images" / "image-1-000004mask.mat").unlink(),
            "test",
            "its mask is missing; expected .*image-1-000004mask.mat",
        ),
        (
            "trancos",
            lambda r: (r / "image_sets" / "validation.txt").unlink(),
            "val",
            r"validation\.txt: no such file",
        ),
    ],
)
def test_broken_layouts(
    tmp_path: Path, name: str, spoil: Callable[[Path], object], split: str, message: str
) -> None:
    drawn.DRAW[name](tmp_path)
    spoil(tmp_path)
    with pytest.raises(CrowdpointError, match=message):
        datasets.load(name, tmp_path, split)


@pytest.mark.parametrize(
    ("name", "path", "spoil", "message"),
    [
        (
            "jhu-crowd++",
            "train/gt/0001.txt",
            lambda p: save_text(p, "1 2 3 4 1 0\n\n1 2 3 4\n"),
            r":3: expected x y w h occlusion blur, found 4 words",
        ),
        ("jhu-crowd++", "train/gt/0001.txt", lambda p: save_text(p, "1 nan 3 4 1 0\n"), ":1: .*finite"),
        ("jhu-crowd++", "train/gt/0001.txt", lambda p: save_text(p, "1 2 3 -4 1 0\n"), ":1: .*at least 0"),
        ("nwpu-crowd", "jsons/0001.json", lambda p: save_text(p, "{\n"), ":2: not JSON"),
        ("nwpu-crowd", "jsons/0001.json", lambda p: save_text(p, '{"points": []}'), "with points and boxes"),
        ("nwpu-crowd", "jsons/0001.json", lambda p: save_nwpu(p, HEADS, BOXES[:2]), r"boxes: .*\(2, 4\)"),
        (
            "nwpu-crowd",
            "jsons/0001.json",
            lambda p: save_nwpu(p, [[1, 2]], [[5, 5, 4, 9]]),
            "sizes: .*at least",
        ),
        (
            "nwpu-crowd",
            "jsons/0001.json",
            lambda p: save_nwpu(p, [[1.0, 2], [3.0, np.nan]], [[1, 1, 2, 2]] * 2),
            ": head 2: expected finite coordinates",
        ),
        (
            "trancos",
            "images/image-1-000001dots.png",
            lambda p: drawn.save_dots(p, HEADS, (61, 40)),
            "61 x 40",
        ),
        ("ucf-qnrf", "Train/img_0001_ann.mat", lambda p: save_mat(p, annPoints=[[1, 2, 3]]), "shape"),
    ],
)
def test_broken_annotations(
    tmp_path: Path, name: str, path: str, spoil: Callable[[Path], None], message: str
) -> None:
    drawn.DRAW[name](tmp_path)
    spoil(tmp_path / path)
    with pytest.raises(FormatError, match=message) as raised:
        datasets.load(name, tmp_path)[0].points()
    assert str(raised.value).startswith(str(tmp_path / path))


def test_a_mask_has_the_size_of_its_image(tmp_path: Path) -> None:
    drawn.trancos(tmp_path)
    save_mat(tmp_path / "images" / "image-1-000004mask.mat", BW=np.ones((40, 61)))
    (sample,) = datasets.load("trancos", tmp_path, "test")
    with pytest.raises(
        FormatError, match=r"mask\.mat: its mask has 61 x 40 pixels, but the image has 60 x 40"
    ):
        sample.region()
