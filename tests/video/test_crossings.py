from collections.abc import Sequence

import pytest

from crowdpoint.video.crossings import CLEAR_TIME, LineCounter, Position

DOOR = ((10.0, 50.0), (90.0, 50.0))


def _walk(
    places: Sequence[Position],
    line: tuple[Position, Position] = DOOR,
    margin: float = 3.0,
    certain: Sequence[int] = (7,),
) -> list[str]:
    """The directions in which person 7 crosses a line on frames that are a second apart."""
    counter = LineCounter(line, patience=1.5)
    found = [counter.update(second, {7: place}, {7: margin}, certain) for second, place in enumerate(places)]
    found += [counter.update(len(places) + wait, {}, {}, certain) for wait in range(3)]
    directions: list[str] = [direction for crossed in found for _, direction in crossed]
    assert (counter.inward, counter.outward) == (directions.count("in"), directions.count("out"))
    return directions


def test_up_over_a_line_from_left_to_right_is_in() -> None:
    up: list[Position] = [(50, 70), (50, 56), (51, 44), (50, 30)]
    assert _walk(up) == ["in"]
    assert _walk(up[::-1]) == ["out"]
    assert _walk(up, (DOOR[1], DOOR[0])) == ["out"]
    assert _walk(up + up[::-1] + up) == ["in", "out", "in"]


@pytest.mark.parametrize(
    "places",
    [
        [(50, 70), (50, 52), (20, 70)],
        [(5, 60), (5, 40), (50, 40)],
        [(50, 60), (95, 60), (95, 40), (50, 40)],
        [(200, 70), (200, 30)],
    ],
    ids=["turns", "beside", "around", "far"],
)
def test_people_who_do_not_cross_are_not_counted(places: list[Position]) -> None:
    assert _walk(places) == []


def test_who_is_not_certain_is_not_counted_clear_of_the_line_or_gone() -> None:
    assert _walk([(50, 70), (50, 49), (50, 30)], certain=()) == []
    assert _walk([(50, 70), (50, 49)], certain=()) == []


def test_the_crossing_of_who_becomes_certain_later_counts_then() -> None:
    counter = LineCounter(DOOR, patience=1.5)
    found = [
        counter.update(second, {7: place}, {7: 3}, certain)
        for second, (place, certain) in enumerate(
            [((50, 70), ()), ((50, 40), ()), ((50, 30), ()), ((50, 20), (7,)), ((50, 10), (7,))]
        )
    ]
    assert found == [[], [], [], [(7, "in")], []]


def test_a_person_standing_on_the_line_is_counted_once() -> None:
    shaking: list[Position] = [(50, 50 + shake) for shake in (1, -1, 2, -2, 0.5, -1)]
    assert _walk([(50, 70), *shaking, (50, 30)]) == ["in"]
    assert _walk([(50, 70), *shaking, (50, 70)]) == []


def test_a_person_who_vanishes_just_beyond_the_line_has_crossed() -> None:
    assert _walk([(50, 70), (50, 49)]) == ["in"]


def test_who_is_taken_for_somebody_beyond_the_line_for_a_moment_has_not_crossed() -> None:
    def count(*moments: float) -> int:
        """Count the crossings of somebody who is beyond the line for the last so many seconds."""
        counter = LineCounter(DOOR, patience=1.5)
        places = [(0.0, 70.0), *((1 + moment, 30.0) for moment in moments), (1.5, 70.0)]
        for seconds, y in places:
            counter.update(seconds, {7: (50, y)}, {7: 3}, [7])
        return counter.inward + counter.outward

    assert count(0, 0.1, 0.2) == 0
    assert count(0, 0.1, 0.2, CLEAR_TIME) == 1


def test_who_steps_back_onto_the_line_is_not_clear_of_it() -> None:
    counter = LineCounter(DOOR, patience=1.5)
    places = [(0.0, 70.0), (1.0, 30.0), (1.1, 49.0), (1.4, 49.0), (1.5, 30.0), (1.7, 30.0), (1.8, 30.0)]
    found = [counter.update(seconds, {7: (50, y)}, {7: 3}, [7]) for seconds, y in places]
    assert [seconds for (seconds, _), crossed in zip(places, found, strict=True) if crossed] == [1.8]


def test_who_is_beyond_the_line_when_the_video_ends_has_crossed() -> None:
    counter = LineCounter(DOOR, patience=1.5)
    counter.update(0, {7: (50, 70), 8: (60, 70)}, {7: 3, 8: 3}, [7, 8])
    assert counter.update(1, {7: (50, 49), 8: (60, 51)}, {7: 3, 8: 3}, [7, 8], last=True) == [(7, "in")]


def test_a_long_step_crosses_where_it_meets_the_line() -> None:
    assert _walk([(0, 100), (100, 0)]) == ["in"]
    assert _walk([(0, 60), (200, 40)], ((10.0, 50.0), (30.0, 50.0))) == []
