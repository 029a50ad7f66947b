"""What a frame says: the model's points, made into smoothed counts and alarms."""

from dataclasses import dataclass

from crowdpoint.counts import Alert, Count, ZoneCount
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.video.alerts import Alarm
from crowdpoint.video.frames import Frame
from crowdpoint.video.smoothing import TrailingMedian
from crowdpoint.zones import Zones


@dataclass(frozen=True, slots=True)
class Sighting:
    """One frame, counted."""

    points: Points
    """The people on it."""
    count: Count
    """How many they are, in the picture and in each zone."""
    alerts: tuple[Alert, ...]
    """The alarms that went on or off on it."""


class Watcher:
    """Counts the frames of one run.

    Args:
        predictor: finds the people.
        zones: parts of the picture to count in.
        window: seconds that counts are smoothed over.
    """

    def __init__(self, predictor: Predictor, zones: Zones | None = None, window: float = 2.0) -> None:
        self._predictor, self._zones = predictor, zones
        self._smooth = TrailingMedian(window)
        known = () if zones is None else zones.zones
        self._smooth_zones = {zone.name: TrailingMedian(window) for zone in known}
        self._rules = {zone.name: zone.alert for zone in known if zone.alert}
        self._alarms = {name: Alarm(rule) for name, rule in self._rules.items()}

    def see(self, frame: Frame) -> Sighting:
        """Counts a frame; frames come in order.

        Raises:
            ConfigError: if a zone lies outside the picture.
        """
        points = self._predictor.predict(frame.pixels)
        inside = {} if self._zones is None else self._zones.count(points)
        smoothed = {name: self._smooth_zones[name].add(frame.seconds, inside[name]) for name in inside}
        densities = {} if self._zones is None else self._zones.densities(smoothed)
        alerts = [self._alert(frame, name, smoothed[name], densities[name]) for name in self._alarms]
        zones = tuple(
            ZoneCount(
                name,
                inside[name],
                smoothed[name],
                densities[name],
                name in self._alarms and self._alarms[name].on,
            )
            for name in inside
        )
        total = len(points)
        count = Count(
            frame.index, frame.seconds, frame.time, total, self._smooth.add(frame.seconds, total), zones
        )
        return Sighting(points, count, tuple(alert for alert in alerts if alert))

    def _alert(self, frame: Frame, name: str, count: float, density: float | None) -> Alert | None:
        rule = self._rules[name]
        value = count if rule.measure == "count" else density
        if value is None:  # `Zones` lets no density rule be without a ground
            return None
        state = self._alarms[name].update(frame.seconds, value)
        if state is None:
            return None
        level = rule.above if state == "raised" else rule.clear_level
        return Alert(name, state, rule.measure, value, level, frame.index, frame.seconds, frame.time)
