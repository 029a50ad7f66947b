"""Count people crossing a line in each direction."""

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Literal

CLEAR_TIME = 0.25
"""Seconds for which a person must be clear of a line to have crossed it.

Near others, somebody else's point may be taken for theirs on single frames."""

Position = tuple[float, float]
Direction = Literal["in", "out"]


@dataclass(slots=True)
class _Path:
    place: Position
    seconds: float
    net: int = 0
    """Uncounted crossings to the left, minus those to the right."""
    cleared: float = math.inf
    """Time since when the person is clear of the line, after such a crossing."""


@dataclass(slots=True)
class LineCounter:
    """Counter of people who cross a line.

    A person crosses when the step from one frame to the next intersects the line segment. The crossing counts
    once the person has been clear of the line for `CLEAR_TIME`, or is gone, so that people standing on the
    line are not counted repeatedly. The crossing of somebody who is not certain yet waits until they are, and
    never counts if they are gone before.

    Attributes:
        line: end points (x, y) in pixels.
        patience: seconds after which an unseen person is gone.
        inward: people who crossed from right to left, looking from the first end point to the second.
        outward: people who crossed from left to right.
    """

    line: tuple[Position, Position]
    patience: float
    inward: int = 0
    outward: int = 0
    _paths: dict[int, _Path] = field(default_factory=dict)

    def update(
        self,
        seconds: float,
        places: Mapping[int, Position],
        margins: Mapping[int, float],
        certain: Container[int],
        last: bool = False,
    ) -> list[tuple[int, Direction]]:
        """Update with the people of a frame, and return the id and direction of each counted crossing.

        Args:
            seconds: time of the frame.
            places: (x, y) in pixels by person id.
            margins: distance in pixels at which each person is clear of the line.
            certain: ids of people who are no false detections.
            last: the video ends with this frame, so that everybody is gone.
        """
        finished: list[tuple[int, int]] = []
        for person, place in places.items():
            path = self._paths.setdefault(person, _Path(place, seconds))
            path.net += self._detect_crossing(path.place, place)
            path.place, path.seconds = place, seconds
            clear = path.net and abs(self._distance(place)) >= margins[person]
            path.cleared = min(path.cleared, seconds) if clear else math.inf
            if seconds - path.cleared >= CLEAR_TIME and person in certain:
                finished.append((person, path.net))
                path.net, path.cleared = 0, math.inf
        gone = [p for p, path in self._paths.items() if last or seconds - path.seconds > self.patience]
        for person in gone:
            finished.append((person, self._paths.pop(person).net))
        return [(person, self._count(net > 0)) for person, net in finished if net and person in certain]

    def _count(self, inward: bool) -> Direction:
        self.inward += inward
        self.outward += not inward
        return "in" if inward else "out"

    def _distance(self, place: Position) -> float:
        """Compute the signed distance in pixels from the infinite line, positive on its left."""
        (x, y), (end_x, end_y) = self.line
        return -_turn((x, y), (end_x, end_y), place) / math.dist((x, y), (end_x, end_y))

    def _detect_crossing(self, before: Position, now: Position) -> int:
        """Return 1 for a step across the segment to its left, -1 to its right, 0 otherwise."""
        was, is_ = self._distance(before) >= 0, self._distance(now) >= 0
        first, last = self.line
        if was == is_ or (_turn(before, now, first) >= 0) == (_turn(before, now, last) >= 0):
            return 0
        return 1 if is_ else -1


def _turn(start: Position, end: Position, place: Position) -> float:
    """Compute the cross product, positive if `place` is right of the line from `start` to `end` (y down)."""
    return (end[0] - start[0]) * (place[1] - start[1]) - (end[1] - start[1]) * (place[0] - start[0])
