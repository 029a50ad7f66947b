"""Who crosses a line, and in which direction."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Place = tuple[float, float]
Direction = Literal["in", "out"]


@dataclass(slots=True)
class _Walk:
    """What is known of one person near a line."""

    place: Place
    seconds: float
    net: int = 0  # crossings to the left, less those to the right, that are not counted yet


@dataclass(slots=True)
class LineCounter:
    """Counts the people who cross a line.

    A way from one frame to the next that meets the line crosses it; a way around its end does not. A crossing
    counts once the person is clear of the line, or is gone, so that somebody who stands on it does not count
    again and again.

    Attributes:
        line: both ends (x, y) in pixels.
        patience: seconds after which a person who is not seen is gone.
        inward: people who crossed from the right to the left, as seen from the first end.
        outward: people who crossed from the left to the right.
    """

    line: tuple[Place, Place]
    patience: float
    inward: int = 0
    outward: int = 0
    _walks: dict[int, _Walk] = field(default_factory=dict)

    def update(
        self, seconds: float, places: Mapping[int, Place], margins: Mapping[int, float]
    ) -> list[tuple[int, Direction]]:
        """Take the people of a frame.

        Args:
            seconds: time of the frame.
            places: (x, y) in pixels, by the person's id.
            margins: pixels from the line at which each is clear of it.

        Returns:
            Who crossed in which direction.
        """
        crossed: list[tuple[int, Direction]] = []
        for person, place in places.items():
            walk = self._walks.setdefault(person, _Walk(place, seconds))
            walk.net += self._side_change(walk.place, place)
            walk.place, walk.seconds = place, seconds
            if walk.net and abs(self._distance(place)) >= margins[person]:
                crossed.append((person, self._count(walk)))
        for person in [p for p, walk in self._walks.items() if seconds - walk.seconds > self.patience]:
            walk = self._walks.pop(person)
            if walk.net:
                crossed.append((person, self._count(walk)))
        return crossed

    def _count(self, walk: _Walk) -> Direction:
        inward = walk.net > 0
        walk.net = 0
        self.inward += inward
        self.outward += not inward
        return "in" if inward else "out"

    def _distance(self, place: Place) -> float:
        """Pixels from the line, drawn on beyond its ends; above 0 on the left of it."""
        (x, y), (end_x, end_y) = self.line
        return -_turn((x, y), (end_x, end_y), place) / math.dist((x, y), (end_x, end_y))

    def _side_change(self, before: Place, now: Place) -> int:
        """1 for a step over the line to its left, -1 to its right, 0 for any other."""
        was, is_ = self._distance(before) >= 0, self._distance(now) >= 0
        first, last = self.line
        if was == is_ or (_turn(before, now, first) >= 0) == (_turn(before, now, last) >= 0):
            return 0
        return 1 if is_ else -1


def _turn(start: Place, end: Place, place: Place) -> float:
    """Above 0 if a place lies on the right of the way from `start` to `end`, with y downwards."""
    return (end[0] - start[0]) * (place[1] - start[1]) - (end[1] - start[1]) * (place[0] - start[0])
