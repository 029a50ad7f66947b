"""nAP against the paper's procedure written out as loops."""

import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdpoint.metrics import (
    DELTAS,
    NormalizedAveragePrecision,
    average_precision,
    find_true_positives,
)
from crowdpoint.metrics.nap import Interpolation
from crowdpoint.neighbors import neighbor_distances
from crowdpoint.points import Points

F32 = np.float32
COORDINATES = st.tuples(st.integers(0, 9), st.integers(0, 9))
HEADS = st.lists(COORDINATES, max_size=8).map(lambda xy: Points(np.array(xy, np.float32)))
SCORES = st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0])
SCORED = st.lists(st.tuples(COORDINATES, SCORES), max_size=12).map(
    lambda found: Points(np.array([xy for xy, _ in found], F32), np.array([s for _, s in found], F32))
)


def distance(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    return float(np.sqrt(((a.astype(np.float64) - b) ** 2).sum()))


def neighbor_distance_by_loops(truth: Points, index: int, k: int) -> float:
    others = sorted(distance(truth.xy[index], xy) for i, xy in enumerate(truth.xy) if i != index)[:k]
    return sum(others) / len(others) if others else float("inf")


def claims_by_loops(predictions: Points, truth: Points, delta: float, k: int) -> list[bool]:
    """One prediction after the other, as P2PNet, Sec. 3.2 says it."""
    reach = [neighbor_distance_by_loops(truth, i, k) for i in range(len(truth))]
    free, won = set(range(len(truth))), [False] * len(predictions)
    for j in sorted(range(len(predictions)), key=lambda j: -predictions.scores[j]):
        near = [(distance(predictions.xy[j], truth.xy[i]), i) for i in free if reach[i] > 0]
        near = [(d, i) for d, i in near if d / reach[i] < delta]
        if near:
            free.remove(min(near)[1])
            won[j] = True
    return won


def curve_by_loops(scores: list[float], hits: list[bool], heads: int) -> list[tuple[float, float]]:
    """(recall, precision) at every distinct score, from the highest down."""
    curve = []
    for threshold in sorted(set(scores), reverse=True):
        taken = [hit for score, hit in zip(scores, hits, strict=True) if score >= threshold]
        curve.append((sum(taken) / heads, sum(taken) / len(taken)))
    return curve


@given(predictions=SCORED, truth=HEADS, k=st.integers(1, 4))
def test_the_highest_score_claims_first(predictions: Points, truth: Points, k: int) -> None:
    deltas = (0.05, 0.3, 0.5, 1.0, 2.0)  # beyond the paper's, so that heads are fought over
    found = find_true_positives(predictions, truth, deltas, k)
    assert found.shape == (len(deltas), len(predictions))
    for row, delta in zip(found, deltas, strict=True):
        assert row.tolist() == claims_by_loops(predictions, truth, delta, k)


def test_claims_in_a_crowd_equal_the_loops() -> None:
    rng = np.random.default_rng(3)
    truth = Points(rng.uniform(0, 60, (80, 2)).astype(F32))
    predictions = Points(rng.uniform(0, 60, (200, 2)).astype(F32), rng.uniform(0, 1, 200).astype(F32))
    for delta in (0.5, 1.5):
        expected = claims_by_loops(predictions, truth, delta, 3)
        assert find_true_positives(predictions, truth, (delta,))[0].tolist() == expected
        assert sum(expected) > 20


@given(truth=HEADS, k=st.integers(1, 9))
def test_neighbor_distances_with_few_heads(truth: Points, k: int) -> None:
    expected = [neighbor_distance_by_loops(truth, i, k) for i in range(len(truth))]
    assert neighbor_distances(truth.xy, k).tolist() == pytest.approx(expected)


def test_many_heads_in_one_place_are_fast() -> None:
    truth = np.zeros((300_001, 2), np.float32)
    truth[-1] = (3, 4)
    distances = neighbor_distances(truth)
    assert not distances[:-1].any()
    assert distances[-1] == 5


def test_k_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="k: expected at least 1"):
        neighbor_distances(np.zeros((2, 2)), 0)


def test_the_reach_is_exclusive() -> None:
    truth = Points(np.array([(0.0, 0), (8.0, 0)]))
    predictions = Points(np.array([(4.0, 0), (0.0, 3.99)]), np.array([0.9, 0.8]))
    assert find_true_positives(predictions, truth, (0.5,)).tolist() == [[False, True]]


def test_float32_does_not_decide_on_the_reach() -> None:
    """Half of the distance between two heads, wherever they are: 0.1 and 5.1 are not less than 5 apart."""
    for shift in (0, 0.1, 0.7):
        heads = Points(np.array([[shift, 0], [10 + shift, 0]], np.float32))
        between = Points(np.array([[5 + shift, 0]], np.float32))
        assert find_true_positives(between, heads, [0.5]).tolist() == [[False]], shift


def test_a_single_head_goes_to_the_highest_score_anywhere() -> None:
    truth = Points(np.array([(5.0, 5.0)]))
    predictions = Points(np.array([(5.0, 5.0), (500.0, 5.0)]), np.array([0.8, 0.9]))
    assert find_true_positives(predictions, truth, (0.05, 0.5)).tolist() == [[False, True]] * 2


@pytest.mark.parametrize(
    ("interpolation", "expected"),
    [
        # Ten heads; hits at ranks 1, 3 and 4 of 5: precision 1, 1/2, 2/3, 3/4, 3/5; its envelope 1, 3/4, 3/4.
        ("raw", 0.1 * (1 + 2 / 3 + 3 / 4)),
        ("every-point", 0.1 * (1 + 3 / 4 + 3 / 4)),
        ("11-point", (2 * 1 + 2 * 3 / 4) / 11),
        ("101-point", (11 * 1 + 20 * 3 / 4) / 101),
    ],
)
def test_interpolations_of_a_known_curve(interpolation: Interpolation, expected: float) -> None:
    scores = np.array([0.5, 0.9, 0.6, 0.7, 0.8], np.float32)
    hits = np.array([False, True, True, True, False])
    assert average_precision(scores, hits, 10, interpolation) == pytest.approx(expected, abs=1e-12)


@given(found=st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=12), missed=st.integers(0, 3))
def test_average_precision_is_the_area_of_the_curve(found: list[tuple[float, bool]], missed: int) -> None:
    scores, hits = [s for s, _ in found], [h for _, h in found]
    heads = max(1, sum(hits) + missed)
    curve = curve_by_loops(scores, hits, heads)
    steps = [recall - before for (recall, _), (before, _) in zip(curve, [(0.0, 0.0), *curve], strict=False)]
    envelope = [max((p for r, p in curve if r >= recall), default=0) for recall, _ in curve]
    arguments = np.array(scores, np.float32), np.array(hits), heads
    raw = sum(step * precision for step, (_, precision) in zip(steps, curve, strict=True))
    assert average_precision(*arguments, "raw") == pytest.approx(raw)
    area = sum(step * precision for step, precision in zip(steps, envelope, strict=True))
    assert average_precision(*arguments) == pytest.approx(area)
    coarse: tuple[tuple[Interpolation, int], ...] = (("11-point", 10), ("101-point", 100))
    for name, levels in coarse:
        best = [max((p for r, p in curve if r >= i / levels - 1e-9), default=0) for i in range(levels + 1)]
        assert average_precision(*arguments, name) == pytest.approx(sum(best) / len(best))


@given(st.permutations(range(6)))
def test_equal_scores_do_not_depend_on_the_order(order: list[int]) -> None:
    scores = np.array([0.9, 0.5, 0.5, 0.5, 0.5, 0.2], np.float32)
    hits = np.array([True, True, False, True, False, True])
    value = average_precision(scores[order], hits[order], 5)
    assert value == pytest.approx((1 + 2 * (4 / 6) + 4 / 6) / 5)


def test_bad_arguments_are_refused() -> None:
    scores, hits = np.ones(1, np.float32), np.ones(1, np.bool_)
    with pytest.raises(ValueError, match="heads"):
        average_precision(scores, hits, 0)
    with pytest.raises(ValueError, match=r"interpolation.*'trapezoid'"):
        average_precision(scores, hits, 1, "trapezoid")  # type: ignore[arg-type]


def test_images_are_pooled() -> None:
    rng = np.random.default_rng(5)
    nap = NormalizedAveragePrecision()
    scores: list[float] = []
    hits: dict[float, list[bool]] = {delta: [] for delta in DELTAS}
    heads = 0
    for _ in range(4):
        truth = Points(rng.uniform(0, 50, (rng.integers(2, 30), 2)).astype(F32))
        moved = truth.xy + rng.normal(0, 3, truth.xy.shape).astype(F32)
        found = Points(moved, (rng.integers(1, 9, len(truth)) / 9).astype(F32))
        nap.update(found, truth)
        scores += found.scores.tolist()
        heads += len(truth)
        for delta in DELTAS:
            hits[delta] += claims_by_loops(found, truth, delta, 3)
    result = nap.compute()
    assert result is not None
    assert list(result) == list(DELTAS)
    for delta, value in result.items():
        expected = average_precision(np.array(scores, np.float32), np.array(hits[delta]), heads)
        assert value == pytest.approx(expected)


def test_candidates_of_equal_score_take_little_memory() -> None:
    nap, heads = NormalizedAveragePrecision(), Points(np.array([(1.0, 1), (9.0, 9)]))
    cells = np.stack(np.meshgrid(np.arange(400), np.arange(400)), axis=-1).reshape(-1, 2).astype(F32)
    flat = Points(cells, np.where(cells.sum(axis=1) == 2, 0.9, 0.002).astype(F32))
    tracemalloc.start()
    for _ in range(3):
        nap.update(flat, heads)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 100_000
    assert nap.compute() is not None


def test_nap_needs_heads_and_a_ranking() -> None:
    heads = Points(np.array([(1.0, 1), (9.0, 9)]))
    ranked = Points(heads.xy, np.array([0.4, 0.6]))
    nothing, unranked, missed = (NormalizedAveragePrecision((0.5,)) for _ in range(3))
    nothing.update(ranked, Points.empty())
    unranked.update(heads, heads)
    missed.update(Points.empty(), heads)
    assert NormalizedAveragePrecision().compute() is None
    assert nothing.compute() is None
    assert unranked.compute() is None
    assert missed.compute() == {0.5: 0}
    nothing.update(ranked, heads)
    assert nothing.compute() == pytest.approx({0.5: 0.5})


def test_memory_grows_by_8_bytes_a_candidate() -> None:
    rng = np.random.default_rng(0)
    nap, count = NormalizedAveragePrecision(), 50_000
    truth = Points(rng.uniform(0, 900, (20, 2)).astype(np.float32))

    def candidates() -> Points:
        return Points(rng.uniform(0, 900, (count, 2)).astype(np.float32), rng.random(count, np.float32))

    nap.update(candidates(), truth)  # what it imports is kept, too
    tracemalloc.start()
    for _ in range(4):
        nap.update(candidates(), truth)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 4 * (8 * count + 50_000)
