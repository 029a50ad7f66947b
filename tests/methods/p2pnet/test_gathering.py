from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdpoint.methods.p2pnet.config import GatherConfig
from crowdpoint.methods.p2pnet.gathering import gather_scores
from crowdpoint.points import Points


def points(*rows: tuple[float, float, float]) -> Points:
    values = np.array(rows, np.float32).reshape(-1, 3)
    return Points(values[:, :2], values[:, 2], image_size=(40, 40))


def one_after_the_other(proposals: Points, settings: GatherConfig) -> npt.NDArray[np.float64]:
    """(x, y, score), as the docstring tells it, with a loop over the proposals."""
    proposals = proposals.select(np.argsort(-proposals.scores, kind="stable"))
    xy, left = proposals.xy.astype(np.float64), proposals.scores.astype(np.float64)
    able = proposals.scores >= settings.floor
    rows = []
    for one in range(len(xy)):
        if not able[one] or left[one] <= 1e-6:
            continue
        distances = np.linalg.norm(xy - xy[one], axis=1)
        order = [one, *(n for n in np.argsort(distances, kind="stable") if n != one)]
        room, taken = 1.0, np.zeros(len(xy))
        for other in order:
            if able[other] and distances[other] <= settings.radius:
                taken[other] = min(room, left[other])
                room -= taken[other]
        left -= taken
        rows.append((*(taken @ xy / taken.sum()), (taken[one] + taken.sum()) / 2))
    return np.array(rows, np.float64).reshape(-1, 3)


def test_two_proposals_with_half_a_score_become_one() -> None:
    found = gather_scores(points((10, 10, 0.6), (14, 10, 0.2), (30, 30, 0.4)), GatherConfig(radius=5))
    np.testing.assert_allclose(found.xy, [[11, 10], [30, 30]], atol=1e-5)
    assert found.scores.tolist() == pytest.approx([0.7, 0.4])
    assert found.image_size == (40, 40)


def test_a_proposal_gathers_at_most_a_sum_of_one() -> None:
    found = gather_scores(points((10, 10, 0.9), (14, 10, 0.8), (18, 10, 0.5)), GatherConfig(radius=4))
    assert found.scores.tolist() == pytest.approx([0.95, 0.85, 0.2])
    assert found.xy[:, 0].tolist() == pytest.approx([10.4, 0.7 * 14 + 0.3 * 18, 18])


def test_proposals_below_the_floor_do_not_change() -> None:
    settings = GatherConfig(radius=5, floor=0.5)
    proposals = points((10, 10, 0.4), (14, 10, 0.2), (12, 10, 0.3))
    assert gather_scores(proposals, settings) == proposals
    assert gather_scores(Points.empty((4, 3)), settings) == Points.empty((4, 3))


def test_proposals_below_the_floor_are_not_gathered() -> None:
    found = gather_scores(points((12, 10, 0.05), (10, 10, 0.6), (14, 10, 0.2)), GatherConfig(radius=5))
    assert found.scores.tolist() == pytest.approx([0.7, 0.05])
    assert found.xy[1].tolist() == [12, 10]


def test_what_remains_of_a_large_head_is_dropped() -> None:
    """Both proposals lie on one head of 20 pixels, or on two of 4."""
    both = points((10, 10, 0.9), (14, 10, 0.7))
    settings = GatherConfig(radius=5, separation=0.4)
    large, small = (replace(both, sizes=np.full((2, 2), side, np.float32)) for side in (20, 4))
    assert gather_scores(large, settings).scores.tolist() == pytest.approx([0.95])
    for kept in (small, both):  # without sizes, nothing is known
        assert gather_scores(kept, settings).scores.tolist() == pytest.approx([0.95, 0.6])
    assert len(gather_scores(large, GatherConfig(radius=5))) == 2


def test_a_dropped_proposal_drops_none() -> None:
    """In a row of heads, each is near the next one only; the side is that of the better one."""
    row = points((0, 0, 0.9), (6, 0, 0.8), (12, 0, 0.7), (18, 0, 0.6))
    settings = GatherConfig(radius=1, separation=0.5)
    found = gather_scores(replace(row, sizes=np.full((4, 2), 13, np.float32)), settings)
    assert found.xy[:, 0].tolist() == [0, 12]
    sizes = np.repeat([[2.0], [40.0], [2.0], [2.0]], 2, axis=1).astype(np.float32)
    assert gather_scores(replace(row, sizes=sizes), settings).xy[:, 0].tolist() == [0, 6]


def test_the_side_is_that_of_the_better_proposal_in_any_order() -> None:
    near = GatherConfig(radius=4, separation=0.5)
    three = points((10, 10, 0.6), (20, 10, 0.5), (23, 10, 0.4))
    sizes = np.repeat([[2.0], [30.0], [2.0]], 2, axis=1).astype(np.float32)
    found = gather_scores(replace(three, sizes=sizes), near)
    assert len(found) == 1, "the second proposal gathers the third, and its head has the first one on it"
    equal = points((10, 10, 0.5), (16, 10, 0.5))
    for order in ([0, 1], [1, 0]):
        heads = replace(equal, sizes=np.full((2, 2), 20, np.float32)).select(np.array(order))
        assert gather_scores(heads, near).xy.tolist() == [[10, 10]], "by position if scores are equal"


def test_points_stay_in_the_order_of_their_former_scores() -> None:
    heads = points((5, 5, 0.6), (30, 10, 0.5), (33, 10, 0.4), (12, 5, 0.3))
    heads = replace(heads, sizes=np.full((4, 2), 16, np.float32))
    found = gather_scores(heads, GatherConfig(radius=3, separation=0.5))
    assert found.scores.tolist() == pytest.approx([0.6, 0.7]), "the last one is dropped"


def test_a_score_equal_to_the_floor_takes_part() -> None:
    found = gather_scores(points((10, 10, 0.5), (14, 10, 0.25)), GatherConfig(radius=5, floor=0.25))
    assert found.scores.tolist() == pytest.approx([0.625])


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 60),
    radius=st.sampled_from([0.5, 3.0, 4.0, 9.0, 100.0]),
    grid=st.booleans(),
)
def test_rounds_equal_the_sequential_loop(seed: int, count: int, radius: float, grid: bool) -> None:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 40, (count, 2))
    xy = np.floor(xy / 4) * 4 + 2 if grid else xy  # many at one place, many equally far
    scores = rng.uniform(0, 1, count) ** rng.integers(1, 4)
    proposals = Points(xy.astype(np.float32), scores.astype(np.float32), image_size=(40, 40))
    settings = GatherConfig(radius=radius)
    found = gather_scores(proposals, settings)
    made = len(found) - int((proposals.scores < settings.floor).sum())
    expected = one_after_the_other(proposals, settings)
    assert len(expected) == made
    order, wanted = np.lexsort(found.xy[:made].T), np.lexsort(expected[:, :2].astype(np.float32).T)
    np.testing.assert_allclose(found.scores[:made][order], expected[wanted, 2], atol=1e-4)
    np.testing.assert_allclose(found.xy[:made][order], expected[wanted, :2], atol=1e-2)


def test_sizes_stay_with_their_heads() -> None:
    proposals = points((10, 10, 0.6), (14, 10, 0.2), (30, 30, 0.4), (20, 20, 0.05))
    sized = replace(proposals, sizes=np.array([[7, 7], [9, 9], [5, 5], [3, 3]], np.float32))
    found = gather_scores(sized, GatherConfig(radius=5))
    assert found.sizes is not None
    assert found.sizes[:, 0].tolist() == [7, 5, 3]
