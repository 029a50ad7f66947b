"""`crowdpoint.evaluate` against a plain loop, and what of it runs at the same time."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest import mock

import drawn_datasets
import numpy as np
import pytest
from pages import DOCS, blocks
from tiny_models import INFO, write_tiny, write_tiny_map
from tiny_runs import write_shanghaitech

import crowdpoint
from crowdpoint import datasets, evaluation
from crowdpoint.crossvalidation import CrossValidation
from crowdpoint.datasets import Sample
from crowdpoint.errors import ConfigError, DatasetError, ImageError
from crowdpoint.evaluation import Evaluation, have_boxes, predict
from crowdpoint.formats import trancos
from crowdpoint.metrics import Evaluator
from crowdpoint.opening import open_image
from crowdpoint.points import Points
from crowdpoint.predict import Predictor

SECONDS = 60
"""Longest wait of one thread for another."""


@pytest.fixture
def samples(tmp_path: Path) -> Sequence[Sample]:
    return datasets.load("shanghaitech-a", write_shanghaitech(tmp_path / "data", images=5))


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    return Predictor.load(write_tiny(tmp_path / "tiny.onnx"), threshold=0.4)


def test_it_equals_a_plain_loop(samples: Sequence[Sample], predictor: Predictor) -> None:
    found = crowdpoint.evaluate(predictor, samples, "shanghaitech-a", curves=True)
    images, expected = list(found), Evaluator(curves=True)
    assert [image.sample for image in images] == list(samples)
    for image, sample in zip(images, samples, strict=True):
        candidates = predictor.candidates(sample.image)
        row = expected.update(
            predictor.select(candidates), sample.points(), candidates, groups={}, name=sample.name
        )
        assert image.candidates == candidates
        assert image.points == predictor.select(candidates)
        assert image.truth == sample.points()
        assert image.score == row
    assert found.report == expected.compute(found.report.seconds, device="cpu", precision="fp32")
    assert found.report.localization["8"].f1 > 0.1, "the comparison would be of nothing"
    assert found.report.seconds


def test_the_report_has_the_seconds_from_the_first_image_asked_for_to_the_last(
    samples: Sequence[Sample], predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "perf_counter", iter((10.0, 12.5)).__next__)
    found = crowdpoint.evaluate(predictor, samples, "shanghaitech-a")
    assert found.report.seconds == found.report.seconds == 2.5


def test_images_are_read_as_they_are_asked_for(samples: Sequence[Sample], predictor: Predictor) -> None:
    with mock.patch("crowdpoint.evaluation.open_image", wraps=open_image) as opened:
        found = crowdpoint.evaluate(predictor, samples)
        assert opened.call_count == 0
        first = next(iter(found))
        assert first.sample == samples[0]
        assert opened.call_count < len(samples)
        assert found.report.images == len(samples), "the report completes the iteration"
        assert opened.call_count == len(samples)
        assert [call.args for call in opened.call_args_list] == [(sample.image,) for sample in samples]


def test_reading_the_network_and_matching_overlap(samples: Sequence[Sample], predictor: Predictor) -> None:
    """The network waits on the first image until the second is read, on the second until one is matched."""
    read, matched = threading.Event(), threading.Event()
    find, update, reading = predictor.find, Evaluator.update, evaluation._read
    waited: list[bool] = []

    def run(image: object, **options: object) -> object:
        if len(waited) < 2:
            waited.append((read, matched)[len(waited)].wait(SECONDS))
        return find(image, **options)  # type: ignore[arg-type]

    def match(self: Evaluator, *arguments: object, **more: object) -> object:
        matched.set()
        return update(self, *arguments, **more)  # type: ignore[arg-type]

    def read_one(pair: tuple[Sample, None]) -> object:
        if pair[0] == samples[1]:
            read.set()
        return reading(pair)

    with (
        mock.patch.object(predictor, "find", run),
        mock.patch.object(Evaluator, "update", match),
        mock.patch.object(evaluation, "_read", read_one),
    ):
        assert crowdpoint.evaluate(predictor, samples).report.images == len(samples)
    assert waited == [True, True]


def test_errors_are_raised_in_the_order_of_the_images(
    samples: Sequence[Sample], predictor: Predictor
) -> None:
    samples[2].image.write_bytes(samples[2].image.read_bytes()[:-2000])
    found = crowdpoint.evaluate(predictor, samples)
    images = iter(found)
    assert [next(images).sample for _ in range(2)] == list(samples[:2]), "those before the error"
    with pytest.raises(ImageError, match=samples[2].image.name):
        next(images)
    with pytest.raises(ValueError, match="an iteration that failed"):
        _ = found.report


def test_every_image_has_its_heads(samples: Sequence[Sample], predictor: Predictor) -> None:
    truths = [sample.points() for sample in samples]
    assert [image.truth for image in predict(predictor, samples, truths)] == truths
    with pytest.raises(ValueError, match="shorter"):
        list(predict(predictor, samples, truths[1:]))


def test_images_without_annotation_are_only_predicted(predictor: Predictor, tmp_path: Path) -> None:
    drawn_datasets.nwpu_crowd(tmp_path / "data")
    samples = datasets.load("nwpu-crowd", tmp_path / "data", "test")
    images = list(predict(predictor, samples))
    assert [image.truth for image in images] == [None, None]
    assert [image.candidates for image in images] == [predictor.candidates(each.image) for each in samples]
    with pytest.raises(DatasetError, match="annotation is not published"):
        crowdpoint.evaluate(predictor, samples)
    with pytest.raises(DatasetError, match="expected an annotation"):
        _ = Evaluation(images, 0.5, Evaluator()).report


def test_boxes_count_only_if_all_heads_have_them() -> None:
    plain, empty = Points(np.array([[1, 2]], np.float32)), Points.empty()
    boxed = replace(plain, sizes=np.array([[3, 3]], np.float32))
    assert have_boxes([boxed, empty])
    for truths in ([boxed, plain], [plain, boxed], [plain], [empty], []):
        assert not have_boxes(truths)


def test_a_region_is_read_once_and_bounds_both_sides(predictor: Predictor, tmp_path: Path) -> None:
    """Vehicles count above row 30."""
    drawn_datasets.trancos(tmp_path / "data")
    samples = datasets.load("trancos", tmp_path / "data", "trainval")
    with mock.patch.object(trancos, "read_mask", wraps=trancos.read_mask) as masks:
        images = list(crowdpoint.evaluate(predictor, samples, "trancos"))
    assert masks.call_count == len(samples)
    for image in images:
        assert len(image.truth) == 2, "the third is below"
        assert (image.candidates.xy[:, 1] < 30).all()
        assert len(image.candidates) == 4 * 7, "the cells whose centres are above"


def test_the_largest_values_of_maps(samples: Sequence[Sample], tmp_path: Path) -> None:
    config = crowdpoint.load("fidtm-lite").info.config
    predictor = Predictor.load(write_tiny_map(tmp_path / "map.onnx", config))
    for image in crowdpoint.evaluate(predictor, samples, map_maxima=True):
        seen = predictor.inspect(image.sample.image)
        assert seen.map is not None
        assert image.map_maximum == seen.map.max()
        assert image.candidates == seen.candidates
    assert next(iter(crowdpoint.evaluate(predictor, samples))).map_maximum is None


def test_a_misspelt_dataset_has_no_protocol(samples: Sequence[Sample], predictor: Predictor) -> None:
    """In place of another protocol without a word."""
    with pytest.raises(ConfigError, match=r"^ucf_qnrf: unknown dataset; choose one of .*ucf-qnrf"):
        crowdpoint.evaluate(predictor, samples, "ucf_qnrf")
    with pytest.raises(ConfigError, match=r"^ucf_qnrf: unknown dataset"):
        CrossValidation("ucf_qnrf", samples, folds=2)


def test_large_images_are_shrunk_as_in_training(samples: Sequence[Sample], tmp_path: Path) -> None:
    """By the file's own word for the dataset; a limit that the user sets comes first."""
    info = replace(INFO, max_sides={"ucf-qnrf": 60})
    path = write_tiny(tmp_path / "tiny.onnx", info.metadata())
    predictor = Predictor.load(path)
    assert predictor.info.max_sides == {"ucf-qnrf": 60}
    whole, small, smaller = (Predictor.load(path, max_side=side) for side in (None, 60, 30))

    def counts(predictor: Predictor, dataset: str) -> list[int]:
        return [len(image.candidates) for image in crowdpoint.evaluate(predictor, samples, dataset)]

    def expected(predictor: Predictor) -> list[int]:
        return [len(predictor.candidates(sample.image)) for sample in samples]

    assert counts(predictor, "ucf-qnrf") == expected(small) != expected(whole)
    assert counts(predictor, "shanghaitech-a") == expected(whole)
    assert counts(smaller, "ucf-qnrf") == expected(smaller) != expected(small)


def test_the_program_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn_datasets.folder(tmp_path / "my-crowds")
    (tmp_path / "my-crowds" / "val").rename(tmp_path / "my-crowds" / "test")
    monkeypatch.chdir(tmp_path)
    (program,) = blocks(DOCS / "metrics.md", "python")
    exec(program, {})
    image, figures = capsys.readouterr().out.splitlines()
    assert image.split()[::2] == ["c", f"{len(drawn_datasets.HEADS)}"]
    assert len(figures.split()) == 2
