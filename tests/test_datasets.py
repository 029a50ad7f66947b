"""datasets: the authors' layouts, drawn small, and the real ones where they are at hand."""

import pickle
import random
from pathlib import Path

import numpy as np
import pytest
from drawn_datasets import save_shanghaitech
from drawn_rasters import write_raster
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from crowdpoint import datasets
from crowdpoint.checking import DatasetChecker
from crowdpoint.datasets import Sample
from crowdpoint.errors import ConfigError, DatasetError, FormatError
from crowdpoint.opening import open_image
from crowdpoint.outputs import lock_folder
from crowdpoint.points import Points
from crowdpoint.recipe import DataConfig
from crowdpoint.train.data import AnnotatedImages, Budget

SIZE = (30, 20)


def draw_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE).save(path)


def names(samples: list[Sample]) -> list[str]:
    return [sample.name for sample in samples]


def unread(path: Path, image_size: tuple[int, int]) -> Points:
    raise AssertionError("annotations are read only when asked for")


def many(count: int) -> list[Sample]:
    return [Sample(f"IMG_{i}", Path(f"IMG_{i}.jpg"), Path(f"{i}.mat"), unread) for i in range(1, count + 1)]


@pytest.mark.parametrize("part", ["part_A", "part_A_final"])
@pytest.mark.parametrize("truth", ["ground-truth", "ground_truth"])
def test_shanghaitech_layouts(tmp_path: Path, part: str, truth: str) -> None:
    for split, numbers in (("train", (10, 2, 1)), ("test", (1,))):
        for n in numbers:
            folder = tmp_path / part / f"{split}_data"
            draw_image(folder / "images" / f"IMG_{n}.jpg")
            save_shanghaitech(folder / truth / f"GT_IMG_{n}.mat", [[n, 2.5]])
    (tmp_path / part / "train_data" / "images" / "._IMG_1.jpg").write_text("left by macOS")
    samples = datasets.load("shanghaitech-a", tmp_path)
    assert names(samples) == ["IMG_1", "IMG_2", "IMG_10"]
    assert samples[2].points() == Points(np.array([[10, 2.5]]), image_size=SIZE)
    assert names(datasets.load("shanghaitech-a", tmp_path, "test")) == ["IMG_1"]
    assert pickle.loads(pickle.dumps(samples)) == samples
    with pytest.raises(DatasetError, match=r"no folder part_B or part_B_final; expected part_B/train_data"):
        datasets.load("shanghaitech-b", tmp_path)


def test_shanghaitech_with_parts_missing(tmp_path: Path) -> None:
    data = tmp_path / "part_B" / "train_data"
    data.mkdir(parents=True)
    with pytest.raises(DatasetError, match="no folder ground-truth or ground_truth"):
        datasets.load("shanghaitech-b", tmp_path)
    (data / "ground_truth").mkdir()
    with pytest.raises(DatasetError, match="no folder images; expected part_B/train_data/images"):
        datasets.load("shanghaitech-b", tmp_path)
    (data / "images").mkdir()
    with pytest.raises(DatasetError, match=r"train_data.images: contains no images"):
        datasets.load("shanghaitech-b", tmp_path)
    draw_image(data / "images" / "IMG_1.jpg")
    with pytest.raises(
        DatasetError, match=r"IMG_1\.jpg: its annotation is missing; expected .*GT_IMG_1\.mat"
    ):
        datasets.load("shanghaitech-b", tmp_path)


def test_ucf_cc_50(tmp_path: Path) -> None:
    for n in (11, 2):
        draw_image(tmp_path / f"{n}.jpg")
        savemat(tmp_path / f"{n}_ann.mat", {"annPoints": np.array([[n, -1.0]])})
    for split in ("all", "train", "test"):
        samples = datasets.load("ucf-cc-50", tmp_path, split)
        assert names(samples) == ["2", "11"]
    assert samples[0].points() == Points(np.array([[2, -1]]), image_size=SIZE)


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"shanghaitech: unknown dataset; choose one of shanghaitech-a, sh"):
        datasets.load("shanghaitech", tmp_path)
    with pytest.raises(ConfigError, match="shanghaitech-a: unknown split val; choose one of train, test"):
        datasets.load("shanghaitech-a", tmp_path, "val")
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        datasets.load("ucf-cc-50", tmp_path / "nowhere")


def test_folder_with_a_file_for_each_image(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.PNG", "c.webp"):
        draw_image(tmp_path / name)
    (tmp_path / "a.txt").write_text("1 2\n")
    (tmp_path / "b.csv").write_text("image,x,y\nwhatever.png,3,4\n")
    (tmp_path / "c.txt").write_text("")
    (tmp_path / "list.txt").write_text("a.jpg a.txt\n")
    samples = datasets.load("folder", tmp_path)
    assert names(samples) == ["a", "b", "c"]
    assert [sample.points().xy.tolist() for sample in samples] == [[[1, 2]], [[3, 4]], []]
    assert all(sample.points().image_size == SIZE for sample in samples)


def test_folder_with_one_file_for_all(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png"):
        draw_image(tmp_path / name)
    truth = tmp_path / "truth.csv"
    truth.write_text("image,x,y,width,height\nsome/where/a.jpg,1,2,30,20\nb,,,,\nc.jpg,5,6,,\n")
    samples = datasets.load("folder", tmp_path, "all")
    assert [sample.points().xy.tolist() for sample in samples] == [[[1, 2]], []]
    truth.write_text("image,x,y\na.jpg,1,2\n")
    with pytest.raises(
        DatasetError, match=r"truth\.csv: no entry for b\.png, the most similar of its 1 images is a\.jpg;"
    ):
        datasets.load("folder", tmp_path)
    truth.write_text("image,x,y,width,height\na,1,2,30,20\nb,1,2,20,30\n")
    with pytest.raises(FormatError, match=r"truth\.csv: .*/b\.png: states an image size of \(20, 30\)"):
        datasets.load("folder", tmp_path)[1].points()
    truth.write_text("image,x,y\n1/a.jpg,1,2\n2/a.jpg,1,2\n")
    with pytest.raises(DatasetError, match=r"truth\.csv: 1/a\.jpg and 2/a\.jpg both match a\.jpg"):
        datasets.load("folder", tmp_path)


def test_folder_with_subfolders_and_one_file_for_all(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "sub/b.png", "sub/deep/c.jpg"):
        draw_image(tmp_path / name)
    truth = tmp_path / "points.csv"
    truth.write_text("image,x,y\na.png,1,2\nb.png,3,4\nsub/b.png,5,6\nsub\\deep\\c,7,8\n")
    samples = datasets.load("folder", tmp_path)
    assert names(samples) == ["a", "b", "sub/b", "sub/deep/c"]
    assert [sample.points().xy.tolist() for sample in samples] == [[[1, 2]], [[3, 4]], [[5, 6]], [[7, 8]]]
    draw_image(tmp_path / "sub" / "b1.png")
    truth.write_text(f"{truth.read_text()}x.png,,\n")
    with pytest.raises(DatasetError, match=r"points\.csv: no entry for sub/b1\.png, .* is x\.png"):
        datasets.load("folder", tmp_path)


def test_folder_with_subfolders_and_a_file_for_each_image(tmp_path: Path) -> None:
    for number, name in enumerate(("a", "train/b", "train/sub/b", "train/sub/c")):
        draw_image(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(f"{number} 2\n")
    samples = datasets.load("folder", tmp_path)
    assert names(samples) == ["b", "sub/b", "sub/c"]
    assert [sample.points().xy.tolist() for sample in samples] == [[[1, 2]], [[2, 2]], [[3, 2]]]
    (tmp_path / "train/sub/c.txt").unlink()
    with pytest.raises(DatasetError, match=r"c\.png: its annotation is missing; expected .*sub/c\.txt"):
        datasets.load("folder", tmp_path)


@pytest.mark.parametrize("truth", ["a.txt", "points.csv"])
def test_folder_names_the_subfolders_that_it_leaves_out(
    tmp_path: Path, truth: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.png", "overlay/a.png", "overlay/b.png"):
        draw_image(tmp_path / name)
    (tmp_path / truth).write_text("1 2\n" if truth == "a.txt" else "image,x,y\na.png,1,2\n")
    assert names(datasets.load("folder", tmp_path)) == ["a"]
    assert caplog.messages == [
        f"warning: {tmp_path}: leaves out 2 images in subfolders without annotations: overlay"
    ]


def test_folder_names_the_images_outside_of_its_splits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("train/a.png", "b.png", "more/c.png", ".thumbs/d.png", "train/.thumbs/a.png"):
        draw_image(tmp_path / name)
        (tmp_path / name).with_suffix(".txt").write_text("1 2\n")
    assert names(datasets.load("folder", tmp_path, "train")) == ["a"]
    assert caplog.messages == [f"warning: {tmp_path}: leaves out 2 images outside of train: ., more"]


def test_folder_splits(tmp_path: Path) -> None:
    for split in ("train", "val"):
        draw_image(tmp_path / split / f"{split}.jpg")
        (tmp_path / split / f"{split}.txt").write_text("1 2\n")
    assert names(datasets.load("folder", tmp_path)) == ["train"]
    assert names(datasets.load("folder", tmp_path, "val")) == ["val"]
    with pytest.raises(DatasetError, match="has no folder test"):
        datasets.load("folder", tmp_path, "test")
    draw_image(tmp_path / "val" / "deep" / "train.jpg")
    (tmp_path / "val" / "deep" / "train.txt").write_text("3 4\n")
    expected = ["train/train", "val/deep/train", "val/val"]
    assert names(datasets.load("folder", tmp_path, "all")) == expected


def test_images_of_several_splits_may_have_one_name(tmp_path: Path) -> None:
    for x, split in enumerate(("train", "valid", "test"), start=1):
        draw_image(tmp_path / "images" / split / "a.jpg")
        path = tmp_path / "labels" / split / "a.txt"
        path.parent.mkdir(parents=True)
        path.write_text(f"{x} 2\n")
    samples = datasets.load("folder", tmp_path, "all")
    assert names(samples) == ["test/a", "train/a", "valid/a"]
    assert [sample.points().xy.tolist() for sample in samples] == [[[3, 2]], [[1, 2]], [[2, 2]]]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images/{}", "labels/{}"),
        ("{}/images", "{}/labels"),
        ("images/{}/day", "labels/{}/day"),
    ],
)
@pytest.mark.parametrize("valid", ["val", "valid"])
def test_folder_in_the_layouts_of_yolo(tmp_path: Path, images: str, labels: str, valid: str) -> None:
    for split, folder in (("train", "train"), ("val", valid)):
        for name, text in (("crowd", "0 0.5 0.5 0.1 0.2\n"), ("empty", "")):
            draw_image(tmp_path / images.format(folder) / f"{split} {name}.JPG")
            path = tmp_path / labels.format(folder) / f"{split}_{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / labels.format(folder) / "classes.txt").write_text("head\n")
    for split in ("train", "val"):
        crowd, empty = datasets.load("folder", tmp_path, split)
        assert crowd.points() == Points(
            np.array([[15, 10]], np.float32), sizes=np.array([[3, 4]], np.float32), image_size=SIZE
        )
        assert empty.points() == Points.empty(SIZE)
    assert len(datasets.load("folder", tmp_path, "all")) == 4
    assert not DatasetChecker("folder", tmp_path).layout
    removed = tmp_path / labels.format("train") / "train_empty.txt"
    removed.unlink()
    with pytest.raises(DatasetError, match=f"expected {removed.with_name('train empty.txt')}"):
        datasets.load("folder", tmp_path)


def draw_yolo_folder(root: Path) -> None:
    draw_image(root / "images/a.jpg")
    (root / "labels").mkdir()
    (root / "labels/a.txt").write_text("0 0.5 0.5 0.1 0.2\n")


def test_folder_in_the_layout_of_yolo_without_splits(tmp_path: Path) -> None:
    draw_yolo_folder(tmp_path)
    (tmp_path / "classes.txt").write_text("head\n")
    (sample,) = datasets.load("folder", tmp_path)
    assert len(sample.points()) == 1
    (tmp_path / "images/a.txt").write_text("1 2\n3 4\n")  # a file beside the image is its own
    (sample,) = datasets.load("folder", tmp_path)
    assert len(sample.points()) == 2


def test_the_log_of_a_training_in_the_folder_has_no_points(tmp_path: Path) -> None:
    draw_image(tmp_path / "a.jpg")
    (tmp_path / "points.csv").write_text("image,x,y\na.jpg,1,2\n")
    (tmp_path / "log.csv").write_text("step,name,value\n")
    with pytest.raises(DatasetError, match=r"found 0 with its name and 2 \(log\.csv, points\.csv\) in the"):
        datasets.load("folder", tmp_path)
    with lock_folder(tmp_path):
        (sample,) = datasets.load("folder", tmp_path)
    assert len(sample.points()) == 1


def test_ambiguous_folder(tmp_path: Path) -> None:
    draw_image(tmp_path / "a.jpg")
    with pytest.raises(DatasetError, match=r"a\.jpg: .*found 0 with its name and 0 in the folder"):
        datasets.load("folder", tmp_path)
    for name in ("a.txt", "a.csv"):
        (tmp_path / name).write_text("")
    with pytest.raises(DatasetError, match=r"a\.jpg: .*found 2 \(a\.csv, a\.txt\) with its name and 2 \(a\."):
        datasets.load("folder", tmp_path)
    (tmp_path / "a.csv").unlink()
    draw_image(tmp_path / "a.png")
    with pytest.raises(DatasetError, match=r"a\.png: has the same name as .*a\.jpg"):
        datasets.load("folder", tmp_path)


def test_folder_with_a_file_missing(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        draw_image(tmp_path / f"{name}.jpg")
        (tmp_path / f"{name}.csv").write_text("image,x,y\na,1,2\n")
    (tmp_path / "b.csv").unlink()
    with pytest.raises(DatasetError, match=r"b\.jpg: its annotation is missing; expected .*b\.csv"):
        datasets.load("folder", tmp_path)


def test_folder_with_points_that_do_not_fit(tmp_path: Path) -> None:
    draw_image(tmp_path / "a.jpg")
    (tmp_path / "a.csv").write_text("image,x,y\na,1,2\nb,1,2\n")
    (sample,) = datasets.load("folder", tmp_path)
    with pytest.raises(FormatError, match=r"a\.csv: expected the points of one image, found 2 images"):
        sample.points()
    (tmp_path / "a.csv").write_text("image,x,y,width,height\na,1,2,20,30\n")
    with pytest.raises(
        FormatError, match=r"a\.csv: a: states an image size of \(20, 30\) pixels, but the image has"
    ):
        sample.points()


@pytest.mark.parametrize(
    ("count", "fraction", "expected"),
    [(300, 0.1, 30), (70, 0.1, 7), (182, 0.1, 19), (100, 0.07, 7), (2, 0.1, 1)],
)
def test_holdout_size(count: int, fraction: float, expected: int) -> None:
    train, validation = datasets.split_holdout(many(count), fraction)
    assert (len(train), len(validation)) == (count - expected, expected)


@given(st.integers(2, 60), st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
def test_holdout_does_not_depend_on_order(count: int, seed: int, shuffler: random.Random) -> None:
    samples = many(count)
    train, validation = datasets.split_holdout(samples, seed=seed)
    assert sorted(names(train + validation)) == sorted(names(samples))
    assert train == [sample for sample in samples if sample in train]
    shuffler.shuffle(samples)
    assert datasets.split_holdout(samples, seed=seed) == (train, validation)


def test_holdout_depends_on_the_seed() -> None:
    assert len({tuple(names(datasets.split_holdout(many(50), seed=seed)[1])) for seed in range(5)}) == 5


def test_the_same_images_are_held_out_in_every_release() -> None:
    """Else figures of different releases could not be compared, and a fine-tuning would train on them."""
    assert names(datasets.split_holdout(many(30))[1]) == ["IMG_3", "IMG_12", "IMG_27"]
    assert names(datasets.split_holdout(many(30), seed=1)[1]) == ["IMG_8", "IMG_17", "IMG_22"]
    folds = [names(test) for _, test in datasets.split_folds(many(10))]
    assert folds[:2] == [["IMG_5", "IMG_6"], ["IMG_7", "IMG_10"]]


def test_holdout_refuses() -> None:
    for fraction in (0, 1, -0.5, float("nan")):
        with pytest.raises(ValueError, match="fraction"):
            datasets.split_holdout(many(5), fraction)
    for count in (0, 1):
        with pytest.raises(DatasetError, match=f"of {count} images"):
            datasets.split_holdout(many(count))


@given(st.integers(2, 7), st.integers(7, 30), st.integers(0, 100))
def test_folds_test_every_sample_once(k: int, count: int, seed: int) -> None:
    samples = many(count)
    found = datasets.split_folds(samples, k, seed)
    assert len(found) == k
    assert sorted(name for _, test in found for name in names(test)) == sorted(names(samples))
    for train, test in found:
        assert sorted(names(train + test)) == sorted(names(samples))
        assert count // k <= len(test) <= -(-count // k)
    assert datasets.split_folds(samples[::-1], k, seed) == found


def test_folds_refuses() -> None:
    with pytest.raises(ValueError, match="k: expected at least 2"):
        datasets.split_folds(many(5), 1)
    with pytest.raises(DatasetError, match="cannot split 4 images into 5 folds"):
        datasets.split_folds(many(4))


@pytest.mark.parametrize(
    ("name", "folder", "split", "images", "heads", "outside"),
    [
        ("shanghaitech-a", "shanghaitech", "train", 300, 162_413, 0),
        ("shanghaitech-a", "shanghaitech", "test", 182, 78_862, 0),
        ("shanghaitech-b", "shanghaitech", "train", 400, 49_151, 0),
        ("shanghaitech-b", "shanghaitech", "test", 316, 39_121, 0),
        ("ucf-cc-50", "ucf_cc_50", "all", 50, 63_974, 5),
    ],
)
def test_published_counts(
    shared_data: Path, name: str, folder: str, split: str, images: int, heads: int, outside: int
) -> None:
    points = [sample.points() for sample in datasets.load(name, shared_data / folder, split)]
    assert len(points) == images
    assert sum(map(len, points)) == heads
    assert sum(len(entry) - len(entry.inside()) for entry in points) == outside


def test_the_only_label_file_that_is_named_like_its_photo_belongs_to_it_alone(tmp_path: Path) -> None:
    for name in ("a", "background"):
        Image.new("RGB", (64, 48)).save(tmp_path / f"{name}.png")
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (tmp_path / "classes.txt").write_text("head\n")
    samples = datasets.list_samples("folder", tmp_path, "train")
    assert [(sample.name, sample.annotation) for sample in samples] == [
        ("a", tmp_path / "a.txt"),
        ("background", tmp_path / "background.txt"),
    ]


def test_a_file_for_all_images_may_be_named_like_one_of_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw_image(tmp_path / f"{name}.png")
    (tmp_path / "a.csv").write_text("image,x,y\na.png,1,2\nb.png,3,4\nb.png,5,6\n")
    assert [len(sample.points()) for sample in datasets.load("folder", tmp_path)] == [1, 2]


def test_a_list_of_images_beside_the_folders_of_yolo_is_ignored(tmp_path: Path) -> None:
    draw_yolo_folder(tmp_path)
    (tmp_path / "train.txt").write_text("images/a.jpg\n")
    (sample,) = datasets.load("folder", tmp_path)
    assert len(sample.points()) == 1


def test_a_missing_yolo_label_is_not_replaced_by_a_file_for_all(tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw_image(tmp_path / "images" / f"{name}.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 .1 .1\n")
    (tmp_path / "points.csv").write_text("image,x,y\na.png,1,2\nb.png,3,4\n")  # predictions, perhaps
    with pytest.raises(DatasetError, match=r"b\.png: its annotation is missing; expected .*labels/b\.txt"):
        datasets.load("folder", tmp_path)


def test_images_of_a_dataset_are_read_as_predict_reads_them(tmp_path: Path) -> None:
    bands = np.random.default_rng(0).integers(0, 4096, (5, 20, 30)).astype(np.uint16)
    write_raster(tmp_path / "a.tif", bands)
    (tmp_path / "a.txt").write_text("1 2\n")
    (sample,) = datasets.load("folder", tmp_path)
    assert sample.points().image_size == (30, 20)
    config = DataConfig(name="folder", path=".")
    picture, _ = AnnotatedImages([sample], config, Budget(0))[0]
    with open_image(tmp_path / "a.tif") as opened:
        np.testing.assert_array_equal(picture, opened.thumbnail(30))
    checker = DatasetChecker("folder", tmp_path)
    assert [*checker.layout, *checker.check(sample)] == []
