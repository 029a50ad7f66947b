"""Random crops: points follow their pixels through scale, crop and flip."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdpoint.methods.density.targets import density_map, kernel_margin
from crowdpoint.methods.fidtm.targets import fidt_map, fidt_reach
from crowdpoint.points import FloatArray, Picture, Points
from crowdpoint.recipe import AugmentConfig
from crowdpoint.tiles import Box
from crowdpoint.train.transforms import PADDING, _draw_scale, degrade, noise, random_crops, recolor, shrink

PLAIN = {"crop": 64, "crops_per_image": 3, "dense": 0.0}


def grid_of(width: int, height: int) -> tuple[Picture, Points]:
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
    for crop, inside, _ in random_crops(image, points, config, np.random.default_rng(seed)):
        assert crop.shape == (64, 64, 3)
        assert crop.dtype == np.uint8
        assert crop.flags.c_contiguous
        assert ((inside.xy >= 0) & (inside.xy <= 64)).all()
        window = round(64 / scale)
        applied = 64 / window
        down, across = (round(min(window, side) * applied) for side in (height, width))
        assert inside.image_size == (across, down)
        crop[down:] = 0  # the padding
        crop[:, across:] = 0
        reach = round(4.5 * applied)
        rows, columns = np.mgrid[:64, :64] + 0.5
        light = np.zeros((64, 64), np.bool_)
        for x, y in inside.xy:
            square = (abs(columns - x) <= reach + 2) & (abs(rows - y) <= reach + 2)
            light |= square
            if reach + 2 <= min(x, y, across - x, down - y):
                weight = crop[..., 0] * square
                centre = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
                np.testing.assert_allclose(
                    centre, (x, y), atol=0.1, err_msg="the square's middle is the point"
                )
        margin = reach + 2
        core = crop[margin:-margin, margin:-margin, 0][~light[margin:-margin, margin:-margin]]
        assert not (core > 127).any(), "every square well inside the crop has kept its point"


@given(sides, sides, st.floats(0.3, 1.5), st.floats(1.5, 3.0), st.integers(0, 2**32))
def test_small_images_are_enlarged_within_the_range_and_then_padded(
    width: int, height: int, low: float, high: float, seed: int
) -> None:
    """Eight points a pixel apart show the scale; a window fills the crop unless the range forbids it."""
    xy = np.stack((np.arange(10, 18) + 0.5, np.full(8, 10.5)), axis=1)
    points = Points(xy, image_size=(width, height))
    config = AugmentConfig(crop=64, crops_per_image=1, scale=(low, high), flip=0, dense=1)
    image = np.full((height, width, 3), 255, np.uint8)
    ((crop, inside, _),) = random_crops(image, points, config, np.random.default_rng(seed))
    short = min(width, height)
    if len(inside) > 1:
        applied = float(np.diff(inside.xy[:, 0]).mean())
        assert low - 0.05 < applied < high + 0.15
        assert applied > min(64 / short, high) * 0.95
    filled = crop[..., 0] == 255
    down, across = int(filled[:, 0].sum()), int(filled[0].sum())
    assert filled[:down, :across].all()
    assert (crop[~filled] == PADDING).all()
    assert min(down, across) >= min(64, short * high * 0.9)


def test_a_recipe_that_keeps_the_scale_pads_a_small_image() -> None:
    image, points = np.full((40, 50, 3), 255, np.uint8), Points(np.array([[10.5, 20.5]]), image_size=(50, 40))
    config = AugmentConfig(crop=64, crops_per_image=8, scale=(1, 1), flip=0.5)
    for crop, inside, _ in random_crops(image, points, config, np.random.default_rng(0)):
        assert (crop[:40, :50] == 255).all()
        assert (crop[40:] == PADDING).all()
        assert (crop[:, 50:] == PADDING).all()
        assert inside.image_size == (50, 40)
        assert inside.xy.tolist() in ([[10.5, 20.5]], [[39.5, 20.5]]), (
            "a flip mirrors the image, not the padding"
        )


TARGETS: dict[str, tuple[Callable[[Points, Box | None], FloatArray], float]] = {
    "fidt": (lambda heads, border: fidt_map(heads, around=border is not None), fidt_reach(0.02, 0.75)),
    "density": (lambda heads, border: density_map(heads, border, sigma=5), kernel_margin(5)),
    "adaptive density": (lambda heads, border: density_map(heads, border, adaptive=True), math.inf),
}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(("flip", "side"), [(0.0, 250), (1.0, 250), (0.0, 50), (1.0, 50)])
def test_the_target_of_a_crop_is_that_of_the_image_cut(name: str, flip: float, side: int) -> None:
    """The red and the green of a pixel are its place; heads lie beyond the borders of the image, too."""
    target, reach = TARGETS[name]
    rng = np.random.default_rng(7)
    image = np.zeros((side, side, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(side), np.arange(side)[:, None]
    xy = rng.uniform(-20, side + 20, (side // 5, 2)).astype(np.float32)
    points = Points(xy, image_size=(side, side))
    whole = target(points, None)
    config = AugmentConfig(crop=64, crops_per_image=20, scale=(1, 1), flip=flip, color=0)
    beside = 0
    for crop, near, border in random_crops(image, points, config, rng, reach):
        width, height = near.image_size or (0, 0)
        found = target(near, border)
        assert found.shape == (height, width) == (min(64, side), min(64, side))
        if flip:
            crop, found = crop[:, :width][:, ::-1], found[:, ::-1]
        left, top = crop[0, 0, :2]
        expected = whole[top : top + height, left : left + width]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
        beside += len(near) > len(near.inside())
    assert beside >= 15 if side > 64 else beside == 0
    for _, alone, _ in random_crops(image, points, config, rng):
        assert len(alone) == len(alone.inside()), "without a reach"


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_density_of_the_crops_of_a_scaled_image_sums_to_its_heads(adaptive: bool) -> None:
    """Crops as wide as the image, at scales at which its borders lie between pixels of a crop."""
    rng = np.random.default_rng(3)
    points = Points(rng.uniform(0, (61, 83), (40, 2)).astype(np.float32), image_size=(61, 83))
    for crop, scale in ((61, 0.999), (45, 0.737), (97, 1.591)):
        config = AugmentConfig(crop=crop, crops_per_image=4, scale=(scale, scale), flip=0.5, color=0)
        for _, near, border in random_crops(np.zeros((83, 61, 3), np.uint8), points, config, rng, math.inf):
            left, top, right, bottom = border
            assert (left, right - left) == (0, near.image_size and near.image_size[0])
            assert bottom - top == pytest.approx(83 * (right - left) / 61, abs=2)
            shifted = near.shift(-left, -top, (right - left, bottom - top))
            whole = density_map(shifted, sigma=4, adaptive=adaptive)
            assert whole.sum() == pytest.approx(40, rel=1e-5)
            cut = whole[-top : -top + (near.image_size or (0, 0))[1]]
            np.testing.assert_allclose(
                density_map(near, border, sigma=4, adaptive=adaptive), cut, rtol=1e-5, atol=1e-9
            )


def test_head_sizes_are_spread_evenly_on_a_log_scale() -> None:
    """Whatever the size of the heads; the range of scales is for data without boxes."""
    image = np.zeros((900, 900, 3), np.uint8)
    config = AugmentConfig(crop=256, crops_per_image=1, scale=(1, 1), head_size=(8, 32), dense=1)
    for side in (12, 20, 28):
        points = Points(np.array([[450, 450]]), sizes=np.array([[side, side]]), image_size=(900, 900))
        found = []
        for seed in range(200):
            ((_, inside, _),) = random_crops(image, points, config, np.random.default_rng(seed))
            assert inside.sizes is not None
            found += np.log2(inside.sizes[:, 0]).tolist()
        assert len(found) == 200
        assert 2.9 < min(found) < 3.1, side
        assert np.quantile(found, (0.25, 0.5, 0.75)) == pytest.approx((3.5, 4, 4.5), abs=0.2)
        assert max(found) < 5.1
    close = Points(np.array([[450, 450]]), sizes=np.array([[150, 150]]), image_size=(900, 900))
    for seed in range(20):
        ((_, inside, _),) = random_crops(image, close, config, np.random.default_rng(seed))
        assert inside.sizes is not None
        assert inside.sizes[0, 0] == pytest.approx(32, abs=0.2), (
            "the largest, as the image is still too small"
        )
    boxless = Points(np.array([[450, 450]]), image_size=(900, 900))
    ((crop, inside, _),) = random_crops(image, boxless, config, np.random.default_rng(1))
    assert crop.shape == (256, 256, 3)
    assert inside.sizes is None


def test_the_scale_of_a_head_has_limits() -> None:
    """Boxes that are wrong, and heads that fill a photo, would make a crop of anything."""
    config = AugmentConfig(crop=64, head_size=(8, 16))
    for side, scale in ((100_000, 0.02), (0.1, 3.0)):
        head = Points(np.array([[5, 5]]), sizes=np.array([[side, side]]), image_size=(9000, 9000))
        for seed in range(5):
            assert _draw_scale(head, 0, 9000, config, np.random.default_rng(seed)) == scale


def test_scale_stays_in_its_range_and_is_one_for_an_image() -> None:
    image, points = grid_of(800, 800)
    config = AugmentConfig(crop=256, crops_per_image=4, scale=(0.5, 2.0), flip=0)
    seen = []
    for seed in range(30):
        crops = random_crops(image, points, config, np.random.default_rng(seed))
        spacings = [
            float(np.diff(np.unique(inside.xy[:, 0].round(2))).max())
            for _, inside, _ in crops
            if len(inside) > 4
        ]
        if spacings:
            assert max(spacings) - min(spacings) < 0.1
            seen.append(spacings[0] / 40)
    assert 0.499 < min(seen) < 0.7
    assert 1.7 < max(seen) < 2.001


def test_stretches_along_both_axes_within_the_ratio() -> None:
    image, points = grid_of(800, 800)
    config = AugmentConfig(crop=256, crops_per_image=1, scale=(1, 1), stretch=1.5, flip=0)
    ratios = []
    for seed in range(60):
        ((crop, inside, _),) = random_crops(image, points, config, np.random.default_rng(seed))
        columns, rows = (np.unique(inside.xy[:, axis].round(2)) for axis in (0, 1))
        across, down = float(np.diff(columns).mean()) / 40, float(np.diff(rows).mean()) / 40
        assert across * down == pytest.approx(1, abs=0.02), "the area stays"
        ratios.append(across / down)
        x, y = np.floor(inside.xy).astype(int).T
        assert (crop[y, x] > 200).all(), "points on their squares"
    assert 1 / 1.51 < min(ratios) < 0.75
    assert 1.33 < max(ratios) < 1.51


def test_flips_by_a_coin_for_each_crop() -> None:
    image = np.zeros((80, 80, 3), np.uint8)
    image[:, 40:] = 255
    points = Points(np.array([[60.0, 40.0]]), image_size=(80, 80))
    config = AugmentConfig(crop=80, crops_per_image=400, scale=(1, 1), flip=0.5)
    flipped = 0
    for crop, inside, _ in random_crops(image, points, config, np.random.default_rng(0)):
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
        shares[dense] = sum(len(inside) for _, inside, _ in crops) / 200
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
    crops = random_crops(image, points, config, np.random.default_rng(0))
    assert [len(inside) for _, inside, _ in crops] == [1] * 20


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


def test_tone_curves_keep_black_and_white_and_differ_between_channels() -> None:
    flat = np.full((1, 3, 3), ((0,), (100,), (255,)), np.uint8)
    seen = [recolor(flat, AugmentConfig(tone=0.3), np.random.default_rng(seed))[0] for seed in range(200)]
    black, middle, white = np.stack(seen, axis=1).astype(int)
    assert (black == 0).all()
    assert (white == 255).all()
    low, high = (255 * (100 / 255) ** np.exp(gamma) for gamma in (0.4, -0.4))
    assert low - 1 < middle.min() < low + 12
    assert high - 12 < middle.max() < high + 1
    assert 5 < np.ptp(middle, axis=1).mean() < np.ptp(middle, axis=0).mean() / 2, "mostly together"
    assert (flat[0, :, 0] == (0, 100, 255)).all(), "the image itself is kept"


def test_degrading_blurs_adds_noise_or_compresses_and_moves_nothing() -> None:
    image, points = grid_of(200, 150)
    detail = np.abs(np.diff(image[..., 0].astype(int))).sum()
    sharper, softer = 0, 0
    for seed in range(60):
        worse = degrade(image, np.random.default_rng(seed))
        assert (worse.shape, worse.dtype) == (image.shape, image.dtype)
        assert 0 < np.abs(worse.astype(int) - image).mean() < 15
        assert (worse[tuple(np.floor(points.xy).astype(int)[:, ::-1].T)] > 150).all()
        change = np.abs(np.diff(worse[..., 0].astype(int))).sum() / detail
        sharper, softer = sharper + (change > 1.02), softer + (change <= 1.02)
    assert min(sharper, softer) > 10, "blur removes detail, noise and compression add some"
    config = AugmentConfig(crop=64, degrade=0.5, crops_per_image=200, scale=(1, 1))
    crops = random_crops(image, points, config, np.random.default_rng(0))
    changed = sum(
        len(np.unique(crop[: heads.image_size[1], : heads.image_size[0]])) > 2
        for crop, heads, _ in crops
        if heads.image_size
    )
    assert 70 < changed < 130


@given(sides, sides, st.integers(0, 2**32))
def test_noise_shuffles_all_blocks(width: int, height: int, seed: int) -> None:
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


def test_noise_has_no_heads() -> None:
    image, points = grid_of(200, 150)
    for chance, left in ((0.0, True), (1.0, False)):
        crops = random_crops(image, points, AugmentConfig(noise=chance, **PLAIN), np.random.default_rng(8))
        assert all(len(heads) > 0 for _, heads, _ in crops) == left


@pytest.mark.parametrize(
    ("size", "expected"), [((300, 200), (150, 100)), ((100, 301), (50, 150)), ((150, 90), (150, 90))]
)
def test_capped(size: tuple[int, int], expected: tuple[int, int]) -> None:
    image, points = grid_of(*size)
    shrunk, moved = shrink(image, points, 150)
    assert shrunk.shape == (expected[1], expected[0], 3)
    assert shrunk.dtype == np.uint8
    assert moved.image_size == expected
    factors = np.array(expected) / size
    np.testing.assert_allclose(moved.xy, points.xy * factors, rtol=1e-6)
    lit = shrunk[tuple(np.floor(moved.xy).astype(int)[:, ::-1].T)][:, 0]
    assert (lit == 255).all(), "the points are still on their squares"
    assert shrink(image, points, None)[0] is image


def test_crops_are_a_function_of_their_generator() -> None:
    image, points = grid_of(200, 150)
    config = AugmentConfig(crop=64, crops_per_image=3, dense=0.5, color=0.3, gray=0.2)
    first, second = (random_crops(image, points, config, np.random.default_rng(8)) for _ in range(2))
    for (crop, *rest), (again, *same) in zip(first, second, strict=True):
        assert np.array_equal(crop, again)
        assert rest == same


def test_contrast_and_saturation_change_independently_of_brightness() -> None:
    """Read back from two greys and a colour: brightness b, contrast c and saturation s."""
    image = np.array([[[60] * 3, [140] * 3, [120, 100, 80]]], np.uint8)
    found = []
    for seed in range(200):
        low, high, color = recolor(image, AugmentConfig(color=0.3), np.random.default_rng(seed))[0].astype(
            float
        )
        slope = (high[0] - low[0]) / 80  # b c
        mean = np.array([60, 140, 0.299 * 120 + 0.587 * 100 + 0.114 * 80]).mean()
        brightness = (low[0] - slope * (60 - mean)) / mean
        found.append((brightness, slope / brightness, (color[0] - color[2]) / 40 / slope))
    for values in zip(*found, strict=True):
        assert 0.65 < min(values) < 0.78
        assert 1.22 < max(values) < 1.35


def test_a_dense_crop_shows_the_head_that_chose_its_scale() -> None:
    points = Points(
        np.array([[100.0, 100], [900, 900]], np.float32),
        sizes=np.array([[10.0, 10], [40, 40]], np.float32),
        image_size=(1000, 1000),
    )
    config = AugmentConfig(crop=64, crops_per_image=1, head_size=(16, 20), dense=1)
    image = np.zeros((1000, 1000, 3), np.uint8)
    for seed in range(40):
        ((_, inside, _),) = random_crops(image, points, config, np.random.default_rng(seed))
        assert inside.sizes is not None
        assert 15.5 < inside.sizes[:, 0].max() < 20.5
