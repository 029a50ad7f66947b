"""GAME against a loop over the cells, and its region of interest."""

import numpy as np
import pytest

from crowdpoint.metrics import GridError, filter_by_region, game
from crowdpoint.points import Points

SIZE = (97, 61)  # (width, height), not a multiple of any grid


def random_points(rng: np.random.Generator) -> Points:
    return Points(rng.uniform((0, 0), SIZE, (rng.integers(0, 40), 2)).astype(np.float32), image_size=SIZE)


@pytest.mark.parametrize("level", range(4))
def test_game_sums_the_error_of_every_cell(level: int) -> None:
    rng = np.random.default_rng(level)
    predictions, truth = random_points(rng), random_points(rng)
    side, (width, height) = 2**level, SIZE
    expected = 0
    for row in range(side):
        for column in range(side):
            counts = [
                sum(
                    column * width <= x * side < (column + 1) * width
                    and row * height <= y * side < (row + 1) * height
                    for x, y in points.xy.astype(float)
                )
                for points in (predictions, truth)
            ]
            expected += abs(counts[0] - counts[1])
    assert game(predictions, truth, level) == expected


@pytest.mark.parametrize("width", range(1, 400))
def test_a_point_on_a_border_counts_in_the_cell_to_its_right(width: int) -> None:
    """Width 98 and x = 49 is one of those where a rounded quotient fell into the cell to the left."""
    for side in (2, 4, 8):
        borders = np.arange(side) * width / side
        truth = Points(np.stack((borders, np.zeros(side)), axis=1), image_size=(width, 1))
        just_right = Points(truth.xy + np.array((width / 1000, 0)))
        assert game(just_right, truth, int(np.log2(side))) == 0


def test_points_outside_the_image_count_in_the_nearest_cell() -> None:
    truth = Points(np.array([(1.0, 1.0)]), image_size=SIZE)
    predictions = Points(np.array([(-5.0, -3.0), (200.0, 60.0)]))
    assert [game(predictions, truth, level) for level in (0, 3)] == [1, 1]


def test_a_region_keeps_the_points_on_its_pixels() -> None:
    region = np.zeros((20, 30), np.bool_)
    region[5:, :10] = True
    xy = [(0.0, 5.0), (9.9, 19.9), (10.0, 6.0), (3.0, 4.9), (-0.5, 6.0), (3.0, 20.0)]
    points = Points(np.array(xy), np.linspace(0, 1, 6, dtype=np.float32))
    assert filter_by_region(points, region) == points.select(np.array([0, 1]))


def test_levels_are_averaged_over_images() -> None:
    error = GridError((0, 1))
    left = Points(np.array([(1.0, 1.0)]), image_size=SIZE)
    error.update(Points(np.array([(90.0, 1.0)])), left)
    error.update(Points.empty(), left)
    assert error.compute() == {0: 0.5, 1: 1.5}


def test_bad_arguments_are_refused() -> None:
    point = Points(np.zeros((1, 2), np.float32))
    with pytest.raises(ValueError, match="needs image_size"):
        game(point, point, 1)
    with pytest.raises(ValueError, match="level"):
        game(point, point, -1)
    with pytest.raises(ValueError, match="at least one image"):
        GridError().compute()
