"""Track the people of a video: presence, stays in zones, and crossings of lines."""

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from crowdpoint.counts import Crossing, Stay
from crowdpoint.points import FloatArray, IntArray, Points
from crowdpoint.video.crossings import LineCounter, Position
from crowdpoint.video.tracking import LOST_TIMEOUT, Tracker, compute_reaches
from crowdpoint.zones import Zones

CANDIDATES = 0.3
"""Fraction of the threshold above which points keep a track alive."""

AVERAGING_TIME = 2.0
"""Time constant in seconds for averaging the scores of a person."""

BAND = 0.25
"""Half-width of the band around the threshold in which an average score does not change whether a person is
counted, as a fraction of the distance from the threshold to 0 or 1, whichever is nearer."""

SETTLING_TIME = 0.5
"""Seconds for which a new person is counted by the threshold itself, as the average is not reliable yet."""

CERTAIN_TIME = 1.0
"""Seconds after which a person stays certain once the average score has reached the threshold.

Only the crossings of certain people count. They may be hidden later, as people often are where they cross."""

HOLD_TIME = 0.25
"""Seconds for which an unseen person stays counted."""

MIN_STAY = 0.5
"""Seconds for which a person must be tracked to count as a distinct person."""

_CLEARANCE = 0.2  # distance from a line or zone edge that is clearly on one side, as a fraction of the reach


@dataclass(frozen=True, slots=True)
class Presence:
    """People on one frame.

    Attributes:
        ids: (N,) number of the person at each point, from 1; 0 if unknown.
        steady: tracked people in the image, without flicker of single frames.
        zones: tracked people in each zone, by name.
        crossed: crossings counted on this frame.
        gone: stays finished on this frame.
    """

    ids: IntArray
    steady: int
    zones: dict[str, int]
    crossed: tuple[Crossing, ...]
    gone: tuple[Stay, ...]


@dataclass(slots=True)
class _Spell:
    first: float
    last: float
    dwell: float = 0.0
    here: bool = True


@dataclass(slots=True)
class _Person:
    place: Position
    score: float
    seen: float
    age: float = 0.0
    peak: float = 0.0
    """Average score; from `CERTAIN_TIME` on, its maximum."""
    counted: bool = False
    spells: dict[str, _Spell] = field(default_factory=dict)
    """By name of the zone; '' is the whole image."""


@dataclass(slots=True)
class Footfall:
    """Distinct people in a place.

    Attributes:
        people: number of people who stayed for at least `MIN_STAY`.
        seconds: total time of their stays.
    """

    people: int = 0
    seconds: float = 0.0

    @property
    def dwell(self) -> float:
        """Mean stay in seconds; 0 without people."""
        return self.seconds / self.people if self.people else 0.0


class People:
    """Tracker of the people of a video, with zones and lines.

    Args:
        threshold: score threshold of the model.
        rate: approximate frame rate in frames per second.
        zones: zones and lines.

    Attributes:
        footfall: footfall of each zone by name; '' is the whole image.
        lines: line counters by name.
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
        self.lines = {line.name: LineCounter(line.line, LOST_TIMEOUT) for line in lines}

    def update(self, candidates: Points, seconds: float, last: bool = False) -> Presence:
        """Update with the points of the next frame.

        Args:
            candidates: points with scores down to `CANDIDATES` times the threshold, and an image size.
            seconds: time of the frame; must increase.
            last: the video ends with this frame, so that people on a line have crossed it.
        """
        candidates = self._fit(candidates)
        reaches = compute_reaches(candidates)
        ids = self._tracker.update(candidates, reaches, seconds)
        margins = _CLEARANCE * reaches
        self._update_persons(candidates, ids, seconds)
        counts = dict.fromkeys(self.footfall, 0)
        for row, person in enumerate(ids.tolist()):
            known = self._persons.get(person)
            if known.counted if known else candidates.scores[row] >= self._threshold:
                for place in self._update_places(candidates.xy[row], float(margins[row]), known):
                    counts[place] += 1
        for person in self._persons.values():
            if person.counted and 0 < seconds - person.seen <= HOLD_TIME:
                for place, spell in person.spells.items():
                    counts[place] += spell.here
        crossed = self._cross(ids, margins, seconds, last)
        self._seconds = seconds
        steady = counts.pop("")
        return Presence(ids + 1, steady, counts, crossed, self._leave(seconds))

    def list_remaining(self) -> tuple[Stay, ...]:
        """Return the stays of people who are still present."""
        return tuple(stay for number in self._persons for stay in self._list_stays(number))

    def _fit(self, candidates: Points) -> Points:
        """Convert to pixels of the first frame, so that people keep their places when the size changes."""
        width, height = candidates.require_size()
        if self._size is None:
            self._size = (width, height)
            fitted = self._zones.fit(self._size) if self._zones else Zones.model_construct()
            self._outlines = {zone.name: np.array(zone.polygon, np.float32) for zone in fitted.zones}
            for line in fitted.lines:
                self.lines[line.name].line = line.line
        if (width, height) == self._size:
            return candidates
        return candidates.scale(self._size[0] / width, self._size[1] / height, self._size)

    def _update_persons(self, points: Points, ids: IntArray, seconds: float) -> None:
        """Update the average score of every known person; unseen persons have a score of 0."""
        scores = {int(ids[row]): float(points.scores[row]) for row in np.flatnonzero(ids >= 0)}
        step = min(seconds - self._seconds, LOST_TIMEOUT)  # a lost camera is no evidence against people
        for number, person in self._persons.items():
            person.age += step
            # The mean of all scores at first, as the first score has exceeded the threshold by selection.
            weight = max(1 - math.exp(-step / AVERAGING_TIME), step / (person.age + step))
            person.score += weight * (scores.get(number, 0.0) - person.score)
        for row in np.flatnonzero(ids >= 0).tolist():
            number, place = int(ids[row]), (float(points.xy[row, 0]), float(points.xy[row, 1]))
            person = self._persons.setdefault(number, _Person(place, scores[number], seconds))
            person.place, person.seen = place, seconds
        band = BAND * min(self._threshold, 1 - self._threshold)
        for person in self._persons.values():
            shift = 0.0 if person.age < SETTLING_TIME else -band if person.counted else band
            person.counted = person.score >= self._threshold + shift
            person.peak = max(person.score, person.peak if person.age >= CERTAIN_TIME else 0.0)

    def _update_places(self, xy: FloatArray, margin: float, person: _Person | None) -> list[str]:
        """Find the zones that contain a point, and '', and update the stays of a known person.

        A person inside or outside a zone stays so until clear of its edge.
        """
        found = [""]
        for name, outline in self._outlines.items():
            depth = cv2.pointPolygonTest(outline, (float(xy[0]), float(xy[1])), True)
            spell = person.spells.get(name) if person else None
            if depth > (0 if spell is None else -margin if spell.here else margin):
                found.append(name)
        if person:
            self._add_time(person, found)
        return found

    def _add_time(self, person: _Person, places: list[str]) -> None:
        """Add the time since the last frame to the places that a person is still in."""
        for name, spell in person.spells.items():
            spell.here = spell.here and name in places
        for name in places:
            spell = person.spells.setdefault(name, _Spell(person.seen, person.seen))
            step = person.seen - spell.last if spell.here else 0.0
            before, after = spell.dwell, spell.dwell + step
            spell.last, spell.dwell, spell.here = person.seen, after, True
            footfall = self.footfall[name]
            if after >= MIN_STAY:
                is_new = before < MIN_STAY
                footfall.people += is_new
                footfall.seconds += after if is_new else step

    def _cross(self, ids: IntArray, margins: FloatArray, seconds: float, last: bool) -> tuple[Crossing, ...]:
        rows = np.flatnonzero(ids >= 0).tolist()
        places = {int(ids[row]): self._persons[int(ids[row])].place for row in rows}
        clear = {int(ids[row]): float(margins[row]) for row in rows}
        certain = {number for number, person in self._persons.items() if person.peak >= self._threshold}
        return tuple(
            Crossing(name, person + 1, direction)
            for name, line in self.lines.items()
            for person, direction in line.update(seconds, places, clear, certain, last)
        )

    def _leave(self, seconds: float) -> tuple[Stay, ...]:
        """Remove persons not seen for `LOST_TIMEOUT`, and return their stays."""
        # The same expression as in `LineCounter`, whose rounding would else differ: it counts on this frame.
        gone = [number for number, person in self._persons.items() if seconds - person.seen > LOST_TIMEOUT]
        stays = tuple(stay for number in gone for stay in self._list_stays(number))
        for number in gone:
            del self._persons[number]
        return stays

    def _list_stays(self, number: int) -> list[Stay]:
        return [
            Stay(number + 1, zone, spell.first, spell.last, spell.dwell)
            for zone, spell in self._persons[number].spells.items()
            if spell.dwell >= MIN_STAY
        ]
