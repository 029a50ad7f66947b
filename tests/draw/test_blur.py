import cv2
import numpy as np
import numpy.typing as npt
import pytest

from crowdpoint import draw
from crowdpoint.points import Points

SIDE = 36


def _faces(seed: int, places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """A grey picture with a face of noise on every place; any large part of a face is grey on average."""
    picture = np.full((300, 400, 3), 128, np.uint8)
    for number, (x, y) in enumerate(places):
        detail = np.random.default_rng((seed, number)).choice([64, 192], (SIDE // 2, SIDE // 2, 3))
        pairs = np.kron(detail, np.ones((2, 2, 1)))  # with their opposites beside them the mean is grey
        pairs[1::2] = 256 - pairs[1::2]
        picture[y - SIDE // 2 : y + SIDE // 2, x - SIDE // 2 : x + SIDE // 2] = pairs
    return picture


PLACES = np.array([(60, 50), (200, 150), (320, 240)])


def _points(sized: bool = True) -> Points:
    sizes = np.full((3, 2), SIDE, np.float32) if sized else None
    return Points(PLACES.astype(np.float32), sizes=sizes, image_size=(400, 300))


def _head(picture: npt.NDArray[np.uint8], place: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    x, y = place
    half = SIDE // 2
    return picture[y - half : y + half, x - half : x + half].astype(np.int64)


@pytest.mark.parametrize("sized", [True, False])
def test_faces_are_unrecognisable(sized: bool) -> None:
    first, second = (draw.blur(_faces(seed, PLACES), _points(sized)) for seed in (0, 1))
    for place in PLACES:
        assert np.abs(_head(_faces(0, PLACES), place) - _head(_faces(1, PLACES), place)).max() > 100
        assert np.abs(_head(first, place) - _head(second, place)).max() < 16, "two faces look alike"
        assert _head(first, place).std() < 8


def test_the_rest_of_the_photo_stays() -> None:
    image = _faces(0, PLACES)
    image[::7] = 30
    before = image.copy()
    picture = draw.blur(image, _points())
    np.testing.assert_array_equal(image, before)
    rows, columns = np.nonzero((picture != image).any(axis=2))
    distances = np.hypot(columns[:, None] + 0.5 - PLACES[:, 0], rows[:, None] + 0.5 - PLACES[:, 1])
    assert distances.min(axis=1).max() <= SIDE / 2 * 2**0.5 + 1e-6
    np.testing.assert_array_equal(draw.blur(image, Points.empty((400, 300))), image)


def test_a_large_head_has_few_colours() -> None:
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    points = Points(np.array([[200, 150]]), sizes=np.array([[120, 160]]))
    inside = draw.blur(image, points)[150 - 79 : 150 + 79, 200 - 59 : 200 + 59]
    edges = cv2.Laplacian(inside.astype(np.float32), cv2.CV_32F)
    assert np.abs(edges).max() <= 4


def test_heads_at_the_border_and_outside() -> None:
    xy = np.array([[0, 0], [400, 300], [-500, 10], [399.5, 5]])
    points = Points(xy, sizes=np.full((4, 2), 20, np.float32))
    assert draw.blur(_faces(0, PLACES), points).shape == (300, 400, 3)
    for width, height in ((1, 1), (5, 3), (2, 300)):
        image = np.full((height, width, 3), 9, np.uint8)
        np.testing.assert_array_equal(draw.blur(image, Points(np.array([[0.5, 0.5]]))), image)


def test_points_of_another_image() -> None:
    with pytest.raises(ValueError, match="points on 60x40 pixels"):
        draw.blur(np.zeros((40, 60, 3), np.uint8), Points.empty((40, 60)))
