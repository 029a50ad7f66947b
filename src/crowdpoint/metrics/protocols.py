"""How each dataset of the papers is judged: one table, which the commands that evaluate look up.

Beyond points, a dataset knows labels of its images, the sizes of heads, or where objects count at all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crowdpoint.metrics.counting import scene_level
from crowdpoint.metrics.evaluator import Evaluator
from crowdpoint.metrics.localization import Sigma

Grouping = Callable[[int, Mapping[str, str]], str | None]
"""An image's true count and labels -> its group; None where its labels do not tell."""

CROWD_BOUNDS = {"low": 50, "medium": 500}
"""The largest true count of JHU-CROWD++'s levels; "high" is above."""

WEATHER = {"0": "clear", "1": "fog or haze", "2": "rain", "3": "snow"}
"""JHU-CROWD++'s labels of the weather in words."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """What is reported of a dataset.

    Attributes:
        sigmas: localization thresholds in pixels; a range is averaged over. Heads with boxes have their own
            besides.
        groups: groupings of the images, by which counting errors are reported.
        grid: whether GAME is.
    """

    sigmas: tuple[Sigma, ...] = (4.0, 8.0)
    groups: Mapping[str, Grouping] = field(default_factory=dict)
    grid: bool = False

    def evaluator(self, *, boxes: bool, curves: bool = False) -> Evaluator:
        """An evaluator for this dataset.

        Args:
            boxes: whether every head has a box.
            curves: as in `Evaluator`.
        """
        return Evaluator(self.sigmas, boxes=boxes, grid=self.grid, curves=curves)

    def groups_of(self, true: int, labels: Mapping[str, str]) -> dict[str, str]:
        """The groups of an image, for `Evaluator.update`.

        Args:
            true: its true count.
            labels: what the dataset says of it, as `datasets.Sample.labels`.
        """
        found = {name: grouping(true, labels) for name, grouping in self.groups.items()}
        return {name: group for name, group in found.items() if group is not None}


def crowd_level(true: int, _labels: Mapping[str, str]) -> str:
    """JHU-CROWD++'s level of a true count: low [0, 50], medium (50, 500], high above."""
    return next((level for level, largest in CROWD_BOUNDS.items() if true <= largest), "high")


def _luminance(_true: int, labels: Mapping[str, str]) -> str | None:
    return f"L{labels['luminance']}" if "luminance" in labels else None


def _weather(_true: int, labels: Mapping[str, str]) -> str | None:
    return WEATHER.get(labels["weather"], labels["weather"]) if "weather" in labels else None


PROTOCOLS = {
    "ucf-qnrf": Protocol(sigmas=(4.0, 8.0, range(1, 101))),
    "jhu-crowd++": Protocol(groups={"crowd_level": crowd_level, "weather": _weather}),
    "nwpu-crowd": Protocol(
        groups={"scene_level": lambda true, _labels: scene_level(true), "luminance": _luminance}
    ),
    "trancos": Protocol(grid=True),
}
"""The protocols of the datasets that have one of their own (FIDTM, Sec. IV; P2PNet, Table 3)."""


def protocol(dataset: str) -> Protocol:
    """How a dataset is judged: by F1 at 4 and 8 pixels, and what else `PROTOCOLS` says of it."""
    return PROTOCOLS.get(dataset, Protocol())
