"""A density map is summed over squares; its result has a count, and no points."""

from collections.abc import Iterator

import numpy as np
import pytest

from crowdpoint.errors import ModelError
from crowdpoint.estimate import Estimate, apply_threshold, require_points
from crowdpoint.methods import METHODS, Piece
from crowdpoint.methods.density.config import DensityConfig
from crowdpoint.methods.density.decode import decode_density
from crowdpoint.metrics import Evaluator, filter_by_region, game
from crowdpoint.points import FloatArray, Points
from crowdpoint.tiles import split


def pieces(values: FloatArray, side: int) -> Iterator[Piece]:
    for tile in split(values.shape[::-1], side, margin=128):
        left, top, right, bottom = tile.window
        yield tile, {"map": values[None, None, top:bottom, left:right]}


def noise(height: int, width: int) -> FloatArray:
    return np.random.default_rng(2).uniform(0, 0.4, (height, width)).astype(np.float32)


def test_the_count_is_the_integral() -> None:
    density = np.zeros((50, 70), np.float32)
    density[:, :35] = 100 * 7.4 / (50 * 35)  # in heads per 100 pixels
    found = METHODS["density"].decode(DensityConfig(), pieces(density, 320), (70, 50), 0.9)
    assert isinstance(found, Estimate)
    assert (len(found), found.image_size) == (7, (70, 50))
    assert found.masses.sum() == pytest.approx(7.4, rel=1e-5)
    assert found.xy[found.masses > 0].max(axis=0).tolist() == [36, 49], "the last squares are cut"
    assert len(decode_density(pieces(-density, 320), (70, 50))) == 0


def test_tiles_equal_the_whole_image() -> None:
    density = noise(333, 701)
    tiled, one = (decode_density(pieces(density, side), (701, 333)) for side in (320, 704))
    np.testing.assert_array_equal(tiled.xy, one.xy)
    np.testing.assert_allclose(tiled.masses, one.masses)
    assert len(one) == round(float(density.sum(dtype=np.float64)) / 100)


def test_a_region_has_the_mass_that_lies_in_it() -> None:
    """Also of an image that was resized for the network."""
    density = noise(320, 704)
    region = np.zeros((320, 704), np.bool_)
    region[:, 256:512] = True
    found = decode_density(pieces(density, 320), (704, 320))
    wanted = density[region].sum() / 100
    assert filter_by_region(found, region).masses.sum() == pytest.approx(wanted, rel=1e-4)
    twice = found.scale(2, 2, (1408, 640))
    larger = region.repeat(2, axis=0).repeat(2, axis=1)
    assert filter_by_region(twice, larger).masses.sum() == pytest.approx(wanted, rel=1e-4)


def test_game_compares_the_mass_of_each_cell() -> None:
    density = np.zeros((64, 64), np.float32)
    density[:32, :32], density[32:, 32:] = 100 * 3 / 32**2, 100 * 1.5 / 32**2
    truth = Points(np.array([[5, 5], [6, 6], [50, 10]]), image_size=(64, 64))
    found = decode_density(pieces(density, 320), (64, 64))
    assert game(found, truth, 0) == pytest.approx(1.5, rel=1e-4)
    assert game(found, truth, 1) == pytest.approx(1 + 1 + 1.5, rel=1e-4)


def test_only_metrics_of_counting_apply() -> None:
    truth = Points(
        np.array([[5, 5], [50, 10]]), np.ones(2, np.float32), np.full((2, 2), 4, np.float32), (64, 64)
    )
    evaluator = Evaluator(boxes=True, grid=True, curves=True)
    estimate = Estimate(np.array([[5, 5]], np.float32), np.array([4.0]), (64, 64))
    row = evaluator.update(estimate, truth, estimate, groups={"scene_level": "S1"})
    report = evaluator.compute()
    assert (row.predicted, row.true, row.matched) == (4, 2, {})
    assert (report.mae, report.rmse, report.nae) == (2, 2, 1)
    assert report.game == {"0": 2, "1": 4, "2": 4, "3": 4}
    assert (report.localization, report.nap, report.recall_by_head_size, report.curves) == (
        {},
        None,
        {},
        None,
    )
    assert report.groups["scene_level"]["S1"].mae == 2


def test_an_estimate_has_no_points() -> None:
    estimate = Estimate(np.array([[5, 5]], np.float32), np.array([4.0]), (64, 64))
    assert apply_threshold(estimate, 0.9) is estimate
    with pytest.raises(ModelError, match=r"^tiny: its method counts and does not locate"):
        require_points(estimate, "tiny")
