"""Intervals of the count: coverage on photos that calibration never saw, datasets alike."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from drawn_rasters import bands, write_raster
from tiny_models import INFO, info, write_tiny, write_tiny_map

from crowdpoint.errors import ConfigError
from crowdpoint.methods.fidtm.config import FIDTMConfig, LMDSConfig
from crowdpoint.methods.p2pnet.config import P2PNetConfig
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.predict.interval import (
    FEWEST,
    calibrate_interval,
    count_interval,
    estimate_coverage,
    uncertainty,
)
from crowdpoint.recipe import IntervalConfig

Scores = npt.NDArray[np.float32]


def photos(count: int, heads: int, bias: float, seed: int) -> tuple[list[Scores], list[int]]:
    """Scores that tell how sure a detector is, and true counts drawn by them."""
    rng = np.random.default_rng(seed)
    scores, true = [], []
    for _ in range(count):
        found = rng.beta(4, rng.uniform(0.5, 4), rng.poisson(heads)).astype(np.float32)
        scores.append(found)
        true.append(rng.binomial(1, found).sum() + rng.poisson(bias * heads + 0.05))
    return scores, true


def held(scores: list[Scores], true: list[int], config: IntervalConfig) -> float:
    hits = []
    for found, count in zip(scores, true, strict=True):
        own = found[found >= 0.5]
        low, high = count_interval(own, config)
        hits.append(low <= count <= high)
    return float(np.mean(hits))


def test_nine_of_ten_unseen_counts_are_in_the_interval() -> None:
    parts = [photos(150, 5, 0.1, 1), photos(40, 300, 0.3, 2), photos(80, 0, 0, 3)]
    config = calibrate_interval([scores for scores, _ in parts], [true for _, true in parts], 0.5)
    assert config
    unseen = [photos(400, 5, 0.1, 4), photos(400, 300, 0.3, 5), photos(400, 0, 0, 6)]
    coverage = [held(scores, true, config) for scores, true in unseen]
    assert 0.88 <= np.mean(coverage) <= 0.99


def test_factors_are_the_quantiles_of_the_errors() -> None:
    ones = [np.ones(10, np.float32)] * 39
    true = [10] * 19 + [7] * 1 + [10] * 18 + [14] * 1
    config = calibrate_interval([ones], [true], 0.5)
    assert config == IntervalConfig(below=0, above=0), "one of 39 on each side is not a twentieth"
    config = calibrate_interval([ones], [[10] * 33 + [7] * 3 + [14] * 3], 0.5)
    assert config == IntervalConfig(below=3, above=4)
    config = calibrate_interval([ones], [[10] * 37 + [7] * 2], 0.5)
    assert config == IntervalConfig(below=3, above=0), (
        "two of 39 and the next photo are more than a twentieth"
    )


def test_a_score_that_equals_the_threshold_is_selected() -> None:
    """A float32 of 0.7 is a little less than a float64."""
    scores = [np.array([0.7] * 10, np.float32)] * 40
    assert calibrate_interval([scores], [[10] * 40], 0.7) == IntervalConfig(below=0, above=0)
    assert estimate_coverage([scores], [[10] * 40], 0.7) == [1]


def test_few_photos_give_no_interval() -> None:
    """Of fewer photos than these, not even the largest error bounds the next one's in nine of ten."""
    ones = [np.ones(10, np.float32)] * FEWEST
    assert FEWEST == 19
    assert calibrate_interval([ones], [[7] * FEWEST], 0.5) == IntervalConfig(below=3, above=0)
    assert calibrate_interval([ones[:9], ones[9:-1]], [[7] * 9, [7] * 9], 0.5) is None


def test_coverage_is_estimated_on_other_images() -> None:
    ones = [np.ones(10, np.float32)] * 200
    assert estimate_coverage([ones], [[10] * 200], 0.5) == [1]
    assert estimate_coverage([ones], [[10, 13] * 100], 0.5) == [0.5], "each half misses the other's heads"


def test_bounds_are_whole_and_not_negative() -> None:
    scores = np.array([0.5, 0.75], np.float32)
    assert uncertainty(scores) == 1.75
    assert count_interval(scores, IntervalConfig(below=0.2, above=0.2)) == (1, 3)
    assert count_interval(scores, IntervalConfig(below=0, above=0)) == (2, 2)
    assert count_interval(scores, IntervalConfig(below=9, above=0)) == (0, 2)
    assert count_interval(scores[:0], IntervalConfig(below=1, above=1.5)) == (0, 2)


def test_a_predictor_has_the_models_interval_at_its_own_threshold(tmp_path: Path) -> None:
    folder = tmp_path
    points = Points(np.zeros((3, 2), np.float32))
    plain = Predictor.load(write_tiny(folder / "plain.onnx"))
    assert plain.interval(points) is None
    sure = P2PNetConfig(interval=IntervalConfig(below=1, above=2.5))
    path = write_tiny(folder / "sure.onnx", info(sure).metadata())
    assert Predictor.load(path).interval(points) == (2, 6)
    assert Predictor.load(path, threshold=INFO.threshold).interval(points) == (2, 6)
    assert Predictor.load(path, threshold=0.9).interval(points) is None
    assert Predictor.load(path, overrides=["radius=0"]).interval(points) == (2, 6), "as it was"
    assert Predictor.load(path, overrides=["radius=3"]).interval(points) is None
    with pytest.raises(
        ConfigError, match="overrides: expected a list of key=value, found the text 'radius=0'"
    ):
        Predictor.load(path, overrides="radius=0")
    assert Predictor.load(path, scale=1.0).interval(points) == (2, 6), "as auto, without sizes"
    assert Predictor.load(path, scale=2.0).interval(points) is None
    assert Predictor.load(path, max_side=500).interval(points) is None
    path = write_tiny(folder / "limited.onnx", replace(info(sure), max_sides={"crowds": 500}).metadata())
    assert Predictor.load(path, max_side=500).interval(points) == (2, 6), "as it was calibrated"


def test_the_interval_of_a_working_scale_that_follows_the_heads_is_of_no_other_scale(tmp_path: Path) -> None:
    lmds = LMDSConfig(adaptive=False)
    config = FIDTMConfig(
        regressor="lite", predict_sizes=True, lmds=lmds, interval=IntervalConfig(below=1, above=2.5)
    )
    path = write_tiny_map(tmp_path / "sizes.onnx", config)
    points = Points(np.zeros((3, 2), np.float32))
    assert Predictor.load(path).interval(points) == (2, 6)
    for forced in (Predictor.load(path, scale=1.0), Predictor.load(path).rescale(0.5)):
        assert forced.interval(points) is None
        assert forced.rescale("auto").interval(points) == (2, 6)
    photo = np.zeros((64, 96, 3), np.uint8)
    write_raster(tmp_path / "map.tif", bands(photo))
    model = Predictor.load(path)
    assert model.interval(*model.search(photo)) is not None
    assert model.interval(*model.search(tmp_path / "map.tif")) is None, "it is read at a scale of 1"


@pytest.mark.parametrize("values", [{"below": -1, "above": 0}, {"below": 0}])
def test_bad_intervals(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"above|below"):
        IntervalConfig(**values)
