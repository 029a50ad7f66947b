import hypothesis.strategies as st
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from crowdpoint.neighbors import knn_boxes
from crowdpoint.points import Points

coordinates = arrays.arrays(
    np.float32, st.tuples(st.integers(0, 12), st.just(2)), elements=st.integers(0, 99)
)


@given(coordinates, st.integers(1, 5), st.sampled_from([0.1, 0.5]))
def test_boxes_are_equation_4(xy: npt.NDArray[np.float32], k: int, f: float) -> None:
    points = Points(xy, image_size=(200, 100))
    sizes = knn_boxes(points, k=k, f=f).sizes
    assert sizes is not None
    for i, side in enumerate(sizes.tolist()):
        others = sorted(np.linalg.norm(np.delete(xy, i, axis=0) - xy[i], axis=1).tolist())[:k]
        expected = min(f * float(np.mean(others)), 0.05 * 100) if others else 5
        assert side == pytest.approx([expected, expected], rel=1e-5)


def test_boxes_keep_the_points() -> None:
    points = Points(np.array([[1, 2], [4, 6]], np.float32), np.array([0.5, 0.75], np.float32), None, (50, 40))
    boxed = knn_boxes(points)
    assert boxed == Points(points.xy, points.scores, np.full((2, 2), 0.5, np.float32), (50, 40))


def test_boxes_follow_four_neighbours_by_default() -> None:
    row = Points(np.array([[10 * place, 5] for place in range(6)], np.float32), image_size=(2000, 1000))
    sizes = knn_boxes(row).sizes
    assert sizes is not None
    assert sizes[0].tolist() == [2.5, 2.5], "a tenth of the mean of 10, 20, 30 and 40"


def test_boxes_need_the_image_size() -> None:
    with pytest.raises(ValueError, match="image_size"):
        knn_boxes(Points(np.zeros((2, 2), np.float32)))
