import numpy as np

from crowdpoint import draw
from crowdpoint.points import Picture, Points

SQUARE = ((200.0, 150.0), (300.0, 150.0), (300.0, 250.0), (200.0, 250.0))
INSIDE, OUTSIDE = (200, 250), (350, 500)


def _overlay(*areas: draw.Area) -> Picture:
    return draw.overlay(np.full((400, 600, 3), 100, np.uint8), Points.empty((600, 400)), areas)


def test_an_area_is_tinted_inside_its_outline() -> None:
    picture = _overlay(draw.Area(SQUARE, "gate", 3))
    assert picture[INSIDE][0] > 115
    assert (picture[OUTSIDE] == 100).all()
    assert picture[200, 200].max() > 200  # its line
    alarm = _overlay(draw.Area(SQUARE, "gate", 3, alarm=True))
    assert picture[INSIDE][1] > 110 > alarm[INSIDE][1]


def test_the_label_is_above_and_has_the_figures() -> None:
    above = (slice(130, 149), slice(150, 350))
    labels = [
        _overlay(draw.Area(SQUARE, "gate", *figures))[above] for figures in ((3,), (4,), (3, 0.25), (3000,))
    ]
    for label in labels:
        assert label.max() > 240
        assert label.min() < 60
    assert len({label.tobytes() for label in labels}) == len(labels)


def test_points_are_on_top_of_areas() -> None:
    image = np.full((400, 600, 3), 100, np.uint8)
    picture = draw.overlay(image, Points(np.array([[250, 200]], np.float32)), [draw.Area(SQUARE, "gate", 1)])
    assert np.abs(picture[INSIDE].astype(int) - (0, 229, 255)).max() < 40


def test_small_pictures_have_no_room_for_a_label() -> None:
    image = np.full((8, 12, 3), 100, np.uint8)
    corners = ((0, 0), (12, 0), (12, 8), (0, 8))
    picture = draw.overlay(image, Points.empty((12, 8)), [draw.Area(corners, "a long name", 3)])
    assert picture[..., 0].min() > 60
