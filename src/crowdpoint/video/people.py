"""The people of a video: who is there, who is in which zone and for how long, and who crossed which line."""

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from crowdpoint.counts import Crossing, Stay
from crowdpoint.points import FloatArray, Points
from crowdpoint.video.crossings import LineCounter, Place
from crowdpoint.video.tracking import LOST_SECONDS, Tracker, reaches
from crowdpoint.zones import Zones

CANDIDATES = 0.3
"""Points with a score of at least this share of the threshold keep a track alive."""

MEMORY_SECONDS = 1.0
"""Over about this time the scores of a person are averaged."""

LEAVING = 0.75
"""Somebody who is counted stays so until the average score falls below this share of the threshold."""

HOLD_SECONDS = 0.25
"""How long somebody who is counted may be unseen and is still counted."""

PROVEN_SECONDS = 0.5
"""How long somebody must have been followed to be one of the people of a video or a zone."""

_CLEAR = 0.2  # of a point's reach: how far from a line or the edge of a zone is clearly on one side


@dataclass(frozen=True, slots=True)
class Presence:
    """The people on one frame.

    Attributes:
        points: the points that the model finds, N of them.
        ids: (N,) number of the person at each point, from 1; 0 where it is not known yet.
        steady: people in the whole picture, without the flicker of single frames.
        zones: the same in each zone, by name.
        crossed: who crossed a line on this frame.
        gone: stays that are over.
    """

    points: Points
    ids: npt.NDArray[np.intp]
    steady: int
    zones: dict[str, int]
    crossed: tuple[Crossing, ...]
    gone: tuple[Stay, ...]


@dataclass(slots=True)
class _Spell:
    """The time that somebody has spent in a place."""

    first: float
    last: float
    dwell: float = 0.0
    here: bool = True


@dataclass(slots=True)
class _Person:
    """What is known of one person."""

    place: Place
    score: float
    seen: float
    counted: bool = False
    spells: dict[str, _Spell] = field(default_factory=dict)
    """By the name of the zone, '' for the whole picture."""


@dataclass(slots=True)
class Footfall:
    """The different people that a place has seen.

    Attributes:
        people: how many have been there for at least `PROVEN_SECONDS`.
        seconds: what they have spent there together.
    """

    people: int = 0
    seconds: float = 0.0

    @property
    def dwell(self) -> float:
        """Mean seconds for each of them, 0 for none."""
        return self.seconds / self.people if self.people else 0.0


class People:
    """Follows the people of one video.

    Args:
        threshold: least score of a point that is somebody; the model's.
        rate: frames a second, roughly.
        zones: parts of the picture, and lines across ways.

    Attributes:
        footfall: of the whole picture, named '', and of each zone.
        lines: the counters of the lines, by name.
    """

    def __init__(self, threshold: float, rate: float, zones: Zones | None = None) -> None:
        self._threshold, self._zones = threshold, zones
        self._tracker = Tracker(threshold, rate)
        self._persons: dict[int, _Person] = {}
        self._size: tuple[int, int] | None = None
        self._outlines: dict[str, FloatArray] = {}
        self._seconds = 0.0
        known = zones.zones if zones else ()
        self.footfall = {name: Footfall() for name in ("", *(zone.name for zone in known))}
        lines = zones.lines if zones else ()
        self.lines = {line.name: LineCounter(line.line, LOST_SECONDS) for line in lines}

    def update(self, candidates: Points, seconds: float) -> Presence:
        """Take the points of the next frame.

        Args:
            candidates: also those whose score is as low as `CANDIDATES` times the threshold; they know the
                size of their image.
            seconds: time of the frame; later than that of the frame before.

        Raises:
            ConfigError: if a zone or a line lies outside the picture.
        """
        self._fit(candidates.image_size)
        ids = self._tracker.update(candidates, seconds)
        margins = _CLEAR * reaches(candidates)
        self._remember(candidates, ids, seconds)
        counts = dict.fromkeys(self.footfall, 0)
        for row, person in enumerate(ids.tolist()):
            known = self._persons.get(person)
            if known.counted if known else candidates.scores[row] >= self._threshold:
                for place in self._places(candidates.xy[row], float(margins[row]), known):
                    counts[place] += 1
        for person in self._persons.values():
            if person.counted and 0 < seconds - person.seen <= HOLD_SECONDS:
                for place, spell in person.spells.items():
                    counts[place] += spell.here
        crossed = self._cross(ids, margins, seconds)
        self._seconds = seconds
        steady = counts.pop("")
        return Presence(candidates, ids + 1, steady, counts, crossed, self._leave(seconds - LOST_SECONDS))

    def remaining(self) -> tuple[Stay, ...]:
        """The stays of everybody who is still there."""
        return tuple(stay for number in self._persons for stay in self._stays(number))

    def _fit(self, size: tuple[int, int] | None) -> None:
        """Put zones and lines into the pixels of a frame of this (width, height)."""
        if self._zones is None or size == self._size:
            return
        self._size = size
        fitted = self._zones if size is None else self._zones.fitted(size)
        self._outlines = {zone.name: np.array(zone.polygon, np.float32) for zone in fitted.zones}
        for line in fitted.lines:
            self.lines[line.name].line = line.line

    def _remember(self, points: Points, ids: npt.NDArray[np.intp], seconds: float) -> None:
        """Average the scores of everybody who is known; those who are not seen have none."""
        kept = math.exp((self._seconds - seconds) / MEMORY_SECONDS)
        for person in self._persons.values():
            person.score *= kept
        for row in np.flatnonzero(ids >= 0).tolist():
            place, score = (float(points.xy[row, 0]), float(points.xy[row, 1])), float(points.scores[row])
            known = self._persons.get(int(ids[row]))
            if known is None:
                self._persons[int(ids[row])] = _Person(place, score, seconds)
            else:
                known.place, known.seen = place, seconds
                known.score += (1 - kept) * score
        for person in self._persons.values():
            least = self._threshold * (LEAVING if person.counted else 1)
            person.counted = person.score >= least

    def _places(self, xy: FloatArray, margin: float, person: _Person | None) -> list[str]:
        """The zones that a point is in, and '', and the time that a known person spends there.

        Somebody who is in a zone, or outside of it, stays so until clear of its edge.
        """
        found = [""]
        for name, outline in self._outlines.items():
            depth = cv2.pointPolygonTest(outline, (float(xy[0]), float(xy[1])), True)
            spell = person.spells.get(name) if person else None
            if depth > (0 if spell is None else -margin if spell.here else margin):
                found.append(name)
        if person:
            self._spend(person, found)
        return found

    def _spend(self, person: _Person, places: list[str]) -> None:
        """Add the time since the last frame to the places that somebody is still in."""
        for name, spell in person.spells.items():
            spell.here = spell.here and name in places
        for name in places:
            spell = person.spells.setdefault(name, _Spell(person.seen, person.seen))
            step = person.seen - spell.last if spell.here else 0.0
            before, after = spell.dwell, spell.dwell + step
            spell.last, spell.dwell, spell.here = person.seen, after, True
            footfall = self.footfall[name]
            if after >= PROVEN_SECONDS:
                is_new = before < PROVEN_SECONDS
                footfall.people += is_new
                footfall.seconds += after if is_new else step

    def _cross(self, ids: npt.NDArray[np.intp], margins: FloatArray, seconds: float) -> tuple[Crossing, ...]:
        rows = np.flatnonzero(ids >= 0).tolist()
        places = {int(ids[row]): self._persons[int(ids[row])].place for row in rows}
        clear = {int(ids[row]): float(margins[row]) for row in rows}
        return tuple(
            Crossing(name, person + 1, direction)
            for name, line in self.lines.items()
            for person, direction in line.update(seconds, places, clear)
        )

    def _leave(self, since: float) -> tuple[Stay, ...]:
        """Forget everybody who has not been seen since then, and return their stays."""
        gone = [number for number, person in self._persons.items() if person.seen < since]
        stays = tuple(stay for number in gone for stay in self._stays(number))
        for number in gone:
            del self._persons[number]
        return stays

    def _stays(self, number: int) -> list[Stay]:
        return [
            Stay(number + 1, zone, spell.first, spell.last, spell.dwell)
            for zone, spell in self._persons[number].spells.items()
            if spell.dwell >= PROVEN_SECONDS
        ]
