"""Values of one video frame: counts of people, zones and lines, crossings, stays and alerts."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_origin, get_type_hints


@dataclass(frozen=True, slots=True)
class Run:
    """Analysis of one video or stream with one model."""

    source: str
    """File, device or URL, without password."""
    model: str
    """Preset of the model, such as `p2pnet-lite`."""
    live: bool
    """Whether the source is live: a camera or a stream."""
    started_at: datetime
    """Start time by the local clock, in UTC."""


@dataclass(frozen=True, slots=True)
class ZoneCount:
    """Count of one zone on one frame."""

    zone: str
    """Name of the zone."""
    count: int
    """People on this frame."""
    smoothed: int
    """Tracked people, without changes that do not last; see `crowdpoint.video.smoothing`."""
    per_m2: float | None
    """`smoothed` per square metre of ground; None without ground calibration."""
    alert: bool
    """Whether the zone's alert is raised."""
    people: int = 0
    """Distinct people so far."""
    dwell: float = 0.0
    """Their mean stay so far, in seconds."""


@dataclass(frozen=True, slots=True)
class LineCount:
    """Crossings of one line so far."""

    line: str
    """Name of the line."""
    inward: int
    """People who crossed from right to left, looking from the first end point to the second."""
    outward: int
    """People who crossed from left to right."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """Crossing of a line by a person on one frame."""

    line: str
    """Name of the line."""
    person: int
    """Number of the person, from 1."""
    direction: Literal["in", "out"]
    """Direction, as in `LineCount`."""

    def to_record(self, count: "Count") -> dict[str, Any]:
        """Convert to a JSON object, with the frame of `count`."""
        moment = {"seconds": round(count.seconds, 3), "time": format_time(count.time)}
        return {"event": "crossing", **asdict(self), "frame": count.frame, **moment}


@dataclass(frozen=True, slots=True)
class Stay:
    """Finished stay of a person in the image or in a zone."""

    person: int
    """Number of the person, from 1."""
    zone: str
    """Name of the zone; empty for the whole image."""
    first: float
    """Time of the first sighting in seconds, as in `Count`."""
    last: float
    """Time of the last sighting in seconds."""
    dwell: float
    """Length of the stay in seconds."""


@dataclass(frozen=True, slots=True)
class Count:
    """Counts of one frame."""

    frame: int
    """Number of the frame in its source, from 0."""
    seconds: float
    """Seconds since the first frame, by media time for files and by the local clock for live sources."""
    time: datetime | None
    """Arrival time of a live frame or recording time of a file's frame, in UTC; None if unknown."""
    count: int
    """People on this frame."""
    smoothed: int
    """Tracked people, without changes that do not last; see `crowdpoint.video.smoothing`."""
    zones: tuple[ZoneCount, ...] = ()
    """Zones, in the order of their file."""
    lines: tuple[LineCount, ...] = ()
    """Lines, in the order of their file."""
    people: int = 0
    """Distinct people so far."""

    def to_record(self) -> dict[str, Any]:
        """Convert to a JSON object."""
        zones = {zone.zone: asdict(zone) for zone in self.zones}
        for zone in zones.values():
            del zone["zone"]
            zone["per_m2"] = zone["per_m2"] and round_figure(zone["per_m2"])
            zone["dwell"] = round(zone["dwell"], 3)
        lines = {line.line: {"in": line.inward, "out": line.outward} for line in self.lines}
        return {
            "event": "count",
            "frame": self.frame,
            "seconds": round(self.seconds, 3),
            "time": format_time(self.time),
            "count": self.count,
            "smoothed": self.smoothed,
            "people": self.people,
            "zones": zones,
            "lines": lines,
        }


@dataclass(frozen=True, slots=True)
class Alert:
    """Alert that was raised or cleared."""

    zone: str
    """Name of the zone."""
    state: Literal["raised", "cleared"]
    """New state."""
    measure: Literal["count", "density"]
    """Measured value: people, or people per square metre."""
    value: float
    """Smoothed value on this frame."""
    level: float
    """Limit that was crossed: the rule's `above` or `clear`."""
    frame: int
    """Frame number, as in `Count`."""
    seconds: float
    """Seconds, as in `Count`."""
    time: datetime | None
    """Time, as in `Count`."""

    def to_record(self, source: str) -> dict[str, Any]:
        """Convert to a JSON object, with the name of the source."""
        moment = {"seconds": round(self.seconds, 3), "time": format_time(self.time)}
        return {
            "event": "alert",
            "source": source,
            **asdict(self),
            "value": round_figure(self.value),
            **moment,
        }


def list_figures(value: type) -> dict[str, Any]:
    """List the fields of a value that fit into one cell of a table, with their types.

    >>> list(list_figures(Count))
    ['frame', 'seconds', 'time', 'count', 'smoothed', 'people']
    """
    return {name: kind for name, kind in get_type_hints(value).items() if get_origin(kind) is not tuple}


def round_figure(value: float) -> float:
    """Round to 6 significant digits, as in CSV tables.

    >>> round_figure(0.000012345678)
    1.23457e-05
    """
    return float(f"{value:.6g}")


def format_time(time: datetime | None) -> str | None:
    """Format as ISO 8601 in UTC with milliseconds.

    >>> format_time(datetime(2026, 5, 1, 12, tzinfo=UTC))
    '2026-05-01T12:00:00.000Z'
    """
    if time is None:
        return None
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
