from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest

from crowdpoint.errors import ConfigError, VideoError
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.video.frames import Frame
from crowdpoint.video.watcher import Sighting, Watcher
from crowdpoint.zones import Zones

SIZE = (640, 480)
RATE = 10
PLAZA = [[x, y] for x in range(20, 320, 60) for y in range(20, 480, 80)]
"""Places of 30 people."""
ZONES = Zones.model_validate(
    {
        "ground": {
            "image": [[0, 0], [640, 0], [640, 480], [0, 480]],
            "metres": [[0, 0], [4, 0], [4, 2], [0, 2]],
        },
        "zones": [
            {
                "name": "left",
                "polygon": [[0, 0], [320, 0], [320, 480], [0, 480]],
                "alert": {"above": 2, "for": "200ms"},
            }
        ],
        "lines": [{"name": "door", "line": [[400, 0], [400, 480]]}],
    }
)


class _Scripted:
    """A predictor that finds given people, in pixels of `SIZE`, on frames of any size."""

    threshold = 0.5

    def __init__(self, people: Sequence[Sequence[Sequence[float]]]) -> None:
        self._people = iter(people)

    def predict(self, pixels: Any, threshold: float) -> Points:
        height, width, _ = pixels.shape
        xy = np.array(next(self._people), np.float32).reshape(-1, 2)
        points = Points(xy, np.full(len(xy), 0.9, np.float32), image_size=SIZE)
        return points.scale(width / SIZE[0], height / SIZE[1], (width, height))


def _watch(
    people: Sequence[Sequence[Sequence[float]]],
    zones: Zones | None = None,
    window: float = 0.5,
    sizes: Sequence[tuple[int, int]] = (SIZE,),
) -> list[Sighting]:
    """Count frames with these people, whose sizes take turns."""
    watcher = Watcher(cast(Predictor, _Scripted(people)), RATE, zones, window)
    sightings = []
    for index in range(len(people)):
        width, height = sizes[index * len(sizes) // len(people)]
        pixels = np.zeros((height, width, 3), np.uint8)
        sightings.append(watcher.see(Frame(index, index / RATE, None, pixels)))
    return sightings


def test_alerts_and_densities_follow_the_smoothed_count() -> None:
    flash = 10
    people = [PLAZA[:1]] * 20 + [PLAZA[:4]] * 20
    people[flash] = PLAZA[:6]
    seen = _watch(people, ZONES)
    (zone,) = seen[flash].count.zones
    assert (zone.count, zone.smoothed, zone.alert) == (6, 1, False)
    assert zone.per_m2 == pytest.approx(0.25)
    (zone,) = seen[-1].count.zones
    assert (zone.count, zone.smoothed, zone.alert) == (4, 4, True)
    assert zone.per_m2 == pytest.approx(1.0)
    ((frame, alert),) = [(index, alert) for index, sighting in enumerate(seen) for alert in sighting.alerts]
    assert (alert.state, alert.value, alert.level) == ("raised", 4, 2)
    first = next(index for index, sighting in enumerate(seen) if sighting.count.zones[0].smoothed > 2)
    assert frame == first + 2 > 23  # 0.2 seconds later


def test_points_have_the_numbers_of_their_people() -> None:
    seen = _watch([[[40, 40], [400, 300]]] * 5)
    assert sorted(seen[-1].persons.tolist()) == [1, 2]


@pytest.mark.parametrize("zones", [None, ZONES], ids=["plain", "zones"])
def test_people_stay_the_same_when_the_size_of_frames_changes(zones: Zones | None) -> None:
    walk = [[*PLAZA, [160 + 12 * frame, 470]] for frame in range(40)]
    seen = _watch(walk, zones, sizes=[SIZE, (320, 240), (960, 720)])
    count = seen[-1].count
    assert (count.people, count.count) == (31, 31)
    if zones:
        assert (count.zones[0].count, count.zones[0].people, count.zones[0].smoothed) == (30, 31, 30)
        assert (count.lines[0].inward, count.lines[0].outward) == (1, 0)


def test_zones_need_frames_of_one_shape() -> None:
    other = ZONES.model_copy(update={"image_size": (400, 400)})
    with pytest.raises(ConfigError, match="400x400 pixels, found 640x480"):
        _watch([PLAZA], other)
    with pytest.raises(VideoError, match=r"frame 5: expected .* 640x480 pixels, .* found 400x400"):
        _watch([PLAZA] * 10, ZONES, sizes=[SIZE, (400, 400)])
    assert _watch([PLAZA] * 10, sizes=[SIZE, (400, 400)])[-1].count.count == 30
