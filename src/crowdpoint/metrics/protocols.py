"""Evaluation protocols of the papers' datasets: sigmas, groups of images, and GAME."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crowdpoint.metrics.counting import scene_level
from crowdpoint.metrics.evaluator import Evaluator
from crowdpoint.metrics.localization import Sigma

Grouping = Callable[[int, Mapping[str, str]], str | None]
"""Function from the true count and the labels of an image to its group; None if the labels are missing."""

CROWD_BOUNDS = {"low": 50, "medium": 500}
"""Largest true counts of JHU-CROWD++'s levels; "high" is above."""

WEATHER = {"0": "clear", "1": "fog or haze", "2": "rain", "3": "snow"}
"""Names of JHU-CROWD++'s weather labels."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """Evaluation protocol of a dataset.

    Attributes:
        sigmas: localization thresholds in pixels; a range is averaged. Heads with boxes add their own.
        groups: groupings of images by which counting errors are reported.
        grid: whether GAME is reported.
    """

    sigmas: tuple[Sigma, ...] = (4.0, 8.0)
    groups: Mapping[str, Grouping] = field(default_factory=dict)
    grid: bool = False

    def build_evaluator(self, *, boxes: bool, curves: bool = False) -> Evaluator:
        """Create an evaluator for this dataset."""
        return Evaluator(self.sigmas, boxes=boxes, grid=self.grid, curves=curves)

    def find_groups(self, true: int, labels: Mapping[str, str]) -> dict[str, str]:
        """Find the groups of an image, for `Evaluator.update`."""
        found = {name: grouping(true, labels) for name, grouping in self.groups.items()}
        return {name: group for name, group in found.items() if group is not None}


def crowd_level(true: int, _labels: Mapping[str, str]) -> str:
    """Return JHU-CROWD++'s level of a true count: low [0, 50], medium (50, 500], high above."""
    return next((level for level, largest in CROWD_BOUNDS.items() if true <= largest), "high")


def _group_by_luminance(_true: int, labels: Mapping[str, str]) -> str | None:
    return f"L{labels['luminance']}" if "luminance" in labels else None


def _group_by_weather(_true: int, labels: Mapping[str, str]) -> str | None:
    return WEATHER.get(labels["weather"], labels["weather"]) if "weather" in labels else None


PROTOCOLS = {
    "ucf-qnrf": Protocol(sigmas=(4.0, 8.0, range(1, 101))),
    "jhu-crowd++": Protocol(groups={"crowd_level": crowd_level, "weather": _group_by_weather}),
    "nwpu-crowd": Protocol(
        groups={"scene_level": lambda true, _labels: scene_level(true), "luminance": _group_by_luminance}
    ),
    "trancos": Protocol(grid=True),
}
"""Protocols that differ from the default (FIDTM, Sec. IV; P2PNet, Table 3)."""


def get_protocol(dataset: str) -> Protocol:
    """Return the protocol of a dataset; by default, F1 at 4 and 8 pixels without groups and GAME."""
    return PROTOCOLS.get(dataset, Protocol())
