"""What one frame of a video says: people, where they are, who crossed a line, which alarm went on or off."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Run:
    """One video or stream, watched with one model."""

    source: str
    """File, device or URL, without its password."""
    model: str
    """Preset of the model, such as `p2pnet-lite`."""
    live: bool
    """Whether the source is live: a camera or a stream."""
    started_at: datetime
    """When counting began, by this machine's clock, in UTC."""


@dataclass(frozen=True, slots=True)
class ZoneCount:
    """The people in one zone on one frame."""

    zone: str
    """Name of the zone."""
    count: int
    """People on this frame."""
    smoothed: float
    """Median over the last seconds of the people who are there, followed from frame to frame."""
    per_m2: float | None
    """`smoothed` for each square metre of ground, None where the ground is unknown."""
    alert: bool
    """Whether the zone's alarm is on."""
    people: int = 0
    """Different people who have been there so far."""
    dwell: float = 0.0
    """Mean seconds that each of them has spent there so far."""


@dataclass(frozen=True, slots=True)
class LineCount:
    """The people who have crossed one line so far."""

    line: str
    """Name of the line."""
    inward: int
    """People who crossed from the right of the line to its left, as seen from its first end."""
    outward: int
    """People who crossed from the left to the right."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """A person who crossed a line on one frame."""

    line: str
    """Name of the line."""
    person: int
    """Number of the person, from 1."""
    direction: Literal["in", "out"]
    """As in `LineCount`."""

    def record(self, count: "Count") -> dict[str, Any]:
        """As JSON objects have it, with the frame that it is on."""
        return {
            "event": "crossing",
            "line": self.line,
            "person": self.person,
            "direction": self.direction,
            "frame": count.frame,
            "seconds": round(count.seconds, 3),
            "time": iso(count.time),
        }


@dataclass(frozen=True, slots=True)
class Stay:
    """A person who has been in the picture or in a zone, and is gone."""

    person: int
    """Number of the person, from 1."""
    zone: str
    """Name of the zone; empty for the whole picture."""
    first: float
    """Seconds at which the person was first there, as in `Count`."""
    last: float
    """Seconds at which the person was last there."""
    dwell: float
    """Seconds spent there."""


@dataclass(frozen=True, slots=True)
class Count:
    """The people on one frame."""

    frame: int
    """Number of the frame in its source, from 0."""
    seconds: float
    """Since the first frame: media time of a file, this machine's clock for a live source."""
    time: datetime | None
    """UTC; when a live frame arrived or a file's frame was recorded, None where the file does not say."""
    count: int
    """People on this frame."""
    smoothed: float
    """Median over the last seconds of the people who are there, followed from frame to frame."""
    zones: tuple[ZoneCount, ...] = ()
    """The zones, in the order of their file."""
    lines: tuple[LineCount, ...] = ()
    """The lines, in the order of their file."""
    people: int = 0
    """Different people so far."""

    def record(self) -> dict[str, Any]:
        """As JSON objects have it."""
        zones = {
            zone.zone: {
                "count": zone.count,
                "smoothed": zone.smoothed,
                "per_m2": None if zone.per_m2 is None else round(zone.per_m2, 4),
                "alert": zone.alert,
                "people": zone.people,
                "dwell": round(zone.dwell, 3),
            }
            for zone in self.zones
        }
        lines = {line.line: {"in": line.inward, "out": line.outward} for line in self.lines}
        return {
            "event": "count",
            "frame": self.frame,
            "seconds": round(self.seconds, 3),
            "time": iso(self.time),
            "count": self.count,
            "smoothed": self.smoothed,
            "people": self.people,
            "zones": zones,
            "lines": lines,
        }


@dataclass(frozen=True, slots=True)
class Alert:
    """An alarm that went on or off."""

    zone: str
    """Name of the zone."""
    state: Literal["raised", "cleared"]
    """What happened."""
    measure: Literal["count", "density"]
    """What the rule looks at: people, or people per square metre."""
    value: float
    """The smoothed value on this frame."""
    level: float
    """The level that it crossed: the rule's `above`, or its `clear`."""
    frame: int
    """As in `Count`."""
    seconds: float
    """As in `Count`."""
    time: datetime | None
    """As in `Count`."""

    def record(self, source: str) -> dict[str, Any]:
        """As JSON objects have it, with the source that it is about."""
        return {
            "event": "alert",
            "source": source,
            "zone": self.zone,
            "state": self.state,
            "measure": self.measure,
            "value": round(self.value, 4),
            "level": self.level,
            "frame": self.frame,
            "seconds": round(self.seconds, 3),
            "time": iso(self.time),
        }


def iso(time: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds, such as `2026-05-01T12:00:00.000Z`."""
    if time is None:
        return None
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
