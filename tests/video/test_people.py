import numpy as np
import numpy.typing as npt
import pytest

from crowdpoint.counts import Crossing, Stay
from crowdpoint.points import Points
from crowdpoint.video.people import CANDIDATES, HOLD_TIME, MIN_STAY, People
from crowdpoint.video.smoothing import HeldMedian
from crowdpoint.video.tracking import LOST_TIMEOUT, compute_reaches
from crowdpoint.zones import Zones

SIZE = (640, 480)
RATE = 10
PARTS = Zones.model_validate(
    {
        "zones": [{"name": "left", "polygon": [[0, 0], [320, 0], [320, 480], [0, 480]]}],
        "lines": [{"name": "door", "line": [[320, 0], [320, 480]]}],
    }
)


def _points(xy: npt.ArrayLike, scores: npt.ArrayLike = 0.9) -> Points:
    places = np.array(xy, np.float32).reshape(-1, 2)
    return Points(places, np.broadcast_to(np.array(scores, np.float32), len(places)), image_size=SIZE)


def _crowd(rng: np.random.Generator, people: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where people are on the left and on the right at first, and how far they walk in a frame."""
    starts = np.column_stack((rng.uniform(20, 300, people), np.linspace(20, 460, people)))
    starts[::2, 0] += 320
    pace = rng.uniform(3, 8, people) * np.where(np.arange(people) % 2, 1, -1)
    return starts, np.column_stack((pace, np.zeros(people)))


def test_people_who_walk_keep_their_numbers_and_cross_once() -> None:
    """In both directions, with points that shake and are missing now and then."""
    rng = np.random.default_rng(0)
    starts, steps = _crowd(rng, 24)
    people = People(0.5, RATE, PARTS)
    crossed: list[Crossing] = []
    numbers: dict[int, set[int]] = {}
    for frame in range(100):
        xy = starts + frame * steps
        there = (xy[:, 0] > 0) & (xy[:, 0] < SIZE[0]) & (rng.random(len(xy)) > 0.1)
        presence = people.update(_points((xy + rng.normal(0, 0.8, xy.shape))[there]), frame / RATE)
        crossed += presence.crossed
        for person, number in zip(np.flatnonzero(there), presence.ids, strict=True):
            numbers.setdefault(int(person), set()).add(int(number))
    true_in = int(((steps[:, 0] < 0) & (starts[:, 0] + 99 * steps[:, 0] < 320)).sum())
    true_out = int(((steps[:, 0] > 0) & (starts[:, 0] + 99 * steps[:, 0] > 320)).sum())
    assert min(true_in, true_out) > 8
    # The line goes down, so that its left, as seen from the upper end, is the right of the picture.
    assert (people.lines["door"].inward, people.lines["door"].outward) == (true_out, true_in)
    assert len({crossing.person for crossing in crossed}) == len(crossed) == true_in + true_out
    assert all(len(found - {0}) == 1 for found in numbers.values())
    assert people.footfall[""].people == 24


def test_somebody_who_is_hidden_for_a_while_is_the_same_person() -> None:
    people = People(0.5, RATE)
    ids = set()
    for frame in range(40):
        hidden = 15 <= frame < 15 + round(RATE * LOST_TIMEOUT) - 3
        xy = [] if hidden else [[20 + 6 * frame, 100]]
        ids |= set(people.update(_points(xy), frame / RATE).ids.tolist())
    assert ids == {0, 1}


def test_a_score_that_wavers_around_the_threshold_does_not_flicker() -> None:
    rng = np.random.default_rng(1)
    xy = rng.uniform(20, 460, (40, 2))
    means = np.linspace(0.2, 0.9, 40)
    people = People(0.5, RATE, PARTS)
    raw, steady, zone = [], [], []
    for frame in range(200):
        scores = np.clip(means + rng.normal(0, 0.08, 40), 0, 1)
        seen = scores >= CANDIDATES * 0.5
        presence = people.update(_points(xy[seen], scores[seen]), frame / RATE)
        raw.append(int((scores >= 0.5).sum()))
        steady.append(presence.steady)
        zone.append(presence.zones["left"])
    settled = slice(50, None)
    assert np.abs(np.diff(raw[settled])).sum() > 100
    assert np.abs(np.diff(steady[settled])).sum() < 10
    assert np.abs(np.diff(zone[settled])).sum() < 10
    assert np.mean(steady[settled]) == pytest.approx(np.mean(raw[settled]), abs=4)


def test_a_crowd_that_stands_in_noise_has_a_steady_count_that_follows_real_changes() -> None:
    """A third of the heads waver around the threshold; six people come after 14 seconds, and go after 21."""
    rng = np.random.default_rng(4)
    xy = np.stack(np.meshgrid(np.arange(20, 640, 60), np.arange(40, 480, 60)), axis=-1).reshape(-1, 2)
    means = np.where(np.arange(len(xy)) % 3, 0.85, rng.uniform(0.3, 0.65, len(xy)))
    means[:6] = 0
    people, rate = People(0.5, 8, PARTS), 8
    smooth, smooth_zone = HeldMedian(1.0), HeldMedian(1.0)
    raw, smoothed, zone = [], [], []
    for frame in range(28 * rate):
        means[:6] = 0.9 * (14 <= frame / rate < 21)
        scores = np.clip(means + rng.normal(0, 0.12, len(xy)), 0, 1)
        seen = scores >= CANDIDATES * 0.5
        places = xy[seen] + rng.normal(0, 0.5, (int(seen.sum()), 2))
        presence = people.update(_points(places, scores[seen]), frame / rate)
        raw.append(int((scores >= 0.5).sum()))
        smoothed.append(smooth.add(frame / rate, presence.steady))
        zone.append(smooth_zone.add(frame / rate, presence.zones["left"]))
    still = slice(3 * rate, 14 * rate)
    assert np.count_nonzero(np.diff(raw[still])) > 50
    assert np.count_nonzero(np.diff(smoothed[still])) <= 2
    assert len(set(zone[still])) == 1
    assert smoothed[-1] == pytest.approx(np.mean(raw[still]), abs=3)
    before, late = smoothed[14 * rate - 1], round(1.5 * rate)
    assert smoothed[14 * rate + late] - before == pytest.approx(6, abs=1)
    assert smoothed[21 * rate + late] - before == pytest.approx(0, abs=1)


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.95])
def test_somebody_who_becomes_clear_is_counted_again(threshold: float) -> None:
    """At any threshold."""
    people = People(threshold, RATE)
    scores = [1.0] * 5 + [0.4 * threshold] * 80 + [1.0] * 60
    steady = [people.update(_points([[9, 9]], score), i / RATE).steady for i, score in enumerate(scores)]
    assert (steady[4], steady[84], steady[-1]) == (1, 0, 1)


def test_a_false_detection_that_crosses_a_line_is_not_counted() -> None:
    """Its score exceeds the threshold once, and then keeps the track alive below it."""
    people = People(0.5, RATE, PARTS)
    for frame in range(60):
        person, flash = [100 + 8 * frame, 100], [100 + 8 * frame, 400]
        people.update(_points([person, flash], [0.9, 0.35 if frame else 0.6]), frame / RATE)
    assert (people.lines["door"].inward, people.lines["door"].outward) == (1, 0)


def test_the_people_of_a_dense_moving_crowd_are_not_confused() -> None:
    """A camera pans along rows of heads, of which one in four is missed on each frame."""
    rng = np.random.default_rng(6)
    grid = np.stack(np.meshgrid(np.arange(0, 900, 18), np.arange(20, 200, 18)), axis=-1).reshape(-1, 2)
    places = grid + rng.normal(0, 3, grid.shape)
    people = People(0.5, 8, PARTS)
    for frame in range(60):
        seen = places - (4 * frame, 0)
        kept = (seen[:, 0] > 0) & (seen[:, 0] < SIZE[0]) & (rng.random(len(seen)) > 1 / 4)
        xy = (seen + rng.normal(0, 0.7, seen.shape))[kept].astype(np.float32)
        sizes = np.full_like(xy, 15)
        scores = np.full(len(xy), 0.9, np.float32)
        people.update(Points(xy, scores, sizes=sizes, image_size=SIZE), frame / 8, last=frame == 59)
    true = int(((places[:, 0] > 320) & (places[:, 0] - 4 * 59 < 320)).sum())
    assert people.lines["door"].inward <= 0.02 * true
    assert people.lines["door"].outward == pytest.approx(true, rel=0.08)


def test_two_people_side_by_side_may_walk_farther_in_a_frame_than_they_are_apart() -> None:
    people = People(0.5, 5, PARTS)
    for frame in range(22):
        xy = np.array([[100 + 20 * frame, 200], [104 + 20 * frame, 216]], np.float32)
        points = Points(xy, np.full(2, 0.9, np.float32), sizes=np.full_like(xy, 15), image_size=SIZE)
        people.update(points, frame / 5)
    assert (people.lines["door"].inward, people.lines["door"].outward) == (2, 0)


def test_somebody_who_vanishes_on_the_line_is_counted_despite_rounding() -> None:
    """At 2.1 s, `2.1 - 1.5 > 0.6`, but not `2.1 - 0.6 > 1.5`."""
    people = People(0.3, RATE, PARTS)
    for frame in range(25):
        people.update(_points([[298 + 4 * frame, 100]] if frame <= 6 else []), frame / RATE)
    assert (people.lines["door"].inward, people.lines["door"].outward) == (1, 0)


def test_somebody_on_the_line_when_the_camera_is_lost_has_crossed_it() -> None:
    people = People(0.5, RATE, PARTS)
    for frame in range(51):
        people.update(_points([[221 + 2 * frame, 240]]), frame / RATE)  # 321 at last, not yet clear of 320
    people.update(_points([]), 35)
    people.update(_points([]), 35.1)
    assert people.lines["door"].outward + people.lines["door"].inward == 1


def test_somebody_on_the_edge_of_a_zone_does_not_flicker() -> None:
    rng = np.random.default_rng(2)
    people = People(0.5, RATE, PARTS)
    inside = [
        people.update(_points([[320 + rng.normal(0, 0.6), 100]]), frame / RATE).zones["left"]
        for frame in range(100)
    ]
    assert np.abs(np.diff(inside)).sum() <= 2


def test_untracked_people_are_counted_by_the_threshold() -> None:
    """At one frame a second everybody is somewhere else."""
    rng = np.random.default_rng(3)
    people = People(0.5, 1)
    for frame in range(30):
        assert people.update(_points(rng.uniform(0, 480, (20, 2))), float(frame)).steady == 20


def test_somebody_who_is_not_seen_is_counted_for_a_moment_only() -> None:
    people = People(0.5, 20)
    steady = [
        people.update(_points([[100, 100]] if frame < 20 else []), frame / 20).steady for frame in range(40)
    ]
    assert steady == [1] * (20 + round(HOLD_TIME * 20)) + [0] * (20 - round(HOLD_TIME * 20))


def test_the_time_in_a_zone_and_in_the_picture() -> None:
    people = People(0.5, RATE, PARTS)
    gone: list[Stay] = []
    for frame in range(100):
        places = [[500, 50]] if frame < 90 else []
        if frame < 60:
            places.append([20 + 10 * frame, 300])  # passes the edge of the zone after 30 frames
        gone += people.update(_points(places), frame / RATE).gone
    stays = {(stay.person, stay.zone): stay for stay in (*gone, *people.list_remaining())}
    assert {key for key in stays if key[1] == ""} == {(1, ""), (2, "")}
    passing = next(stay for stay in stays.values() if stay.zone == "left")
    assert (passing.first, passing.last) == pytest.approx((0.1, 3.0), abs=0.21)
    assert passing.dwell == pytest.approx(passing.last - passing.first)
    assert stays[passing.person, ""].dwell == pytest.approx(5.8, abs=0.11)
    assert passing in gone
    footfall = people.footfall["left"]
    assert footfall.people == 1
    assert footfall.dwell == pytest.approx(passing.dwell)
    assert people.footfall[""].people == 2
    assert people.footfall[""].dwell == pytest.approx((5.8 + 8.8) / 2, abs=0.11)


def test_the_time_outside_a_zone_is_not_spent_in_it() -> None:
    """Somebody is in the zone for 3 seconds, then outside, hidden for a moment, and back for 3 seconds."""
    people = People(0.5, RATE, PARTS)
    inside = []
    for frame in range(100):
        x = 330 if abs(frame - 50) < 20 else 310
        hidden = frame in (50, 51)
        presence = people.update(_points([] if hidden else [[x, 100]]), frame / RATE)
        inside.append(presence.zones["left"])
        assert presence.steady == 1
    assert inside == [1] * 31 + [0] * 39 + [1] * 30
    stays = {stay.zone: stay for stay in people.list_remaining()}
    assert stays[""].dwell == pytest.approx(9.8, abs=0.11)
    assert stays["left"].last == pytest.approx(9.9)
    assert stays["left"].dwell == pytest.approx(5.8, abs=0.11)
    assert people.footfall["left"].people == 1


def test_a_short_false_detection_is_not_a_person() -> None:
    people = People(0.5, RATE)
    for frame in range(100):
        times, step = divmod(frame, 20)
        flash = [[100 * times + 100, 400]] if step < MIN_STAY * RATE - 1 else []
        assert not people.update(_points([[100, 100], *flash]), frame / RATE).gone, "no stay, either"
    assert people.footfall[""].people == 1


def test_zones_and_lines_follow_the_size_of_the_frame() -> None:
    parts = PARTS.model_copy(update={"image_size": SIZE})
    people = People(0.5, RATE, parts)
    small = Points(np.array([[150, 10], [170, 10]], np.float32), image_size=(320, 240))
    assert people.update(small, 0.0).zones == {"left": 1}
    assert people.lines["door"].line == ((160, 0), (160, 240))


def test_the_reach_follows_the_heads_or_the_neighbours() -> None:
    xy = np.array([[10, 10], [30, 10], [50, 10], [70, 10]], np.float32)
    sizes = np.array([[8, 12], [4, 4], [0, 0], [20, 20]], np.float32)
    assert compute_reaches(Points(xy, sizes=sizes)).tolist() == [25, 10, 1, 40]  # the last by its neighbours
    near, far = (compute_reaches(Points(factor * xy, image_size=SIZE)) for factor in (1, 1.5))
    assert np.allclose(1.5 * near, far)
    assert compute_reaches(Points(xy[:1], image_size=SIZE)).tolist() == [pytest.approx(0.045 * 800)]
    assert len(compute_reaches(Points.empty(SIZE))) == 0
