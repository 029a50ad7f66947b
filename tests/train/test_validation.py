"""Validation: the calibrated threshold against a plain search, and a report by the one evaluator."""

from collections.abc import Sequence
from pathlib import Path

import drawn_datasets
import numpy as np
import numpy.typing as npt
import pytest
import tiny_runs
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny_models import write_tiny, write_tiny_map
from tiny_runs import write_shanghaitech

from crowdpoint import datasets
from crowdpoint.evaluation import evaluate
from crowdpoint.methods.density.config import DensityConfig
from crowdpoint.metrics import Report
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.recipe import DataConfig
from crowdpoint.train.data import AnnotatedImages, Budget
from crowdpoint.train.validation import calibrate, validate

Scores = npt.NDArray[np.float32]

images_of_scores = st.lists(
    arrays(np.float32, st.integers(0, 12), elements=st.floats(0, 1, width=32)), min_size=1, max_size=4
)


@given(st.lists(images_of_scores, min_size=1, max_size=3), st.data())
def test_calibration_chooses_the_best_threshold(
    sets: Sequence[Sequence[Scores]], data: st.DataObject
) -> None:
    counts = [[data.draw(st.integers(0, 12)) for _ in images] for images in sets]

    def kept(threshold: float) -> list[list[int]]:
        return [
            [len(Points(np.zeros((len(s), 2), np.float32), s).threshold(threshold)) for s in images]
            for images in sets
        ]

    def error(threshold: float) -> float:
        return sum(
            sum(abs(k - c) for k, c in zip(found, true, strict=True)) / (sum(true) + len(true))
            for found, true in zip(kept(threshold), counts, strict=True)
        )

    grid = [step / 100 for step in range(5, 96)]
    found = calibrate(sets, counts)
    assert found in grid
    least = min(map(error, grid))
    assert error(found) == pytest.approx(least)
    assert all(abs(found - 0.5) <= abs(other - 0.5) for other in grid if kept(other) == kept(found))


def test_calibration_of_known_scores() -> None:
    scores = np.array([0.9, 0.8, 0.35, 0.3, 0.1], np.float32)
    assert calibrate([[scores]], [[2]]) == 0.5
    crowd = np.linspace(0.4, 0.8, 100, dtype=np.float32)
    false_head = np.array([0.6], np.float32)
    assert calibrate([[crowd], [false_head]], [[100], [0]]) > 0.6, "a dataset weighs like another"
    assert calibrate([[crowd, false_head]], [[100, 0]]) < 0.5, "in one dataset a head weighs like another"
    assert calibrate([[scores]], [[3]]) == 0.35
    assert calibrate([[scores, scores]], [[4, 4]]) == 0.3
    assert calibrate([[np.empty(0, np.float32)]], [[0]]) == 0.5


@pytest.fixture
def source(tmp_path: Path) -> AnnotatedImages:
    root = write_shanghaitech(tmp_path, images=3)
    return AnnotatedImages(
        datasets.load("shanghaitech-a", root), DataConfig(name="shanghaitech-a"), Budget(10**9)
    )


def labelled(source: AnnotatedImages, label: str) -> AnnotatedImages:
    config = DataConfig(name="folder", path=label)
    return AnnotatedImages(source.samples, config, Budget(10**9))


def test_reports_and_merit(source: AnnotatedImages, tmp_path: Path) -> None:
    """The tiny model scores each cell by its brightest pixel: squares shine, noise does not."""
    predictor = Predictor.load(write_tiny(tmp_path / "tiny.onnx"))
    fixed = validate(predictor, [source], 0.3)
    assert fixed.threshold == 0.3
    report = fixed.reports["shanghaitech-a"]
    assert report.images == 3
    assert report.localization.keys() == {"4", "8"}
    assert fixed.heads == {"shanghaitech-a": 24}
    error = report.mae * 3 / (24 + 3)
    assert fixed.errors == {"shanghaitech-a": pytest.approx(error)}
    assert fixed.merit == pytest.approx(report.localization["8"].f1 - error)
    calibrated = validate(predictor, [source], None)
    assert calibrated.errors["shanghaitech-a"] <= min(
        validate(predictor, [source], t).errors["shanghaitech-a"] for t in (0.1, 0.3, 0.5, 0.9)
    )
    twice = validate(predictor, [source, source], 0.3).reports["shanghaitech-a"]
    assert (twice.images, twice.mae) == (6, report.mae)


def test_datasets_have_equal_weight_and_f1_needs_heads(source: AnnotatedImages, tmp_path: Path) -> None:
    predictor = Predictor.load(write_tiny(tmp_path / "tiny.onnx"))
    empty = AnnotatedImages(source.samples[-1:], DataConfig(name="folder", path="x/empty"), Budget(0))
    found = validate(predictor, [source, labelled(source, "other"), empty], 0.2)
    assert list(found.reports) == ["shanghaitech-a", "other", "empty"]
    assert found.heads["empty"] == 0
    f1 = found.reports["other"].localization["8"].f1
    assert found.merit == pytest.approx(f1 - np.mean(list(found.errors.values())))


def test_density_regression_is_evaluated_by_its_count(source: AnnotatedImages, tmp_path: Path) -> None:
    model = write_tiny_map(tmp_path / "map.onnx", DensityConfig())
    for threshold in (None, 0.5):
        found = validate(Predictor.load(model), [source], threshold)
        assert found.reports["shanghaitech-a"].localization == {}
        assert found.errors["shanghaitech-a"]
        assert found.merit == -found.errors["shanghaitech-a"]
        assert (found.threshold, found.interval) == (0.5, None), "there is nothing to calibrate"


def test_merit_without_heads(tmp_path: Path) -> None:
    root = write_shanghaitech(tmp_path, images=1)
    source = AnnotatedImages(
        datasets.load("shanghaitech-a", root), DataConfig(name="shanghaitech-a"), Budget(0)
    )
    found = validate(Predictor.load(write_tiny(tmp_path / "tiny.onnx")), [source], 1.0)
    assert found.merit == 0


def test_shrunk_images_are_evaluated_in_their_own_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `evaluate --max-side`."""
    monkeypatch.setattr(tiny_runs, "SIZE", (240, 200))
    samples = datasets.load("shanghaitech-a", write_shanghaitech(tmp_path, images=3))
    path = write_tiny(tmp_path / "tiny.onnx")

    def judged(max_side: int | None) -> Report:
        source = AnnotatedImages(samples, DataConfig(name="shanghaitech-a", max_side=max_side), Budget(0))
        return validate(Predictor.load(path), [source], 0.3).reports["shanghaitech-a"]

    found, whole = judged(128), judged(None)
    expected = evaluate(Predictor.load(path, threshold=0.3, max_side=128), samples).report
    assert (found.localization, found.rows) == (expected.localization, expected.rows)
    assert found.rows != whole.rows


def test_points_outside_the_region_are_ignored(tmp_path: Path) -> None:
    """As in `evaluate`: TRANCOS's vehicles above row 30, of the annotation and of the prediction."""
    drawn_datasets.trancos(tmp_path)
    config = DataConfig(name="trancos")
    samples = datasets.load("trancos", tmp_path, "val")
    predictor = Predictor.load(write_tiny(tmp_path / "tiny.onnx"))
    found = validate(predictor, [AnnotatedImages(samples, config, Budget(0))], 0.0)
    assert found.heads == {"trancos": 2}, "the third is below"
    assert found.reports["trancos"].rows[0].predicted == 4 * 7, "the cells whose centres are above row 30"
