"""Count the frames of a video: track people, smooth counts and raise alerts."""

from dataclasses import dataclass, replace

from crowdpoint.counts import Alert, Count, Crossing, LineCount, Stay, ZoneCount
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
        self._predictor, self._zones = predictor, zones
        self._people = People(predictor.threshold, rate, zones)
        self._smooth = HeldMedian(window)
        known = () if zones is None else zones.zones
        self._smooth_zones = {zone.name: HeldMedian(window) for zone in known}
        self._rules = {zone.name: zone.alert for zone in known if zone.alert}
        self._alarms = {name: Alarm(rule) for name, rule in self._rules.items()}

    def see(self, frame: Frame) -> Sighting:
        """Count the next frame."""
        least = CANDIDATES * self._predictor.threshold
        presence = self._people.update(self._predictor.predict(frame.pixels, threshold=least), frame.seconds)
        confident = presence.points.scores >= self._predictor.threshold
        points = presence.points.select(confident)
        zones = self._count_zones(points, presence, frame.seconds)
        alerts = [self._update_alert(frame, zone) for zone in zones if zone.zone in self._alarms]
        zones = [
            replace(zone, alert=zone.zone in self._alarms and self._alarms[zone.zone].on) for zone in zones
        ]
        lines = tuple(LineCount(name, line.inward, line.outward) for name, line in self._people.lines.items())
        smoothed = self._smooth.add(frame.seconds, presence.steady)
        people = self._people.footfall[""].people
        count = Count(
            frame.index, frame.seconds, frame.time, len(points), smoothed, tuple(zones), lines, people
        )
        raised = tuple(alert for alert in alerts if alert)
        return Sighting(points, presence.ids[confident], count, raised, presence.crossed, presence.gone)

    def list_remaining(self) -> tuple[Stay, ...]:
        """Return the stays of people who are still present."""
        return self._people.list_remaining()

    def _count_zones(self, points: Points, presence: Presence, seconds: float) -> list[ZoneCount]:
        """Count the people in the zones of a frame, before alerts are updated."""
        if self._zones is None:
            return []
        inside = self._zones.count(points)
        smoothed = {name: self._smooth_zones[name].add(seconds, presence.zones[name]) for name in inside}
        densities = self._zones.densities(smoothed)
        footfall = self._people.footfall
        return [
            ZoneCount(
                name,
                inside[name],
                smoothed[name],
                densities[name],
                alert=False,
                people=footfall[name].people,
                dwell=footfall[name].dwell,
            )
            for name in inside
        ]

    def _update_alert(self, frame: Frame, zone: ZoneCount) -> Alert | None:
        rule = self._rules[zone.zone]
        value = zone.smoothed if rule.measure == "count" else zone.per_m2
        if value is None:  # `Zones` rejects density rules without a ground
            return None
        state = self._alarms[zone.zone].update(frame.seconds, value)
        if state is None:
            return None
        level = rule.above if state == "raised" else rule.clear_level
        return Alert(
            zone.zone, state, rule.measure, float(value), level, frame.index, frame.seconds, frame.time
        )
