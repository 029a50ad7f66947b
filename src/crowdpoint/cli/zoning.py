"""Count the people in the zones of `crowdpoint predict --zones`, and format the results."""

from collections.abc import Mapping
from dataclasses import dataclass

from crowdpoint.errors import ConfigError
from crowdpoint.opening import OpenedImage
from crowdpoint.zones import Zones


@dataclass(frozen=True, slots=True)
class ZoneResult:
    """The people in each zone of one image.

    Attributes:
        zones: the zones in the image's pixels.
        counts: people, by the zone's name.
        per_m2: people per square metre; None without ground calibration.
    """

    zones: Zones
    counts: Mapping[str, int]
    per_m2: Mapping[str, float | None]

    def to_record(self) -> dict[str, dict[str, float | None]]:
        """Convert to a JSON object: figures by name of the zone."""
        rounded = {name: None if value is None else round(value, 4) for name, value in self.per_m2.items()}
        return {name: {"count": count, "per_m2": rounded[name]} for name, count in self.counts.items()}

    def list_rows(self, digits: str = ".2f") -> list[tuple[str, int, str]]:
        """List name, count and formatted people per square metre, empty if unknown, of each zone."""
        densities = {name: "" if per is None else f"{per:{digits}}" for name, per in self.per_m2.items()}
        return [(name, count, densities[name]) for name, count in self.counts.items()]

    def format_line(self) -> str:
        """Format as `gate: 31 (0.42 per m²), stairs: 4 (0.10 per m²)`."""
        return ", ".join(
            f"{name}: {count}" + (f" ({per_m2} per m²)" if per_m2 else "")
            for name, count, per_m2 in self.list_rows()
        )


def fit_zones(zones: Zones, image: OpenedImage) -> Zones:
    """Scale zones to the pixels of an image."""
    try:
        placed = zones if image.place is None else zones.project(image.place, image.size)
        return placed.fit(image.size)
    except ConfigError as error:
        raise ConfigError(f"{image.name}: {error}") from error
