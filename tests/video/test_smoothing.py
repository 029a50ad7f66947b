import numpy as np
import pytest

from crowdpoint.video.smoothing import FEWEST, HeldMedian


def test_a_single_outlier_changes_nothing() -> None:
    smooth = HeldMedian(1.0)
    values = [10, 10, 10, 500, 10, 10]
    assert [smooth.add(index / 5, value) for index, value in enumerate(values)] == [10] * 6


@pytest.mark.parametrize("outlier", [0, 500])
@pytest.mark.parametrize("first", [0, 3])
def test_an_outlier_at_the_start_is_left_behind_within_two_frames(first: int, outlier: int) -> None:
    smooth = HeldMedian(1.0)
    values = [10] * 10
    values[first] = outlier
    assert [smooth.add(index / 10, value) for index, value in enumerate(values)][first + 2 :] == [10] * (
        8 - first
    )


def test_the_start_is_the_median_of_the_counts_so_far_and_ends_after_the_window() -> None:
    smooth = HeldMedian(1.0)
    values = [4, 8, 8, 6, 6, 6, 6, 7, 6, 6]
    assert [smooth.add(index / 4, value) for index, value in enumerate(values)] == [4, 4, 8, 6] + [6] * 6


def test_a_true_change_is_followed_after_the_window() -> None:
    smooth = HeldMedian(1.0)
    seen = [smooth.add(index / 8, 0 if index < 20 else 5) for index in range(40)]
    assert seen == [0] * 27 + [5] * 13


def test_a_trend_is_followed() -> None:
    """Somebody comes every two seconds."""
    smooth = HeldMedian(1.0)
    true = [index // 20 for index in range(400)]
    seen = [smooth.add(index / 8, count) for index, count in enumerate(true)]
    assert seen[7:] == true[:-7]


def test_flicker_is_held_near_its_median() -> None:
    rng = np.random.default_rng(0)
    smooth = HeldMedian(1.0)
    seen = [smooth.add(index / 8, int(rng.binomial(20, 0.5)) + 40) for index in range(300)]
    assert np.count_nonzero(np.diff(seen[8:])) <= 3
    assert abs(seen[-1] - 50) <= 2


def test_the_window_is_time_but_never_fewer_than_three_frames() -> None:
    smooth = HeldMedian(1.0)
    assert FEWEST == 3
    assert [smooth.add(second, count) for second, count in enumerate([1, 4, 4, 4, 9, 4])] == [
        1,
        1,
        4,
        4,
        4,
        4,
    ]


def test_no_window_no_smoothing() -> None:
    smooth = HeldMedian(0)
    assert [smooth.add(0, 3), smooth.add(0, 5), smooth.add(1, 7)] == [3, 5, 7]
    with pytest.raises(ValueError, match="window"):
        HeldMedian(-1)
