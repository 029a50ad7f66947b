import numpy as np

from crowdpoint.counts import Count, LineCount, ZoneCount
from crowdpoint.points import Points
from crowdpoint.video.picture import Painter
from crowdpoint.zones import Zones

ZONES = Zones.model_validate(
    {"zones": [{"name": "gate", "polygon": [[200, 150], [300, 150], [300, 250], [200, 250]]}]}
)


def _count(seconds: float, smoothed: int, alert: bool = False) -> Count:
    return Count(0, seconds, None, 1, smoothed, (ZoneCount("gate", 1, 1, 0.5, alert),))


def test_a_zone_is_tinted_and_turns_red_with_its_alarm() -> None:
    image = np.full((400, 600, 3), 100, np.uint8)
    points = Points.empty((600, 400))
    calm = Painter(ZONES).paint(image, points, _count(0, 5))
    alarm = Painter(ZONES).paint(image, points, _count(0, 5, alert=True))
    assert (image == 100).all()
    inside, outside = (200, 250), (100, 500)
    assert calm[inside][0] > 115
    assert calm[inside][1] > 110 > alarm[inside][1]
    assert (calm[outside] == 100).all()


def test_the_curve_follows_the_count() -> None:
    image = np.zeros((400, 600, 3), np.uint8)
    points = Points.empty((600, 400))
    painter = Painter()
    for second in range(100):
        count = 10 if second < 80 else 0
        picture = painter.paint(image, points, Count(0, second, None, 0, count))
    bright = (np.abs(picture[200:].astype(int) - (0, 229, 255)).max(axis=2) < 60).astype(np.uint8)
    columns = np.flatnonzero(bright.any(axis=0))
    heights = [int(np.flatnonzero(bright[:, column]).min()) for column in (columns[3], columns[-3])]
    fallen = (columns[-1] - columns[0]) * 20 / 60  # of the last minute it was nothing for 20 seconds
    step = [c for c in columns if np.flatnonzero(bright[:, c]).min() < (heights[0] + heights[1]) / 2][-1]
    assert heights[0] < heights[1] - 30
    assert abs(columns[-1] - step - fallen) < 6


def test_small_pictures_have_no_room_for_it() -> None:
    image = np.zeros((16, 24, 3), np.uint8)
    picture = Painter().paint(image, Points.empty((24, 16)), Count(0, 0.0, None, 0, 0))
    assert (picture == 0).all()


def test_lines_and_numbers_are_drawn() -> None:
    door = Zones.model_validate({"lines": [{"name": "door", "line": [[300, 100], [300, 300]]}]})
    image = np.zeros((400, 600, 3), np.uint8)
    points = Points(np.array([[100, 100], [500, 100]], np.float32), image_size=(600, 400))
    count = Count(0, 0.0, None, 2, 2, lines=(LineCount("door", 3, 4),))
    plain = Painter(door).paint(image, points, count)
    numbered = Painter(door).paint(image, points, count, [17, 0])
    assert plain[120, 299, 0] > 200 > plain[80, 299, 0]
    arrow = np.abs(plain[150:250].astype(int) - (255, 190, 40)).max(axis=2) < 60
    assert arrow[:, 310:325].any()  # the left of a line that goes down is the right of the picture
    assert not arrow[:, 275:290].any()
    changed = (plain != numbered).any(axis=2)
    assert changed[80:120, 80:140].any()
    assert not changed[:, 200:].any()
