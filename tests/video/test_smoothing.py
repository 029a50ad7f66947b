import pytest

from crowdpoint.video.smoothing import TrailingMedian


def test_a_frame_that_is_off_changes_nothing() -> None:
    smooth = TrailingMedian(1.0)
    values = [10, 10, 10, 500, 10, 10]
    assert [smooth.add(index / 5, value) for index, value in enumerate(values)] == [10] * 6


def test_a_true_change_is_followed_after_half_the_window() -> None:
    smooth = TrailingMedian(1.0)
    seen = [smooth.add(index / 10, 0 if index < 20 else 8) for index in range(40)]
    assert (seen[24], seen[25]) == (4, 8) or (seen[23], seen[24], seen[25]) == (0, 4, 8)


def test_the_window_is_time_and_not_frames() -> None:
    smooth = TrailingMedian(2.0)
    assert [smooth.add(t, v) for t, v in ((0, 1), (0.1, 1), (0.2, 1), (2.2, 9), (9, 4))] == [1, 1, 1, 9, 4]


def test_no_window_no_smoothing() -> None:
    smooth = TrailingMedian(0)
    assert [smooth.add(0, 3), smooth.add(0, 5), smooth.add(1, 7)] == [3, 5, 7]
    with pytest.raises(ValueError, match="window"):
        TrailingMedian(-1)
