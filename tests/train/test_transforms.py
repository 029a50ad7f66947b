"""Random crops: points follow their pixels through scale, crop and flip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdpoint.config import AugmentConfig
from crowdpoint.points import Points
from crowdpoint.train.transforms import Image, capped, noise, random_crops, recolor

PLAIN = {"crop": 64, "crops_per_image": 3, "dense": 0.0}


def grid_of(width: int, height: int) -> tuple[Image, Points]:
    """White 9 x 9 squares on black, 40 pixels apart, with a point in the middle of each."""
    image = np.zeros((height, width, 3), np.uint8)
    centers = [(x, y) for y in range(20, height, 40) for x in range(20, width, 40)]
    for x, y in centers:
        image[y - 4 : y + 5, x - 4 : x + 5] = 255
    xy = np.array(centers, np.float32) + 0.5  # centres of the middle pixels
    return image, Points(xy, image_size=(width, height))


sides = st.integers(30, 230)


@given(
    sides,
    sides,
    st.floats(0.4, 2.5),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([0.0, 1.0]),
    st.integers(0, 2**32),
)
def test_a_marked_pixel_follows_its_point(
    width: int, height: int, scale: float, flip: float, dense: float, seed: int
) -> None:
    image, points = grid_of(width, height)
    config = AugmentConfig(crop=64, crops_per_image=2, scale=(scale, scale), flip=flip, dense=dense)
    for crop, inside in random_crops(image, points, config, np.random.default_rng(seed)):
        assert crop.shape == (64, 64, 3)
        assert crop.dtype == np.uint8
        assert crop.flags.c_contiguous
        assert inside.image_size == (64, 64)
        assert ((inside.xy >= 0) & (inside.xy <= 64)).all()
        applied = 64 / min(round(64 / scale), width, height)
        reach = round(4.5 * applied)
        rows, columns = np.mgrid[:64, :64] + 0.5
        light = np.zeros((64, 64), np.bool_)
        for x, y in inside.xy:
            square = (abs(columns - x) <= reach + 2) & (abs(rows - y) <= reach + 2)
            light |= square
            if reach + 2 <= min(x, y, 64 - x, 64 - y):
                weight = crop[..., 0] * square
                centre = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
                np.testing.assert_allclose(
                    centre, (x, y), atol=0.1, err_msg="the square's middle is the point"
                )
        margin = reach + 2
        core = crop[margin:-margin, margin:-margin, 0][~light[margin:-margin, margin:-margin]]
        assert not (core > 127).any(), "every square well inside the crop has kept its point"


@given(sides, sides, st.floats(0.3, 3.0), st.integers(0, 2**32))
def test_the_short_side_never_falls_below_the_crop(width: int, height: int, scale: float, seed: int) -> None:
    """So the window is as large as the scale asks, but never larger than the image."""
    rng = np.random.default_rng(seed)
    heads = rng.uniform((0, 0), (width, height), (200, 2)).astype(np.float32)
    points = Points(heads, image_size=(width, height))
    config = AugmentConfig(crop=64, crops_per_image=1, scale=(scale, scale), flip=0)
    ramp = np.broadcast_to((np.arange(width) % 256).astype(np.uint8)[None, :, None], (height, width, 3))
    ((crop, inside),) = random_crops(np.ascontiguousarray(ramp), points, config, rng)
    side = min(round(64 / scale), width, height)
    assert side <= min(width, height)
    assert crop.shape == (64, 64, 3)
    slope = np.diff(crop[32, 8:56, 0].astype(int))
    slope = slope[abs(slope) < 60]  # where the ramp starts again
    assert slope.mean() == pytest.approx(side / 64, abs=0.2)
    assert len(inside) <= 200


def test_scale_stays_in_its_range_and_is_one_for_an_image() -> None:
    image, points = grid_of(800, 800)
    config = AugmentConfig(crop=256, crops_per_image=4, scale=(0.5, 2.0), flip=0)
    seen = []
    for seed in range(30):
        crops = random_crops(image, points, config, np.random.default_rng(seed))
        spacings = [
            float(np.diff(np.unique(inside.xy[:, 0].round(2))).max())
            for _, inside in crops
            if len(inside) > 4
        ]
        if spacings:
            assert max(spacings) - min(spacings) < 0.1
            seen.append(spacings[0] / 40)
    assert 0.499 < min(seen) < 0.7
    assert 1.7 < max(seen) < 2.001


def test_flips_by_a_coin_for_each_crop() -> None:
    image = np.zeros((80, 80, 3), np.uint8)
    image[:, 40:] = 255
    points = Points(np.array([[60.0, 40.0]]), image_size=(80, 80))
    config = AugmentConfig(crop=80, crops_per_image=400, scale=(1, 1), flip=0.5)
    flipped = 0
    for crop, inside in random_crops(image, points, config, np.random.default_rng(0)):
        left = bool(crop[0, 0, 0])
        assert inside.xy[0, 0] == (20 if left else 60)
        flipped += left
    assert 150 < flipped < 250


def test_dense_crops_are_drawn_around_heads() -> None:
    image, points = (
        np.zeros((600, 600, 3), np.uint8),
        Points(np.array([[590.0, 10.0]]), image_size=(600, 600)),
    )
    shares = {}
    for dense in (0.0, 0.5, 1.0):
        config = AugmentConfig(crop=64, crops_per_image=200, scale=(1, 1), dense=dense)
        crops = random_crops(image, points, config, np.random.default_rng(0))
        shares[dense] = sum(len(inside) for _, inside in crops) / 200
    assert shares[0.0] < 0.1
    assert 0.4 < shares[0.5] < 0.6
    assert shares[1.0] == 1
    config = AugmentConfig(crop=64, crops_per_image=2, dense=1)
    assert len(random_crops(image, Points.empty((600, 600)), config, np.random.default_rng(0))) == 2


def test_points_outside_the_image_are_left_out() -> None:
    image, points = (
        np.zeros((70, 70, 3), np.uint8),
        Points(np.array([[-5.0, 10.0], [90.0, 90.0], [30.0, 30.0]])),
    )
    config = AugmentConfig(crop=64, crops_per_image=20, scale=(1, 1), dense=1)
    for _, inside in random_crops(image, points, config, np.random.default_rng(0)):
        assert len(inside) <= 1


@given(st.integers(0, 2**32), st.floats(0, 0.9), st.sampled_from([0.0, 1.0]))
def test_colour_keeps_shape_and_type_and_grey_is_grey(seed: int, color: float, gray: float) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (7, 5, 3), np.uint8)
    before = image.copy()
    changed = recolor(image, AugmentConfig(color=color, gray=gray), np.random.default_rng(seed))
    assert changed.shape == (7, 5, 3)
    assert changed.dtype == np.uint8
    assert changed.flags.c_contiguous
    assert np.array_equal(image, before)
    assert (np.ptp(changed, axis=2) == 0).all() == (gray == 1)
    if color == 0 and gray == 0:
        assert np.array_equal(changed, image)


def test_colour_changes_stay_within_their_strength() -> None:
    flat = np.full((4, 4, 3), 100, np.uint8)
    seen = [
        recolor(flat, AugmentConfig(color=0.3), np.random.default_rng(seed))[0, 0, 0] for seed in range(200)
    ]
    assert 70 <= min(seen) < 75
    assert 125 < max(seen) <= 130
    grey = recolor(
        np.full((1, 1, 3), (200, 100, 50), np.uint8), AugmentConfig(gray=1), np.random.default_rng(0)
    )
    assert grey[0, 0].tolist() == [124, 124, 124], "0.299 R + 0.587 G + 0.114 B"


@given(sides, sides, st.integers(0, 2**32))
def test_noise_leaves_nothing_in_place(width: int, height: int, seed: int) -> None:
    image, _ = grid_of(width, height)
    before = image.copy()
    mixed = noise(image, np.random.default_rng(seed))
    assert np.array_equal(image, before)
    assert (mixed.shape, mixed.dtype) == (image.shape, image.dtype)
    assert not np.array_equal(mixed, image)


def test_noise_has_the_colours_of_the_image_or_random_ones_sharp_or_blurred() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:32] = 255
    seen = {"own": 0, "random": 0, "blurred": 0}
    for seed in range(300):
        mixed = noise(image, np.random.default_rng(seed))
        kind = "blurred"
        if abs(np.diff(mixed.astype(int), axis=1)).max() > 200:  # neighbours as different as colours can be
            kind = "own" if set(np.unique(mixed)) == {0, 255} else "random"
        seen[kind] += 1
        assert kind != "own" or mixed.mean() == image.mean(), "the same pixels, in another order"
    assert 70 < seen["own"] < 130
    assert 30 < seen["random"] < 75
    assert 110 < seen["blurred"] < 190


def test_nobody_is_left_on_noise() -> None:
    image, points = grid_of(200, 150)
    for chance, left in ((0.0, True), (1.0, False)):
        crops = random_crops(image, points, AugmentConfig(noise=chance, **PLAIN), np.random.default_rng(8))
        assert all(len(heads) > 0 for _, heads in crops) == left


@pytest.mark.parametrize(
    ("size", "expected"), [((300, 200), (150, 100)), ((100, 301), (50, 150)), ((150, 90), (150, 90))]
)
def test_capped(size: tuple[int, int], expected: tuple[int, int]) -> None:
    image, points = grid_of(*size)
    shrunk, moved = capped(image, points, 150)
    assert shrunk.shape == (expected[1], expected[0], 3)
    assert shrunk.dtype == np.uint8
    assert moved.image_size == expected
    factors = np.array(expected) / size
    np.testing.assert_allclose(moved.xy, points.xy * factors, rtol=1e-6)
    lit = shrunk[tuple(np.floor(moved.xy).astype(int)[:, ::-1].T)][:, 0]
    assert (lit == 255).all(), "the points are still on their squares"
    assert capped(image, points, None)[0] is image


def test_crops_are_a_function_of_their_generator() -> None:
    image, points = grid_of(200, 150)
    config = AugmentConfig(crop=64, crops_per_image=3, dense=0.5, color=0.3, gray=0.2)
    first, second = (random_crops(image, points, config, np.random.default_rng(8)) for _ in range(2))
    for (crop, inside), (again, same) in zip(first, second, strict=True):
        assert np.array_equal(crop, again)
        assert inside == same
