import re

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from crowdpoint import draw
from crowdpoint.draw import heat
from crowdpoint.errors import ImageError
from crowdpoint.points import Points

FILL = np.array((0, 229, 255))


def _grey(width: int, height: int, value: int = 128) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), value, np.uint8)


def _points(xy: npt.ArrayLike) -> Points:
    return Points(np.array(xy, np.float32))


def _filled(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    return (np.abs(picture.astype(int) - FILL) < 40).all(axis=2)  # type: ignore[no-any-return]


def test_overlay_marks_every_point_on_a_copy() -> None:
    image = _grey(600, 400)
    xy = np.random.default_rng(0).uniform((150, 100), (590, 390), (40, 2))
    picture = draw.overlay(image, _points(xy))
    assert (image == 128).all()
    assert (picture.shape, picture.dtype) == (image.shape, image.dtype)
    columns, rows = np.floor(xy).astype(int).T
    assert _filled(picture)[rows, columns].all()
    changed = (picture != image).any(axis=2)
    changed[:80, :150] = False  # the label
    y, x = np.nonzero(changed)
    distance = np.hypot(x[:, None] + 0.5 - xy[:, 0], y[:, None] + 0.5 - xy[:, 1]).min(axis=1)
    assert distance.max() < 10


def test_overlay_is_centred_below_the_pixel() -> None:
    for x, y in ((300.0, 200.0), (300.5, 200.25)):
        filled = _filled(draw.overlay(_grey(600, 400), _points([(x, y)])))
        filled[:80, :150] = False
        rows, columns = np.nonzero(filled)
        assert columns.mean() + 0.5 == pytest.approx(x, abs=0.15)
        assert rows.mean() + 0.5 == pytest.approx(y, abs=0.15)


def test_dots_have_a_dark_edge_on_white() -> None:
    picture = draw.overlay(_grey(600, 400, 255), _points([(300, 200)]))
    assert picture[180:220, 280:320].max(axis=2).min() < 90


def test_dots_shrink_where_points_crowd() -> None:
    sparse = _points([(x, y) for x in range(200, 600, 100) for y in range(100, 400, 100)])
    crowd = _points([(x, y) for x in range(200, 600, 6) for y in range(100, 400, 6)])
    areas = [_filled(draw.overlay(_grey(600, 400), points)).sum() / len(points) for points in (sparse, crowd)]
    assert areas[1] < areas[0] / 3
    assert areas[1] >= 1


def test_dots_grow_with_the_picture() -> None:
    small = _filled(draw.overlay(_grey(300, 200), _points([(200, 150)])))[100:].sum()
    large = _filled(draw.overlay(_grey(3000, 2000), _points([(2000, 1500)])))[1000:].sum()
    assert large > 8 * small


def test_a_ring_leaves_a_small_head_visible() -> None:
    xy = [(200, 150), (400, 250)]
    heads = Points(np.array(xy), sizes=np.array([[11, 12], [90, 90]]))
    picture = draw.overlay(_grey(600, 400), heads)
    small, large = (picture[y - 5 : y + 5, x - 4 : x + 4] for x, y in xy)
    assert (small[2:8, 1:7] == 128).all(), "the head is seen through the ring"
    assert _filled(large[3:7, 2:6]).all(), "a dot hides little of a large head"
    ring = _filled(picture[130:170, 180:220])
    rows, columns = np.nonzero(ring)
    radii = np.hypot(columns + 180.5 - 200, rows + 130.5 - 150)
    assert 5 < radii.min() < radii.max() < 12
    crowd = [(x, y) for x in range(200, 600, 6) for y in range(100, 400, 6)]
    dense = draw.overlay(_grey(600, 400), Points(np.array(crowd), sizes=np.full((len(crowd), 2), 6)))
    assert _filled(dense)[148, 302], "rings that would touch are dots"


def test_a_heat_map_has_a_legend() -> None:
    few, many = (
        _points(np.random.default_rng(0).uniform((300, 100), (420, 220), (count, 2))) for count in (50, 500)
    )
    corner = (slice(360, 400), slice(430, 600))
    legends = [draw.heatmap(_grey(600, 400), points)[corner] for points in (few, many)]
    assert (legends[0] != legends[1]).any(), "it says another peak"
    for legend in legends:
        assert legend.max() > 240
        bar = legend[30].astype(int).sum(axis=1)
        assert bar[20:120].max() - bar[20:120].min() > 400, "from dark to bright"
    for width, height in ((60, 400), (300, 40)):
        points = _points([(width / 2, height / 2)])
        picture = draw.heatmap(_grey(width, height), points)
        assert (picture[-1, -1] < 100).all(), "there is no room"


def test_the_legend_has_the_peak_of_the_density(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks: list[float] = []
    monkeypatch.setattr(heat, "_write_legend", lambda _, peak: peaks.append(peak))
    xy = np.array([(x, y) for x in np.arange(3, 1500, 6) for y in np.arange(3, 1200, 6)])  # 50,000
    for scale in (1, 2):
        draw.heatmap(_grey(1500 * scale, 1200 * scale), _points(scale * xy))
    assert peaks == pytest.approx([500, 500], rel=0.1)
    assert peaks[0] == pytest.approx(peaks[1], rel=0.05)


def test_the_label_has_the_count_if_it_fits() -> None:
    corner = (slice(0, 60), slice(0, 120))
    none, some = (draw.overlay(_grey(400, 300), _points(xy))[corner] for xy in ([], [(300, 200)]))
    assert none.min() < 60
    assert none.max() == 255
    assert (none != some).any()
    for width, height in ((1, 1), (5, 3), (40, 30)):
        assert (draw.overlay(_grey(width, height), _points([])) == 128).all()


@pytest.mark.parametrize("paint", [draw.overlay, draw.heatmap])
def test_small_pictures_and_points_outside(paint: object) -> None:
    assert callable(paint)
    for width, height in ((1, 1), (5, 3), (2, 300)):
        picture = paint(_grey(width, height), _points([(0, 0), (-5, 1), (width, height + 4)]))
        assert picture.shape == (height, width, 3)


@pytest.mark.parametrize("paint", [draw.overlay, draw.heatmap])
def test_points_of_another_image(paint: object) -> None:
    assert callable(paint)
    with pytest.raises(ValueError, match="points on 60x40 pixels"):
        paint(_grey(60, 40), Points.empty((40, 60)))


@pytest.mark.parametrize("paint", [draw.overlay, draw.heatmap, draw.blur])
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((40, 60), np.uint8), "expected an RGB array of shape (H, W, 3), found (40, 60)"),
        (np.zeros((40, 60, 3)), "expected uint8 values in [0, 255], found an array of float64"),
        (Image.new("RGB", (60, 40)), "expected an array (H, W, 3) of uint8, as images.read"),
    ],
)
def test_other_images_are_refused(paint: object, image: object, message: str) -> None:
    assert callable(paint)
    with pytest.raises(ImageError, match=re.escape(message)):
        paint(image, Points.empty())
    with pytest.raises(TypeError, match="points: expected Points, found ndarray"):
        paint(_grey(60, 40), np.zeros((1, 2)))


def test_heat_is_where_the_points_are() -> None:
    xy = np.random.default_rng(0).normal((400, 250), 15, (300, 2))
    image = _grey(600, 400)
    picture = draw.heatmap(image, _points(xy)).astype(int)
    assert (image == 128).all()
    brightness = picture.sum(axis=2)
    brightness[:80, :150] = brightness[380, 30]  # the label
    assert brightness[250, 400] > 2 * brightness[380, 30]
    assert (brightness[:, :200] == brightness[380, 30]).all()
    assert brightness[380, 30] < 3 * 128


def test_heat_without_points_is_the_dimmed_photo() -> None:
    picture = draw.heatmap(_grey(300, 200), Points.empty())
    assert (picture[100:] == int(0.55 * 128)).all()


def test_density_sums_to_the_count() -> None:
    xy = np.random.default_rng(0).uniform((300, 300), (1200, 900), (500, 2))
    assert heat._compute_density(_points(xy), 1500, 1200).sum() == pytest.approx(500, rel=1e-3)
