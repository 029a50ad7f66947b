"""Local maxima against Algorithm 1 spelled out cell by cell, and boxes against Eq. 4."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import label

from crowdpoint.methods.fidtm.config import LMDSConfig
from crowdpoint.methods.fidtm.peaks import Maxima, find_maxima, local_maxima, score_maxima
from crowdpoint.points import FloatArray, Points

shapes = arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
# few distinct values, so that ties and plateaus are common
coarse = arrays.arrays(np.float32, shapes, elements=st.sampled_from([-0.5, 0, 0.05, 0.3, 0.4, 0.8, 1, 1.25]))
smooth = arrays.arrays(np.float32, shapes, elements=st.floats(-0.25, 2, width=32))
maps = coarse | smooth

REFINED = LMDSConfig(refine=True)


def algorithm_1(
    values: FloatArray,
    kernel: int = 3,
    threshold: float = 100 / 255,
    adaptive: bool = True,
    floor: float = 0.1,
) -> list[tuple[int, int]]:
    """FIDTM, Algorithm 1, one cell at a time."""
    reach = kernel // 2
    matrix = np.zeros_like(values)
    for r, c in product(*map(range, values.shape)):
        window = values[max(r - reach, 0) : r + reach + 1, max(c - reach, 0) : c + reach + 1]
        if values[r, c] == window.max():
            matrix[r, c] = values[r, c]
    if matrix.max() < floor:
        return []
    limit = np.float32(threshold) * matrix.max() if adaptive else threshold
    matrix[matrix < limit] = 0
    return [(r, c) for r, c in product(*map(range, values.shape)) if matrix[r, c] > 0]


def cells(points: Points) -> list[tuple[int, int]]:
    return [(int(y), int(x)) for x, y in points.xy.tolist()]


def bumps(centres: list[tuple[float, float]], side: int = 32) -> FloatArray:
    rows, columns = np.mgrid[:side, :side] + 0.5
    each = [np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8) for x, y in centres]
    return np.asarray(np.sum(each, axis=0), np.float32)


@given(
    maps,
    st.sampled_from([3, 5, 7]),
    st.sampled_from([90 / 255, 100 / 255, 0.7]),
    st.booleans(),
    st.sampled_from([0, 0.1]),
)
def test_local_maxima_is_algorithm_1(
    values: FloatArray, kernel: int, threshold: float, adaptive: bool, floor: float
) -> None:
    lmds = LMDSConfig(kernel=kernel, adaptive=adaptive, negative_threshold=floor)
    found = local_maxima(values, threshold=threshold, lmds=lmds)
    expected = algorithm_1(values, kernel, threshold, adaptive, floor)
    assert cells(found) == expected
    assert found.image_size == values.shape[::-1]
    divisor = values.max() if adaptive else 1
    np.testing.assert_allclose(found.scores, [min(values[cell] / divisor, 1) for cell in expected], rtol=1e-6)


@given(maps)
def test_default_values_are_those_of_the_paper(values: FloatArray) -> None:
    assert cells(local_maxima(values)) == algorithm_1(values, 3, 100 / 255, True, 0.10)


@given(maps)
def test_maxima_are_all_positive_ones(values: FloatArray) -> None:
    found = find_maxima(values)
    expected = algorithm_1(values, threshold=0, floor=0)
    assert [(int(y), int(x)) for x, y in found.xy.tolist()] == expected
    np.testing.assert_array_equal(found.heights, [values[cell] for cell in expected])
    assert found.largest == max(values.max(), 0)


def test_a_cell_decodes_to_its_centre() -> None:
    values = np.zeros((4, 6), np.float32)
    values[3, 5] = 0.75
    assert local_maxima(values) == Points(
        np.array([[5.5, 3.5]], np.float32), np.array([1], np.float32), image_size=(6, 4)
    )


def test_a_low_map_has_no_maxima() -> None:
    values = np.zeros((4, 4), np.float32)
    values[1, 1] = np.float32(0.0999)
    assert len(find_maxima(values).xy) == 1
    assert len(local_maxima(values)) == 0
    assert len(local_maxima(values, threshold=0)) == 0
    assert len(local_maxima(values, threshold=0.01, lmds=LMDSConfig(adaptive=False))) == 0
    assert len(local_maxima(values, lmds=LMDSConfig(negative_threshold=0.05))) == 1
    assert len(local_maxima(values, lmds=LMDSConfig(negative_threshold=float(values.max())))) == 1


def test_the_threshold_follows_a_maximum_above_1() -> None:
    values = np.zeros((3, 9), np.float32)
    values[1, 1], values[1, 5] = 2.0, 0.7
    assert cells(local_maxima(values)) == [(1, 1)]
    assert local_maxima(values, threshold=0.3).scores.tolist() == pytest.approx([1, 0.35])
    fixed = LMDSConfig(adaptive=False)
    assert local_maxima(values, threshold=0.6, lmds=fixed).scores.tolist() == pytest.approx([1, 0.7])


def test_parts_are_scored_as_the_whole() -> None:
    values = 1.5 * bumps([(4.5, 8.5), (9.5, 20.5), (25.5, 10.5)])
    values[:, 16:] *= 0.3  # below the threshold of the whole, but not of its own part
    left, right = find_maxima(values[:, :16]), find_maxima(values[:, 16:])
    assert len(local_maxima(values[:, 16:])) == 1
    xy = np.concatenate((left.xy, right.xy + np.array((16, 0), np.float32)))
    merged = Maxima(xy, np.concatenate((left.heights, right.heights)), max(left.largest, right.largest))
    found = score_maxima(merged, (32, 32), LMDSConfig()).threshold(100 / 255)
    assert sorted(cells(found)) == sorted(cells(local_maxima(values))) == [(8, 4), (20, 9)]


@given(maps)
def test_a_smoothed_map_keeps_its_own_threshold(values: FloatArray) -> None:
    """The mean has zeros beyond the border, and T_a and T_f are those of the map before it."""
    padded = np.pad(values.astype(np.float64), 1)
    rows, columns = values.shape
    windows = [padded[r : r + rows, c : c + columns] for r in range(3) for c in range(3)]
    mean = (sum(windows[1:], start=windows[0]) / 9).astype(np.float32)
    found = local_maxima(values, lmds=LMDSConfig(smooth=True))
    if values.max() < 0.1:
        assert len(found) == 0
        return
    close = np.abs(mean - values.max() * 100 / 255) < 1e-5  # rounding decides
    expected = {cell for cell in algorithm_1(mean, threshold=0, floor=0) if not close[cell]}
    passing = {cell for cell in expected if mean[cell] >= values.max() * 100 / 255}
    if len(np.unique(mean)) == mean.size:  # without ties, which rounding may make or break
        assert {cell for cell in cells(found) if not close[cell]} == passing


def test_smoothing_merges_a_rippled_head() -> None:
    values = np.zeros((7, 9), np.float32)
    values[2:5, 3:6] = 0.8
    values[3, 3], values[3, 5] = 1, 0.99
    assert len(local_maxima(values)) > 1
    assert cells(local_maxima(values, lmds=LMDSConfig(smooth=True))) == [(3, 4)]


@given(coarse, st.sampled_from([3, 5]))
def test_merged_plateaus_are_the_connected_maxima(values: FloatArray, kernel: int) -> None:
    peaks = np.zeros(values.shape, np.bool_)
    for cell in algorithm_1(values, kernel, threshold=0, floor=0):
        peaks[cell] = True
    labels, count = label(peaks, np.ones((3, 3)))
    expected = []
    for index in range(1, count + 1):
        rows, columns = np.nonzero(labels == index)
        expected.append((int(rows.mean() + 0.5), int(columns.mean() + 0.5)))
    found = find_maxima(values, LMDSConfig(kernel=kernel, merge_plateaus=True)).xy
    assert [(int(y), int(x)) for x, y in found.tolist()] == sorted(expected)


def test_a_plateau_counts_once_at_its_centroid() -> None:
    values = np.zeros((7, 7), np.float32)
    values[1:4, 2:5] = 0.9
    values[6, 6] = 1
    assert len(local_maxima(values)) == 10
    assert cells(local_maxima(values, lmds=LMDSConfig(merge_plateaus=True))) == [(2, 3), (6, 6)]


@given(maps)
def test_refined_peaks_stay_in_their_cell(values: FloatArray) -> None:
    plain, fine = find_maxima(values), find_maxima(values, REFINED)
    assert (np.abs(fine.xy - plain.xy) <= 0.5).all()
    np.testing.assert_array_equal(fine.heights, plain.heights)


@given(st.floats(8, 24), st.floats(8, 24))
def test_refinement_finds_the_top_of_a_bump(x: float, y: float) -> None:
    found = local_maxima(bumps([(x, y)]), lmds=LMDSConfig(refine=True, merge_plateaus=True))
    np.testing.assert_allclose(found.xy, [[x, y]], atol=0.05)


def test_refinement_is_the_vertex_of_a_parabola() -> None:
    columns = np.arange(9) + 0.5
    row = 1 - 0.02 * (columns - 4.3) ** 2
    values = np.zeros((3, 9), np.float32)
    values[1] = row
    np.testing.assert_allclose(local_maxima(values, lmds=REFINED).xy, [[4.3, 1.5]], atol=1e-4)


def test_refinement_stays_at_the_edge() -> None:
    values = np.zeros((4, 4), np.float32)
    values[0, 3], values[0, 2], values[1, 3] = 1, 0.5, 0.5
    assert local_maxima(values, lmds=REFINED).xy.tolist() == [[3.5, 0.5]]


def test_a_batch_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"expected shape \(H, W\)"):
        find_maxima(np.zeros((1, 1, 4, 4), np.float32))
