"""Batches: a pure function of seed and step, drawn by weight, split over processes, cached while it fits."""

from collections import Counter
from pathlib import Path
from unittest import mock

import drawn_datasets as drawn
import numpy as np
import pytest
import tiny_runs
import torch
from PIL import Image
from tiny_runs import tiny_recipe, write_shanghaitech

from crowdpoint import datasets, images
from crowdpoint.config import load_recipe
from crowdpoint.errors import ConfigError, ImageError
from crowdpoint.recipe import DataConfig, Recipe, RunConfig
from crowdpoint.train.data import AnnotatedImages, Batch, Budget, CropBatches, load_batches, split

OVERRIDES = ("run.images=4", "run.steps=6", "augment.crops_per_image=2", "augment.color=0.3", "run.seed=3")
RECIPE = tiny_recipe(*OVERRIDES)
PAPER = RunConfig(steps=1, seed=7, protocol="paper")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_shanghaitech(root, images=4)
    return write_shanghaitech(root, images=3, part="B")


def source(
    root: Path, name: str = "shanghaitech-a", weight: float = 1, budget: int = 10**9
) -> AnnotatedImages:
    return AnnotatedImages(datasets.load(name, root), DataConfig(name=name, weight=weight), Budget(budget))


def batches(root: Path, recipe: Recipe = RECIPE, rank: int = 0, world_size: int = 1) -> CropBatches:
    return CropBatches([source(root)], recipe, rank, world_size)


def same(one: Batch, other: Batch) -> bool:
    tensors = torch.equal(one.images, other.images) and torch.equal(
        one.boxes.nan_to_num(-1), other.boxes.nan_to_num(-1)
    )
    return tensors and (one.counts, one.shown, one.names) == (other.counts, other.shown, other.names)


def test_a_batch_of_maps_has_the_heads_around_crops_and_knows_their_padding(root: Path) -> None:
    recipe = load_recipe(
        "fidtm-lite",
        (
            *("data=[{name: shanghaitech-a}]", "augment.crop=64", "augment.scale=[1, 1]"),
            *("run.images=2", "run.steps=2", "run.workers=0"),
        ),
    )
    first = CropBatches([source(root)], recipe)[0]
    heads = first.heads()
    assert first.shown == [[64, 64]] * len(heads)
    assert {own.image_size for own in heads} == {(64, 64)}
    assert sum(len(own) for own in heads) > sum(len(own.inside()) for own in heads)
    sizes = {(right - left, bottom - top) for left, top, right, bottom in first.image_borders()}
    assert sizes == {tiny_runs.SIZE}
    larger = recipe.model_copy(update={"augment": recipe.augment.model_copy(update={"crop": 160})})
    padded = CropBatches([source(root)], larger)[0]
    assert padded.images.shape[-2:] == (160, 160)
    assert {own.image_size for own in padded.heads()} == {tiny_runs.SIZE}


def test_shapes(root: Path) -> None:
    batch = batches(root)[0]
    assert len(batches(root)) == 6
    assert batch.images.shape == (8, 3, 64, 64)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert len(batch.counts) == len(batch.names) == 8
    heads = batch.heads()
    assert [len(points) for points in heads] == batch.counts
    assert np.array_equal(np.concatenate([own.xy for own in heads]), batch.boxes[:, :2].numpy())
    assert all(own.sizes is None and own.image_size == (64, 64) for own in heads)
    for name in batch.names:
        assert Path(name).is_file()
    assert batch.names[0] == batch.names[1], "two crops of one image"


def test_heads_lie_on_their_squares(root: Path) -> None:
    for step in range(3):
        batch = batches(root)[step]
        for image, heads in zip(batch.images, batch.heads(), strict=True):
            for x, y in np.floor(heads.xy).astype(int):
                if 4 < x < 60 and 4 < y < 60:
                    assert image[:, y, x].sum() > 350


def test_a_flip_keeps_heads_at_whole_numbers_in_their_pixels(tmp_path: Path) -> None:
    """A head at distance c from the corner belongs to pixel c, also where the crop is the mirrored image."""
    heads = [[c, 40.25] for c in range(64)]
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    drawn.save_text(tmp_path / "a.txt", "".join(f"{x} {y}\n" for x, y in heads))
    recipe = tiny_recipe("run.images=1", "augment.crops_per_image=1", "augment.scale=[1,1]", "augment.flip=1")
    folder = AnnotatedImages(datasets.load("folder", tmp_path), DataConfig(name="folder"), Budget(0))
    (found,) = CropBatches([folder], recipe)[0].heads()
    assert recipe.augment.crop == 64
    assert np.floor(found.xy[:, 0]).tolist() == [63 - c for c in range(64)]
    assert found.xy == pytest.approx(np.array([(64 - x, y) for x, y in heads]), abs=1 / 512)


def test_images_are_black_outside_of_their_region(tmp_path: Path) -> None:
    drawn.trancos(tmp_path)
    image, points = source(tmp_path, "trancos")[0]
    whole = images.read(tmp_path / "images" / "image-1-000001.jpg")
    assert np.array_equal(image[:30], whole[:30])
    assert not image[30:].any()
    assert whole[30:].any()
    assert points.xy.tolist() == [[x, y] for x, y in drawn.HEADS if y < 30]
    assert len(points) < len(drawn.HEADS)


def test_a_batch_is_a_function_of_seed_and_step(root: Path) -> None:
    one, other = batches(root), batches(root)
    wanted = [one[step] for step in range(6)]
    for step in (5, 2, 0, 2):
        assert same(other[step], wanted[step])
    assert not same(wanted[0], wanted[1])
    assert not same(wanted[0], batches(root, tiny_recipe("run.images=4", "run.seed=4"))[0])


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_split_the_batch_of_one(root: Path, processes: int) -> None:
    parts = [batches(root, rank=rank, world_size=processes)[2] for rank in range(processes)]
    whole = batches(root)[2]
    assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
    assert torch.equal(torch.cat([part.boxes[:, :2] for part in parts]), whole.boxes[:, :2])
    assert [name for part in parts for name in part.names] == whole.names
    assert {len(part.names) for part in parts} == {8 // processes}


@pytest.mark.parametrize("workers", [0, 1])
def test_loader_starts_at_any_step(root: Path, workers: int) -> None:
    plain = batches(root)
    ahead = load_batches(batches(root, tiny_recipe(*OVERRIDES, f"run.workers={workers}")), first=2)
    found = list(ahead)
    assert len(found) == 4
    assert all(same(batch, plain[step]) for step, batch in enumerate(found, start=2))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_one_line(tmp_path: Path, workers: int) -> None:
    """The error itself, not the text of a worker's traceback."""
    data = write_shanghaitech(tmp_path, images=1)
    (image,) = (data / "part_A" / "train_data" / "images").iterdir()
    image.write_bytes(image.read_bytes()[:2000])
    recipe = tiny_recipe(f"run.workers={workers}")
    ahead = load_batches(CropBatches([source(data)], recipe), first=0)
    with pytest.raises(ImageError, match=r"^[^\n]*IMG_1\.png: [^\n]+$"):
        next(ahead)


def test_weights_are_chances_of_datasets_and_images_are_drawn_evenly(root: Path) -> None:
    recipe = tiny_recipe("run.images=1", "run.steps=600")
    both = [source(root, weight=3), source(root, "shanghaitech-b", weight=1)]
    drawn = Counter(name for step in range(600) for name in CropBatches(both, recipe)[step].names)
    assert len(drawn) == 7
    share = sum(count for name, count in drawn.items() if "part_A" in name) / 600
    assert share == pytest.approx(0.75, abs=0.06)
    for part, images_ in (("part_A", 4), ("part_B", 3)):
        counts = [count for name, count in drawn.items() if part in name]
        assert min(counts) > 0.6 * sum(counts) / images_


def test_images_are_decoded_once_while_they_fit(root: Path) -> None:
    one_image = 120 * 100 * 3
    for budget, decoded in ((10**9, 4), (2 * one_image, 2 + 3 * 2), (0, 3 * 4)):
        annotated = source(root, budget=budget)
        with mock.patch.object(images, "read", wraps=images.read) as read:
            seen = [[annotated[index] for index in range(4)] for _ in range(3)]
        assert read.call_count == decoded
        for again in seen[1:]:
            for (image, points), (same_image, same_points) in zip(seen[0], again, strict=True):
                assert np.array_equal(image, same_image)
                assert points == same_points


def test_datasets_share_the_cache(root: Path) -> None:
    """Seven images, of which five fit: all four of the first, and one of the other."""
    budget = Budget(5 * 120 * 100 * 3)
    both = [
        AnnotatedImages(datasets.load(name, root), DataConfig(name=name), budget)
        for name in ("shanghaitech-a", "shanghaitech-b")
    ]
    with mock.patch.object(images, "read", wraps=images.read) as read:
        for _ in range(3):
            for annotated in both:
                for index in range(len(annotated.samples)):
                    annotated[index]
    assert read.call_count == 7 + 2 * 2


def test_max_side_limits_the_long_side(root: Path) -> None:
    capped = AnnotatedImages(
        datasets.load("shanghaitech-a", root), DataConfig(name="shanghaitech-a", max_side=128), Budget(0)
    )
    assert capped[0][0].shape == (100, 120, 3)
    capped = AnnotatedImages(
        datasets.load("shanghaitech-a", root),
        DataConfig.model_construct(name="small", max_side=60),
        Budget(0),
    )
    image, points = capped[0]
    assert image.shape == (50, 60, 3)
    assert points.image_size == (60, 50)


def named(samples: list[datasets.Sample]) -> list[str]:
    return [sample.name for sample in samples]


@pytest.mark.parametrize(
    ("name", "training", "validation"),
    [
        ("nwpu-crowd", ["0001", "0002"], ["0004", "0005"]),
        ("jhu-crowd++", ["0001", "0002"], ["0004", "0005"]),
        ("trancos", ["image-1-000001", "image-1-000002"], ["image-1-000003"]),
        ("folder", ["a", "b"], ["c"]),
    ],
)
def test_a_split_for_validation_is_used(
    tmp_path: Path, name: str, training: list[str], validation: list[str]
) -> None:
    drawn.DRAW[name](tmp_path)
    found = split(DataConfig(name=name), tmp_path, RunConfig(steps=1))
    assert tuple(map(named, found)) == (training, validation)


@pytest.mark.parametrize("name", ["shanghaitech-a", "ucf-cc-50", "ucf-qnrf", "folder"])
def test_a_fraction_is_held_out_without_a_validation_split(tmp_path: Path, name: str) -> None:
    drawn.DRAW[name](tmp_path)
    root = tmp_path / "train" if name == "folder" else tmp_path
    if name == "ucf-cc-50":
        (root / "val").mkdir()  # no split of this dataset
    everything = datasets.load(name, root)
    for part in (0.1, 0.5):
        run = RunConfig(steps=1, seed=3, held_out=part)
        assert split(DataConfig(name=name), root, run) == datasets.split_holdout(everything, part, seed=3)


def test_a_dataset_may_have_its_own_folder(tmp_path: Path) -> None:
    drawn.ucf_qnrf(tmp_path / "qnrf")
    drawn.folder(tmp_path / "own")
    for name, path in (("ucf-qnrf", "qnrf"), ("folder", "own")):
        wanted = split(DataConfig(name=name), tmp_path / path, RunConfig(steps=1, seed=3))
        assert split(DataConfig(name=name, path=path), tmp_path, RunConfig(steps=1, seed=3)) == wanted


def test_a_fold_is_left_out_of_training_and_validation(tmp_path: Path) -> None:
    drawn.ucf_cc_50(tmp_path)
    folds = datasets.split_folds(datasets.load("ucf-cc-50", tmp_path), 4, seed=7)
    for number, (rest, fold) in enumerate(folds, start=1):
        parts = split(
            DataConfig(name="ucf-cc-50", fold=number, folds=4), tmp_path, RunConfig(steps=1, seed=7)
        )
        assert sorted(named(parts[0] + parts[1])) == named(rest)
        assert not {*named(fold)} & {*named(parts[0] + parts[1])}


def test_the_papers_protocol_trains_on_all_images(tmp_path: Path) -> None:
    """The test split judges, or `val` where there is one."""
    drawn.ucf_qnrf(tmp_path / "ucf-qnrf")
    drawn.nwpu_crowd(tmp_path / "nwpu-crowd")
    for name, judging in (("ucf-qnrf", "test"), ("nwpu-crowd", "val")):
        found = split(DataConfig(name=name, path=name), tmp_path, PAPER)
        assert found == tuple(datasets.load(name, tmp_path / name, part) for part in ("train", judging))


def test_the_papers_protocol_validates_on_the_fold(tmp_path: Path) -> None:
    drawn.ucf_cc_50(tmp_path)
    rest, fold = datasets.split_folds(datasets.load("ucf-cc-50", tmp_path), 4, PAPER.seed)[1]
    assert split(DataConfig(name="ucf-cc-50", fold=2, folds=4), tmp_path, PAPER) == (rest, fold)
    with pytest.raises(ConfigError, match=r"^run\.protocol: ucf-cc-50 has no validation images"):
        split(DataConfig(name="ucf-cc-50"), tmp_path, PAPER)


def test_passes_take_each_image_once_an_epoch(tmp_path: Path) -> None:
    """In another order each time; the processes together and a run from any step on see the same."""
    data = write_shanghaitech(tmp_path, images=10)
    recipe = tiny_recipe("run.sampling=passes", "run.images=4", "run.steps=5", "augment.crop=32")
    kept = datasets.load("shanghaitech-a", data)
    source = AnnotatedImages(kept, recipe.data[0], Budget(10**8))

    def names(world: int) -> list[str]:
        parts = [CropBatches([source], recipe, rank, world) for rank in range(world)]
        steps = [[name for part in parts for name in part[step].names] for step in reversed(range(5))]
        return [name for names in reversed(steps) for name in names]

    alone = names(1)
    assert sorted(alone[:10]) == sorted(alone[10:]) == sorted({str(sample.image) for sample in kept})
    assert alone[:10] != alone[10:]
    assert names(2) == alone
