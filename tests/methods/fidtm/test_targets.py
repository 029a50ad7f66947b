"""Target maps against plain evaluations of their equations, and the way back to points."""

import math
import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from crowdpoint.methods.density.targets import density_map
from crowdpoint.methods.fidtm import FIDTM
from crowdpoint.methods.fidtm.config import FIDTMConfig
from crowdpoint.methods.fidtm.peaks import local_maxima
from crowdpoint.methods.fidtm.targets import fidt_map
from crowdpoint.points import Points

Map = npt.NDArray[np.float64]


def heads(xy: list[tuple[float, float]], width: int, height: int) -> Points:
    return Points(np.array(xy, np.float32).reshape(-1, 2), image_size=(width, height))


def random_heads(count: int, width: int, height: int, seed: int = 0) -> Points:
    xy = np.random.default_rng(seed).random((count, 2)) * (width, height)
    return Points(xy.astype(np.float32), image_size=(width, height))


def distances(points: Points) -> Map:
    """Distance of every pixel to every head's pixel, the least of them: brute force."""
    assert points.image_size is not None
    width, height = points.image_size
    rows, columns = np.mgrid[:height, :width]
    seeds = [(math.floor(x), math.floor(y)) for x, y in points.xy.tolist()]
    seeds = [(x, y) for x, y in seeds if 0 <= x < width and 0 <= y < height]
    each = [np.hypot(columns - x, rows - y) for x, y in seeds]
    return np.asarray(np.min(each, axis=0) if each else np.full((height, width), np.inf))


def fidt(points: Points, alpha: float, beta: float) -> Map:
    distance = np.minimum(distances(points), 1e5)
    with np.errstate(over="ignore"):
        value = 1 / (distance ** (alpha * distance + beta) + 1)
    return np.where(value < 0.01, 0, value)


sides = st.integers(1, 40)


@st.composite
def scattered(draw: st.DrawFn, apart: float = 0) -> Points:
    """Heads on and around an image, at least `apart` pixels from each other."""
    width, height = draw(sides), draw(sides)
    x, y = (st.floats(-3, side + 3, width=32) for side in (width, height))
    kept: list[tuple[float, float]] = []
    for head in draw(st.lists(st.tuples(x, y), max_size=30)):
        if all(math.dist(head, other) >= apart for other in kept):
            kept.append(head)
    return heads(kept, width, height)


@given(scattered(), st.sampled_from([(0.02, 0.75), (0.01, 0.65), (0.03, 0.85), (0.0, 1.0)]))
def test_fidt_map_is_equation_3(points: Points, shape: tuple[float, float]) -> None:
    alpha, beta = shape
    found = fidt_map(points, alpha=alpha, beta=beta)
    np.testing.assert_allclose(found, fidt(points, alpha, beta), rtol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("count", [1, 5, 200])
@pytest.mark.parametrize("shape", [(0.02, 0.75), (0.0, 1.0), (0.0, 0.5)])
def test_fidt_map_of_a_large_image(count: int, shape: tuple[float, float]) -> None:
    points = random_heads(count, 201, 183)
    np.testing.assert_allclose(
        fidt_map(points, alpha=shape[0], beta=shape[1]), fidt(points, *shape), rtol=1e-6
    )


@given(scattered())
def test_idt_map_is_equation_2(points: Points) -> None:
    value = 1 / (distances(points) + 1)
    found = fidt_map(points, alpha=0, beta=1)
    np.testing.assert_allclose(found, np.where(value < 0.01, 0, value), rtol=1e-6)


@pytest.mark.parametrize("shape", [(0.02, 0.75), (0.0, 1.0), (0.0, 0.5)])
@pytest.mark.parametrize(("count", "least"), [(1, -60), (1, 60), (8, -60), (200, -60)])
def test_a_crop_has_the_part_of_its_images_map(count: int, least: int, shape: tuple[float, float]) -> None:
    """Also if its own pixels have no head, and the nearest are on one side of it."""
    rng = np.random.default_rng(count)
    crop = Points(rng.uniform(least, 100, (count, 2)).astype(np.float32), image_size=(40, 30))
    whole = fidt(crop.shift(60, 60, (160, 160)), *shape)
    found = fidt_map(crop, alpha=shape[0], beta=shape[1], around=True)
    np.testing.assert_allclose(found, whole[60:90, 60:100], rtol=1e-6)


def test_a_map_that_falls_slowly_needs_no_large_area() -> None:
    """Heads at 100 pixels decide the map of a crop, however far others reach."""
    far = 4000 * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    crop = Points(np.concatenate((far, [(100, 0)])), image_size=(20, 20))
    tracemalloc.start()
    found = fidt_map(crop, alpha=0, beta=0.5, around=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_allclose(found, fidt(crop.shift(0, 0, (101, 20)), 0, 0.5)[:, :20], rtol=1e-6)
    assert peak < 1e6


def test_a_head_pixel_is_highest_without_beta() -> None:
    found = fidt_map(heads([(3, 2)], 7, 5), beta=0)
    assert found[2, 3] == 1
    assert found[2, 4] == 0.5


def test_heads_in_the_corners_and_in_one_pixel() -> None:
    points = heads([(0, 0), (19.99, 0.5), (0.5, 9.99), (19, 9), (19.5, 9.5)], 20, 10)
    found = fidt_map(points)
    assert np.argwhere(found == 1).tolist() == [[0, 0], [0, 19], [9, 0], [9, 19]]


@pytest.mark.parametrize("outside", [(-0.01, 5.0), (20.0, 5.0), (5.0, -1.0), (5.0, 10.0)])
def test_heads_outside_the_image_are_ignored(outside: tuple[float, float]) -> None:
    for make in (fidt_map, density_map):
        np.testing.assert_array_equal(make(heads([outside], 20, 10)), np.zeros((10, 20), np.float32))
        both, inner = heads([outside, (3, 4)], 20, 10), heads([(3, 4)], 20, 10)
        np.testing.assert_array_equal(make(both), make(inner))


def test_no_heads_give_zeros() -> None:
    for found in (
        fidt_map(Points.empty((7, 5))),
        fidt_map(Points.empty((7, 5)), alpha=0, beta=0, around=True),
        density_map(Points.empty((7, 5))),
        density_map(Points.empty((7, 5)), adaptive=True),
    ):
        assert found.shape == (5, 7)
        assert found.dtype == np.float32
        assert not found.any()


@given(scattered(apart=2))
def test_maxima_of_a_map_are_its_points(points: Points) -> None:
    inside = points.inside()
    found = local_maxima(fidt_map(points))
    pixels = {(math.floor(x) + 0.5, math.floor(y) + 0.5) for x, y in inside.xy.tolist()}
    assert len(found) == len(inside)
    assert {tuple(xy) for xy in found.xy.tolist()} == pixels


@settings(deadline=None)
@given(scattered(), st.booleans(), st.sampled_from([0.3, 1.0, 4.0, 15.0]))
def test_density_sums_to_the_heads_on_the_image(points: Points, adaptive: bool, sigma: float) -> None:
    found = density_map(points, sigma=sigma, adaptive=adaptive)
    assert found.sum(dtype=np.float64) == pytest.approx(len(points.inside()), rel=1e-5)
    assert (found >= 0).all()
    assert found.dtype == np.float32


def test_fixed_density_away_from_borders_is_a_gaussian_filter() -> None:
    points = heads([(40.2, 50.9), (45, 52), (45.5, 52.5), (60, 47)], 100, 100)
    seeds = np.zeros((100, 100))
    np.add.at(seeds, ([50, 52, 52, 47], [40, 45, 45, 60]), 1)
    np.testing.assert_allclose(density_map(points, sigma=3), gaussian_filter(seeds, 3), atol=1e-7)


def test_adaptive_sigma_follows_the_neighbours() -> None:
    points = heads([(50.5, 50.5), (60.5, 50.5), (50.5, 70.5), (150.5, 150.5)], 200, 200)
    gaps = np.linalg.norm(points.xy[:, None] - points.xy[None], axis=2)
    expected = np.zeros((200, 200))
    for (x, y), gap in zip(points.xy.tolist(), np.sort(gaps, axis=1), strict=True):
        seed = np.zeros((200, 200))
        seed[int(y), int(x)] = 1
        blurred: Map = gaussian_filter(seed, 0.2 * gap[1:3].mean(), mode="constant", truncate=9)
        expected += blurred / blurred.sum()
    found = density_map(points, adaptive=True, beta=0.2, k=2)
    # tails beyond 4 sigma are cut in one and not in the other
    np.testing.assert_allclose(found, expected, atol=2e-3 * expected.max())


def test_adaptive_density_of_a_single_head_takes_sigma() -> None:
    single = heads([(20, 20)], 41, 41)
    fixed = density_map(single, sigma=2)
    np.testing.assert_allclose(density_map(single, sigma=2, adaptive=True), fixed, atol=1e-7)


def test_adaptive_density_of_heads_in_one_pixel_is_a_point_mass() -> None:
    found = density_map(heads([(3, 3)] * 5, 9, 9), adaptive=True)
    assert found[3, 3] == pytest.approx(5)
    assert found.sum() == pytest.approx(5)


def test_targets_need_the_image_size() -> None:
    for make in (fidt_map, density_map):
        with pytest.raises(ValueError, match="image_size"):
            make(Points(np.zeros((1, 2), np.float32)))


@pytest.mark.parametrize("wrong", [{"alpha": -0.1}, {"beta": -1.0}])
def test_fidt_parameters_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        fidt_map(Points.empty((4, 4)), **wrong)  # type: ignore[arg-type]


def test_density_sigma_out_of_range() -> None:
    with pytest.raises(ValueError, match="sigma"):
        density_map(Points.empty((4, 4)), sigma=0)


def test_the_true_map_has_the_shape_of_the_configuration() -> None:
    points = random_heads(5, 40, 30)
    found = FIDTM.true_map(FIDTMConfig(alpha=0, beta=1), points)
    np.testing.assert_array_equal(found, fidt_map(points, alpha=0, beta=1))
