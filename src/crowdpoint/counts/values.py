"""What one frame of a video says: how many people, how many in each zone, and which alarm went on or off."""

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
    """Median of the window of time that ends with this frame."""
    per_m2: float | None
    """`smoothed` for each square metre of ground, None where the ground is unknown."""
    alert: bool
    """Whether the zone's alarm is on."""


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
    """Median of the window of time that ends with this frame."""
    zones: tuple[ZoneCount, ...] = ()
    """The zones, in the order of their file."""

    def record(self) -> dict[str, Any]:
        """As JSON objects have it."""
        zones = {
            zone.zone: {
                "count": zone.count,
                "smoothed": zone.smoothed,
                "per_m2": None if zone.per_m2 is None else round(zone.per_m2, 4),
                "alert": zone.alert,
            }
            for zone in self.zones
        }
        return {
            "event": "count",
            "frame": self.frame,
            "seconds": round(self.seconds, 3),
            "time": iso(self.time),
            "count": self.count,
            "smoothed": self.smoothed,
            "zones": zones,
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
