"""The matching against brute force on small sets, and its size and speed on large ones."""

import tracemalloc
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crowdpoint import matching
from crowdpoint.matching import find_pairs, match, match_counts

FloatArray = npt.NDArray[np.float32]

# A coarse lattice, so that ties, coincident points and distances of exactly the radius are common.
COORDINATES = st.integers(0, 8).map(float)
SMALL = st.integers(0, 5).flatmap(lambda n: arrays(np.float32, (n, 2), elements=COORDINATES))
RADII = st.sampled_from([0.0, 1.0, 2.0, 5.0, float(np.sqrt(2)), float("inf")])


def brute_force(
    distances: npt.NDArray[np.float64], radii: npt.NDArray[np.float64], taken: frozenset[int] = frozenset()
) -> tuple[int, float]:
    """The largest number of pairs and the smallest total distance with it, over all assignments."""
    if not len(radii):
        return 0, 0.0
    best = brute_force(distances[:, 1:], radii[1:], taken)  # the first head stays alone
    for prediction in set(np.flatnonzero(distances[:, 0] <= radii[0]).tolist()) - taken:
        size, total = brute_force(distances[:, 1:], radii[1:], taken | {prediction})
        better = size + 1, total + float(distances[prediction, 0])
        best = max(best, better, key=lambda found: (found[0], -found[1]))
    return best


def distances_of(predictions: FloatArray, truth: FloatArray) -> npt.NDArray[np.float64]:
    offsets = predictions[:, None].astype(np.float64) - truth[None]
    return np.asarray(np.sqrt((offsets**2).sum(axis=-1)))


@given(predictions=SMALL, truth=SMALL, data=st.data())
def test_match_is_maximum_and_nearest_if_requested(
    predictions: FloatArray, truth: FloatArray, data: st.DataObject
) -> None:
    radii = np.array([data.draw(RADII) for _ in truth])
    distances = distances_of(predictions, truth)
    size, total = brute_force(distances, radii)
    for nearest in (False, True):
        found, heads = match(predictions, truth, radii, nearest=nearest)
        assert len(found) == len(heads) == size
        assert len(set(heads.tolist())) == size
        assert (np.diff(found) > 0).all()
        assert (distances[found, heads] <= radii[heads]).all()
        if nearest:
            assert distances[found, heads].sum() == pytest.approx(total, abs=1e-6)


@given(predictions=SMALL, truth=SMALL, data=st.data())
def test_counts_over_radii_equal_single_matches(
    predictions: FloatArray, truth: FloatArray, data: st.DataObject
) -> None:
    own = st.lists(RADII, min_size=len(truth), max_size=len(truth)).map(np.array)
    radii = data.draw(st.lists(st.one_of(RADII, own), max_size=5))
    expected = [len(match(predictions, truth, radius)[0]) for radius in radii]
    assert match_counts(predictions, truth, radii).tolist() == expected


def test_a_larger_radius_reassigns_heads() -> None:
    # Within 1 the first prediction takes the middle head, within 3 it must give it up for the second.
    predictions = np.array([(1.0, 0), (4.0, 0)])
    truth = np.array([(2.0, 0), (-1.5, 0)])
    assert match_counts(predictions, truth, [1.0, 3.0, 0.5]).tolist() == [1, 2, 0]


def test_the_radius_is_inclusive_in_float64() -> None:
    predictions, truth = np.array([(3.0, 4.0)]), np.array([(0.0, 0.0)])
    assert len(find_pairs(predictions, truth, 5.0)) == 1
    assert len(find_pairs(predictions, truth, 5 * (1 - 1e-8))) == 0


def test_decimal_coordinates_at_exactly_sigma_match() -> None:
    """float32 keeps 1234.37 and 1238.37 at a distance a little off 4."""
    x = np.arange(100_000, 300_000, 3700) / 100
    for dx, dy in ((4.0, 0.0), (0.0, 4.0), (2.4, 3.2)):
        truth = np.stack((x, 1e4 * np.arange(len(x))[::-1] / len(x)), axis=1).round(2)
        moved = truth + np.array((dx, dy))
        for kind in (np.float32, np.float64):
            for one, other in zip(moved.astype(kind), truth.astype(kind), strict=True):
                assert match_counts(one[None], other[None], [4.0 - 1e-6, 4.0]).tolist() == [0, 1]


@pytest.mark.parametrize("x", [0.1, 0.1234, 0.123001])
def test_float32_has_up_to_six_decimals(x: float) -> None:
    one, other = np.array([(x, 0)], np.float32), np.array([(x + 4, 0)], np.float32)
    assert match_counts(one, other, [3.99999, 4.0]).tolist() == [0, 1]


def test_greedy_nearest_would_lose_a_head() -> None:
    predictions, truth = np.array([(0.0, 0), (3.0, 0)]), np.array([(1.0, 0), (-3.0, 0)])
    found, heads = match(predictions, truth, 3.0)
    assert found.tolist() == [0, 1]
    assert heads.tolist() == [1, 0]


@pytest.mark.parametrize("radius", [-1.0, float("nan")])
def test_an_impossible_radius_is_refused(radius: float) -> None:
    points = np.zeros((2, 2))
    with pytest.raises(ValueError, match="at least 0"):
        match(points, points, radius)
    with pytest.raises(ValueError, match="at least 0"):
        match_counts(points, points, [1.0, radius])


def test_radii_are_one_per_head() -> None:
    with pytest.raises(ValueError, match=r"one per head \(2\)"):
        match(np.zeros((3, 2)), np.zeros((2, 2)), np.ones(3))


def test_large_matching_equals_small_matching(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays, which take over from lists as radii grow, find what lists do."""
    rng = np.random.default_rng(3)
    predictions, truth = rng.normal(0, 100, (2000, 2)), rng.uniform(-300, 300, (2500, 2))
    radii = [1.0, 2.0, *range(5, 45, 5), rng.uniform(40, 60, len(truth)), 80.0]
    assert (
        len(find_pairs(predictions, truth, 40.0))
        > matching._LARGE
        > len(find_pairs(predictions, truth, 30.0))
    )
    counts = match_counts(predictions, truth, radii)
    found, heads = match(predictions, truth, 40.0)
    monkeypatch.setattr(matching, "LargeMatching", None)
    monkeypatch.setattr(matching, "_LARGE", 10**9)
    assert counts.tolist() == match_counts(predictions, truth, radii).tolist()
    assert counts[-1] < 2000
    assert (np.diff(found) > 0).all()
    assert len(set(heads.tolist())) == len(heads) == counts[radii.index(40)]
    assert (np.hypot(*(predictions[found] - truth[heads]).T) <= 40).all()


@given(predictions=SMALL, truth=SMALL, data=st.data())
def test_arrays_match_as_lists_do(predictions: FloatArray, truth: FloatArray, data: st.DataObject) -> None:
    radii = data.draw(st.lists(RADII, max_size=5))
    expected = [brute_force(distances_of(predictions, truth), np.full(len(truth), r))[0] for r in radii]
    with mock.patch.object(matching, "_LARGE", 0):
        assert match_counts(predictions, truth, radii).tolist() == expected


def test_memory_does_not_depend_on_the_extent() -> None:
    """Crowds of any density and outliers at any distance are searched as an even crowd is."""
    rng = np.random.default_rng(1)
    dense = rng.uniform(0, 1000, (10_000, 2))
    truth = np.concatenate((dense, rng.uniform(0, 1e7, (9_998, 2)), [(1e30, 0), (0, -1e30)]))
    tracemalloc.start()
    pairs = find_pairs(rng.permutation(truth), truth, 0.01)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(pairs) >= len(truth)
    assert peak < 50e6


def test_a_crowd_of_20000_is_matched_exactly() -> None:
    """A shuffled crowd moved by less than the radius has a perfect matching, hidden among 20 pairs a head."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 2000, (20_000, 2))
    angle = rng.uniform(0, 2 * np.pi, len(truth))
    moved = truth + 35 * np.stack((np.cos(angle), np.sin(angle)), axis=1)
    found, heads = match(rng.permutation(moved), truth, 36.0)
    assert len(found) == len(truth)
    assert len(set(heads.tolist())) == len(truth)
