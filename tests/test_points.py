"""Points: geometry by properties, membership by brute force, and every validation."""

import dataclasses
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crowdpoint.points import Points

WIDTH, HEIGHT = 200, 120

coordinates = st.floats(-50, 250, width=32)
fractions = st.floats(0, 1, width=32)


@st.composite
def some_points(draw: st.DrawFn, quarters: bool = False) -> Points:
    """Points on and around a 200 x 120 image; on quarters of pixels, sums and differences are exact."""
    n = draw(st.integers(0, 12))
    values = st.integers(-200, 1000).map(lambda i: i / 4) if quarters else coordinates
    xy = draw(hnp.arrays(np.float32, (n, 2), elements=values))
    scores = draw(hnp.arrays(np.float32, n, elements=fractions))
    sizes = draw(st.none() | hnp.arrays(np.float32, (n, 2), elements=st.floats(0, 100, width=32)))
    return Points(xy, scores, sizes, (WIDTH, HEIGHT))


def test_len_and_defaults() -> None:
    points = Points(np.array([[1, 2], [3, 4]]))
    assert len(points) == 2
    assert points.xy.dtype == points.scores.dtype == np.float32
    assert points.scores.tolist() == [1, 1]
    assert points.sizes is None
    assert points.image_size is None


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # torch's
@pytest.mark.parametrize("empty", [[], np.empty((0, 2)), np.empty(0), np.empty((0, 0)), torch.empty(0)])
def test_empty(empty: Any) -> None:
    points = Points(empty)
    assert (len(points), points.xy.shape) == (0, (0, 2))
    assert points == Points.empty()
    assert Points.empty((3, 4)).image_size == (3, 4)


def test_points_are_not_made_of_points() -> None:
    points = Points(np.array([[1, 2]]), np.array([0.5]), np.array([[3, 4]]), (9, 9))
    with pytest.raises(TypeError, match=r"expected coordinates .*found Points, which are immutable"):
        Points(points)


def test_a_score_that_equals_the_threshold_is_kept() -> None:
    """A float64 of NumPy, as of linspace, is a little more than the float32 of the same decimal."""
    points = Points(np.zeros((9, 2), np.float32), np.linspace(0.1, 0.9, 9, dtype=np.float32))
    for number, minimum in enumerate(np.linspace(0.1, 0.9, 9)):
        assert len(points.threshold(minimum)) == len(points.threshold(float(minimum))) == 9 - number
    with pytest.raises(ValueError, match="found NaN"):
        points.threshold(np.nan)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"xy": [[1, 2, 3]]}, r"xy: expected shape \(N, 2\), found \(1, 3\)"),
        ({"xy": [1, 2]}, r"xy: expected shape"),
        ({"xy": [[np.nan, 1]]}, "xy: expected finite"),
        ({"xy": [[1, np.inf]]}, "xy: expected finite"),
        ({"xy": [[1, 2]], "scores": [1, 1]}, r"scores: expected shape \(1,\), found \(2,\)"),
        ({"xy": [[1, 2]], "scores": [1.5]}, r"scores: expected values in \[0, 1\]"),
        ({"xy": [[1, 2]], "scores": [-0.1]}, r"scores: expected values in \[0, 1\]"),
        ({"xy": [[1, 2]], "scores": [np.nan]}, r"scores: expected values in \[0, 1\]"),
        ({"xy": [[1, 2]], "sizes": [[1, 2], [3, 4]]}, r"sizes: expected shape \(1, 2\), found \(2, 2\)"),
        (
            {"xy": [[1, 2], [3, 4], [5, 6]], "sizes": [[1, 2, 3], [4, 5, 6]]},
            r"sizes: expected shape \(3, 2\)",
        ),
        ({"xy": [[1, 2]], "image_size": (10.5, 9)}, "in whole pixels, found"),
        ({"xy": [[1e39, 2]]}, "found NaN, infinity or beyond float32"),
        ({"xy": [[1, 2]], "sizes": [[1, -2]]}, "sizes: expected finite"),
        ({"xy": [[1, 2]], "sizes": [[np.inf, 2]]}, "sizes: expected finite"),
        ({"xy": [[1, 2]], "image_size": (0, 5)}, r"image_size: expected positive"),
    ],
)
def test_validation(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Points(**arguments)


def test_immutable() -> None:
    xy = np.array([[1, 2]], np.float32)
    points = Points(xy, sizes=np.array([[3, 4]], np.float32))
    xy[0, 0] = 99
    assert points.xy[0, 0] == 1
    assert points.sizes is not None
    for array in (points.xy, points.scores, points.sizes):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5
    with pytest.raises(dataclasses.FrozenInstanceError):
        points.xy = xy  # type: ignore[misc]


def test_equality() -> None:
    points = Points(np.array([[1, 2]]), np.array([0.5]), np.array([[3, 4]]), (10, 10))
    assert points == dataclasses.replace(points)
    for change in (
        {"xy": np.array([[1, 3]])},
        {"scores": np.array([0.25])},
        {"sizes": np.array([[3, 5]])},
        {"sizes": None},
        {"image_size": None},
    ):
        assert points != dataclasses.replace(points, **change)
    assert points != "points"


@given(some_points(), fractions)
def test_threshold_keeps_the_limit_itself(points: Points, minimum: float) -> None:
    kept = points.threshold(minimum)
    assert kept.scores.tolist() == [s for s in points.scores.tolist() if s >= minimum]
    assert len(points.threshold(0)) == len(points)


@given(some_points())
def test_select_by_index_and_mask_agree(points: Points) -> None:
    mask = points.scores > 0.5
    assert points.select(mask) == points.select(np.flatnonzero(mask))


@given(some_points(), st.slices(12))
def test_slices_are_those_of_a_list(points: Points, part: slice) -> None:
    assert points[part].xy.tolist() == points.xy.tolist()[part]
    assert points[part].scores.tolist() == points.scores.tolist()[part]


def test_indices() -> None:
    points = Points(np.array([[1, 2], [3, 4], [5, 6]]), np.array([0.1, 0.2, 0.3]), image_size=(9, 9))
    assert points[-1] == points[np.int64(2)] == points[[2]] == points.select(np.array([2]))
    assert points[[True, False, True]] == points[np.array([0, 2])] == points[::2]
    assert points[[]] == points[:0] == Points.empty((9, 9))
    assert [one.xy.tolist() for one in points] == [[[1, 2]], [[3, 4]], [[5, 6]]]
    np.testing.assert_array_equal(np.asarray(points), points.xy)
    for index in (3, -4, [5], [True, False]):
        with pytest.raises(IndexError):
            points[index]
    for wrong in ("x", 1.5, [[0, 1]], None):
        with pytest.raises(TypeError, match="index: expected a position, a slice, positions or a mask"):
            points[wrong]  # type: ignore[index]


@given(some_points())
def test_a_notebook_shows_every_point(points: Points) -> None:
    html = points._repr_html_()
    picture = ElementTree.fromstring(html.replace("<br>", ""))
    assert picture.findtext("b") == str(len(points))
    assert "on 200x120 pixels" in html
    (path,) = picture.iter("path")
    drawn = re.findall(r"M(\S+) (\S+)h0", path.attrib["d"])
    np.testing.assert_allclose(np.array(drawn, float).reshape(-1, 2) / (320 / WIDTH), points.xy, atol=0.1)


def test_a_notebook_shows_points_without_a_size() -> None:
    html = Points(np.array([[1000, 1000], [1100, 1050]]))._repr_html_()
    assert "width='320' height='163'" in html
    assert "M3.1 3.1h0M316.9 160h0" in html
    assert "<b>0</b> points<br>" in Points.empty()._repr_html_()


@given(some_points(quarters=True))
def test_flip_twice_is_identity(points: Points) -> None:
    assert points.flip().flip() == points


def test_flip_moves_corners_to_corners() -> None:
    points = Points(np.array([[0, 0], [10, 0], [2.5, 3]]), image_size=(10, 5))
    assert points.flip().xy.tolist() == [[10, 0], [0, 0], [7.5, 3]]


@given(some_points(), st.floats(0.1, 10), st.none() | st.floats(0.1, 10))
def test_scale_round_trip(points: Points, sx: float, sy: float | None) -> None:
    there = points.scale(sx, sy)
    back = there.scale(1 / sx, None if sy is None else 1 / sy, image_size=points.image_size)
    np.testing.assert_allclose(back.xy, points.xy, rtol=1e-5, atol=1e-5)
    assert back.image_size == points.image_size
    assert (back.sizes is None) == (points.sizes is None)
    if points.sizes is not None and back.sizes is not None:
        np.testing.assert_allclose(back.sizes, points.sizes, rtol=1e-5, atol=1e-5)


def test_scale_sizes_and_image() -> None:
    points = Points(np.array([[10, 20]]), sizes=np.array([[4, 6]]), image_size=(100, 50))
    doubled = points.scale(2, 0.5)
    assert doubled.xy.tolist() == [[20, 10]]
    assert doubled.sizes is not None
    assert doubled.sizes.tolist() == [[8, 3]]
    assert doubled.image_size == (200, 25)
    assert points.scale(0.001).image_size == (1, 1)
    assert points.scale(0.5, image_size=(51, 26)).image_size == (51, 26)


@pytest.mark.parametrize("factor", [0, -1, np.nan, np.inf])
def test_scale_refuses(factor: float) -> None:
    with pytest.raises(ValueError, match="scale"):
        Points.empty().scale(factor)


@given(some_points(quarters=True), st.integers(0, 199), st.integers(0, 119), st.data())
def test_crop_then_shift_back(points: Points, left: int, top: int, data: st.DataObject) -> None:
    right, bottom = data.draw(st.integers(left + 1, WIDTH)), data.draw(st.integers(top + 1, HEIGHT))
    cropped = points.crop(left, top, right, bottom)
    kept = [left <= x < right and top <= y < bottom for x, y in points.xy.tolist()]
    assert cropped.image_size == (right - left, bottom - top)
    assert cropped.shift(left, top, image_size=points.image_size) == points.select(np.array(kept, np.bool_))
    assert cropped.inside() == cropped


@given(some_points(quarters=True), st.integers(1, WIDTH - 1))
def test_two_halves_hold_every_inside_point_once(points: Points, cut: int) -> None:
    halves = len(points.crop(0, 0, cut, HEIGHT)) + len(points.crop(cut, 0, WIDTH, HEIGHT))
    assert halves == len(points.inside())


@given(some_points(quarters=True), st.integers(-100, 100), st.integers(-100, 100))
def test_shift_there_and_back(points: Points, dx: int, dy: int) -> None:
    assert points.shift(dx, dy).shift(-dx, -dy) == points


def brute_force_inside(x: float, y: float, polygon: list[tuple[float, float]]) -> bool:
    """Winding by angles: the signed angles to successive vertices add up to a multiple of a turn."""
    turn = 0.0
    for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        a, b = complex(x0 - x, y0 - y), complex(x1 - x, y1 - y)
        turn += float(np.angle(b / a))
    return round(turn / (2 * np.pi)) % 2 == 1


@given(some_points(), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 120)), min_size=3, max_size=7))
def test_within_against_brute_force(points: Points, polygon: list[tuple[float, float]]) -> None:
    def distance(x: float, y: float) -> float:
        """To the polygon's nearest edge."""
        nearest = np.inf
        for start, end in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            a, b, p = np.array(start, float), np.array(end, float), np.array((x, y))
            length = float((b - a) @ (b - a))
            along = np.clip((p - a) @ (b - a) / length, 0, 1) if length else 0.0
            nearest = min(nearest, float(np.hypot(*(p - a - along * (b - a)))))
        return nearest

    assume(all(distance(x, y) > 1e-3 for x, y in points.xy.tolist()))
    expected = [brute_force_inside(x, y, polygon) for x, y in points.xy.tolist()]
    assert points.within(polygon) == points.select(np.array(expected, np.bool_))


def test_within_square_and_hole() -> None:
    points = Points(np.array([[5, 5], [15, 5], [5, 15], [1, 9]]))
    assert points.within([(0, 0), (10, 0), (10, 10), (0, 10)]).xy.tolist() == [[5, 5], [1, 9]]


@pytest.mark.parametrize("polygon", [[], [(0, 0), (1, 1)], [(0, 0, 0)] * 3, [1, 2, 3]])
def test_within_refuses(polygon: npt.ArrayLike) -> None:
    with pytest.raises(ValueError, match="polygon"):
        Points.empty().within(polygon)


@given(some_points(), st.integers(0, 12))
def test_concat_undoes_a_split(points: Points, cut: int) -> None:
    index = np.arange(len(points))
    assert Points.concat([points.select(index[:cut]), points.select(index[cut:])]) == points


def test_concat_refuses_what_does_not_belong_together() -> None:
    plain = Points(np.array([[1, 2]]), image_size=(9, 9))
    with pytest.raises(ValueError, match="one image size"):
        Points.concat([plain, Points(np.array([[1, 2]]), image_size=(8, 9))])
    with pytest.raises(ValueError, match="sizes on every part or on none"):
        Points.concat([plain, dataclasses.replace(plain, sizes=np.array([[1, 1]]))])
    assert Points.concat([]) == Points.empty()


@pytest.mark.parametrize("operation", ["flip", "inside"])
def test_image_size_is_needed(operation: str) -> None:
    with pytest.raises(ValueError, match="needs image_size"):
        getattr(Points(np.array([[1, 2]])), operation)()


def test_sizes_of_images_are_whole_numbers_and_rounded() -> None:
    size = Points(np.empty((0, 2), np.float32), image_size=(np.int64(9), 7.0)).image_size  # type: ignore[arg-type]
    assert size == (9, 7)
    assert [type(side) for side in size] == [int, int]
    assert Points.empty((10, 10)).scale(0.56, 0.54).image_size == (6, 5)
