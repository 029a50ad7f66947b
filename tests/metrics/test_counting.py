"""Counting errors against the formulas written out, and the groups of NWPU-Crowd."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdpoint.metrics import Counting, GroupErrors, group_errors, mae, nae, rmse, scene_level

COUNTS = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), min_size=1, max_size=20)


@given(COUNTS)
def test_errors_follow_their_formulas(counts: list[tuple[int, int]]) -> None:
    predicted, true = [p for p, _ in counts], [t for _, t in counts]
    assert mae(predicted, true) == pytest.approx(sum(abs(p - t) for p, t in counts) / len(counts))
    assert rmse(predicted, true) == pytest.approx(
        math.sqrt(sum((p - t) ** 2 for p, t in counts) / len(counts))
    )
    relative = [abs(p - t) / t for p, t in counts if t]
    assert nae(predicted, true) == (pytest.approx(sum(relative) / len(relative)) if relative else None)
    counting = Counting()
    for pair in counts:
        counting.update(*pair)
    errors = counting.compute()
    assert (errors.mae, errors.rmse, errors.nae) == (
        mae(predicted, true),
        rmse(predicted, true),
        nae(predicted, true),
    )


def test_images_without_heads_do_not_enter_nae() -> None:
    assert nae([7, 15], [0, 10]) == pytest.approx(0.5)
    assert nae([7], [0]) is None


@pytest.mark.parametrize(
    ("true", "level"),
    [(0, "S0"), (1, "S1"), (100, "S1"), (101, "S2"), (500, "S2"), (501, "S3"), (5000, "S3"), (5001, "S4")],
)
def test_scene_levels_are_closed_above(true: int, level: str) -> None:
    assert scene_level(true) == level


def test_the_average_over_groups_weighs_groups_alike() -> None:
    counting = Counting()
    counts = ((2, 0), (4, 0), (90, 100), (6000, 7000))
    for predicted, true in counts:
        counting.update(predicted, true)
    found = counting.compute_groups([scene_level(true) for _, true in counts])
    average = found.pop("average")
    assert found == {
        "S0": GroupErrors(images=2, mae=3, rmse=math.sqrt(10)),
        "S1": GroupErrors(images=1, mae=10, rmse=10),
        "S4": GroupErrors(images=1, mae=1000, rmse=1000),
    }
    assert average.images == 4
    assert average.mae == pytest.approx(1013 / 3)
    assert average.rmse == pytest.approx((math.sqrt(10) + 1010) / 3)


def test_an_image_in_no_group_is_left_out() -> None:
    found = group_errors([1, 9, 5], [0, 0, 0], ["L1", None, "L0"])
    assert {name: (errors.images, errors.mae) for name, errors in found.items()} == {
        "L0": (1, 5),
        "L1": (1, 1),
        "average": (2, 3),
    }
    assert group_errors([1], [1], [None]) == {}


def test_bad_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        mae([], [])
    with pytest.raises(ValueError, match="equal length"):
        rmse([1, 2], [1])
    with pytest.raises(ValueError, match="one per image"):
        group_errors([1], [1], ["S0", "S1"])
