"""Count the frames of a video: track people, smooth counts and raise alerts."""

from dataclasses import dataclass

from crowdpoint.counts import Alert, Count, Crossing, LineCount, Stay, ZoneCount
from crowdpoint.errors import ConfigError, VideoError
from crowdpoint.points import IntArray, Points
from crowdpoint.predict import Predictor
from crowdpoint.video.alerts import Alarm
from crowdpoint.video.frames import Frame
from crowdpoint.video.people import CANDIDATES, People, Presence
from crowdpoint.video.smoothing import HeldMedian
from crowdpoint.zones import Zones

WINDOW = 1.0
"""Seconds for which a change of a count must last, by default."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Results of one frame."""

    points: Points
    """People on the frame."""
    persons: IntArray
    """(N,) number of the person at each point, from 1; 0 if unknown."""
    count: Count
    """Counts of the image, the zones and the lines."""
    alerts: tuple[Alert, ...] = ()
    """Alerts raised or cleared on this frame."""
    crossings: tuple[Crossing, ...] = ()
    """Crossings counted on this frame."""
    stays: tuple[Stay, ...] = ()
    """Stays finished on this frame."""


class Watcher:
    """Counter of the frames of a run. Smoothed counts follow changes that last for `window` seconds."""

    def __init__(
        self, predictor: Predictor, rate: float, zones: Zones | None = None, window: float = WINDOW
    ) -> None:
        self._predictor, self.zones = predictor, zones
        self._size: tuple[int, int] | None = None
        self._people = People(predictor.threshold, rate, zones)
        self._smooth = HeldMedian(window)
        known = () if zones is None else zones.zones
        self._smooth_zones = {zone.name: HeldMedian(window) for zone in known}
        self._alarms = {zone.name: Alarm(zone.alert) for zone in known if zone.alert}

    def see(self, frame: Frame, last: bool = False) -> Sighting:
        """Count the next frame, which may be known to be the last of the video.

        Raises:
            ConfigError: if the zones do not fit the first frame.
            VideoError: if there are zones, and the frame has another shape than the first one. It is not
                counted; the next one may be.
        """
        self._fit((frame.pixels.shape[1], frame.pixels.shape[0]), frame.index)
        least = CANDIDATES * self._predictor.threshold
        candidates = self._predictor.predict(frame.pixels, threshold=least)
        presence = self._people.update(candidates, frame.seconds, last)
        confident = candidates.scores >= self._predictor.threshold
        points = candidates.select(confident)
        zones, alerts = self._count_zones(points, presence, frame)
        lines = tuple(LineCount(name, line.inward, line.outward) for name, line in self._people.lines.items())
        smoothed = self._smooth.add(frame.seconds, presence.steady)
        people = self._people.footfall[""].people
        count = Count(frame.index, frame.seconds, frame.time, len(points), smoothed, zones, lines, people)
        return Sighting(points, presence.ids[confident], count, alerts, presence.crossed, presence.gone)

    def list_remaining(self) -> tuple[Stay, ...]:
        """Return the stays of people who are still present."""
        return self._people.list_remaining()

    def _fit(self, size: tuple[int, int], index: int) -> None:
        """Fit the zones to the size of the first frame, and check that they fit this frame."""
        if self.zones is None or size == self._size:
            return
        try:
            fitted = self.zones.fit(size)
        except ConfigError as error:
            if self._size is None:
                raise
            first, found = ("x".join(map(str, each)) for each in (self._size, size))
            raise VideoError(
                f"frame {index}: expected the shape of the first frame, {first} pixels, which the zones fit, "
                f"found {found}"
            ) from error
        if self._size is None:
            self.zones, self._size = fitted, size

    def _count_zones(
        self, points: Points, presence: Presence, frame: Frame
    ) -> tuple[tuple[ZoneCount, ...], tuple[Alert, ...]]:
        if self.zones is None:
            return (), ()
        inside = self.zones.count(points)
        smoothed = {n: self._smooth_zones[n].add(frame.seconds, presence.zones[n]) for n in inside}
        densities = self.zones.densities(smoothed)
        zones, alerts = [], []
        for name in inside:
            alarm = self._alarms.get(name)
            if alarm and (alert := _update_alert(alarm, name, frame, smoothed[name], densities[name])):
                alerts.append(alert)
            footfall = self._people.footfall[name]
            zones.append(
                ZoneCount(
                    name,
                    inside[name],
                    smoothed[name],
                    densities[name],
                    alert=alarm is not None and alarm.on,
                    people=footfall.people,
                    dwell=footfall.dwell,
                )
            )
        return tuple(zones), tuple(alerts)


def _update_alert(alarm: Alarm, zone: str, frame: Frame, people: int, per_m2: float | None) -> Alert | None:
    rule = alarm.rule
    value = people if rule.measure == "count" else per_m2
    if value is None:  # `Zones` rejects density rules without a ground
        return None
    state = alarm.update(frame.seconds, value)
    if state is None:
        return None
    level = rule.above if state == "raised" else rule.clear_level
    return Alert(zone, state, rule.measure, float(value), level, frame.index, frame.seconds, frame.time)
