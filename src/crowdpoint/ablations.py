"""The ablation tables of both papers: what each row changes in a recipe, and what the paper prints for it.

FIDTM's tables have Roman numbers and P2PNet's Arabic ones, so that a number alone names a table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crowdpoint.errors import ConfigError
from crowdpoint.metrics import Report
from crowdpoint.overrides import settings


@dataclass(frozen=True, slots=True)
class Row:
    """One network of a table, or one way to read its map.

    Attributes:
        labels: a cell for each of the table's columns.
        published: a cell for each of the table's figures; empty where the paper prints none.
        overrides: what training changes in the recipe, as `--set` takes it.
        settings: what prediction changes, as `--set` of `evaluate` takes it.
        threshold: the threshold of the prediction; None for the model's own.
    """

    labels: tuple[str, ...]
    published: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    threshold: float | None = None

    @property
    def run(self) -> str:
        """The folder's name of its training, the same in all tables that have this row."""
        changes = _leaves(settings(self.overrides))
        return "_".join(f"{key}-{value}" for key, value in changes) or "paper"


@dataclass(frozen=True, slots=True)
class AblationTable:
    """A table of a paper.

    Attributes:
        source: the paper and the table's number.
        title: what the rows compare.
        recipe: the recipe that the rows change.
        columns: headings of the rows' labels.
        figures: what is measured, as `measured` takes it.
        rows: in the paper's order.
    """

    source: str
    title: str
    recipe: str
    columns: tuple[str, ...]
    figures: tuple[str, ...]
    rows: tuple[Row, ...]


def _leaves(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values at the ends of nested mappings."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        else:
            yield key, value


def measured(report: Report, figure: str) -> float | None:
    """Look up a figure of a table in a report.

    Args:
        report: the metrics of a row.
        figure: `mae`, `rmse`, `nap mean`, or `precision`, `recall` or `f1` with a sigma, such as `f1 8`.
    """
    name, _, at = figure.partition(" ")
    if name == "nap":
        return None if report.nap is None else report.nap[at]
    found = getattr(report.localization.get(at, report), name, None)
    return None if found is None else float(found)


def find(name: str) -> AblationTable:
    """Find a table by its number.

    Raises:
        ConfigError: if there is no such table; the message lists those there are.
    """
    if name.upper() not in TABLES:
        known = ", ".join(f"{number} ({table.title})" for number, table in TABLES.items())
        raise ConfigError(f"{name}: no such table; expected one of: {known}")
    return TABLES[name.upper()]


_AT_8 = ("precision 8", "recall 8", "f1 8", "mae", "rmse")
_OURS = ("78.2%", "77.0%", "77.6%", "57.0", "103.4")
_WITHOUT_ISSIM = "loss.independent_weight=0"
_ON_A = "fidtm-shanghaitech-a"


def _map(name: str, alpha: str, beta: str, *published: str, overrides: tuple[str, ...]) -> Row:
    return Row((name, alpha, beta), published, overrides)


def _threshold(value: int, mae: str, rmse: str, *, adaptive: bool) -> Row:
    label = f"{value}/255{' × max(M)' if adaptive else ''}"
    settings = () if adaptive else ("adaptive=false",)
    return Row((label,), (mae, rmse), settings=settings, threshold=value / 255)


def _regressor(name: str, regressor: str, density: tuple[str, ...], fidt: tuple[str, ...]) -> tuple[Row, Row]:
    """Its rows with a density map, which counts by its integral, and with a FIDT map."""
    chosen = f"model.regressor={regressor}"
    return (
        Row(
            (name, "density"), ("", "", "", *density), (f"model={{method: density, regressor: {regressor}}}",)
        ),
        Row((name, "FIDT"), (*fidt[2:], *fidt[:2]), (chosen, _WITHOUT_ISSIM)),
    )


TABLES = {
    "IX": AblationTable(
        "FIDTM, Table IX",
        "alpha and beta of the map",
        _ON_A,
        ("map", "alpha", "beta"),
        _AT_8,
        (
            _map(
                *("IDT", "0.00", "1.00", "75.6%", "74.6%", "75.1%", "61.8", "109.6"),
                overrides=("model.alpha=0", "model.beta=1"),
            ),
            _map(
                *("FIDT", "0.01", "0.65", "76.6%", "76.0%", "76.3%", "60.5", "107.4"),
                overrides=("model.alpha=0.01", "model.beta=0.65"),
            ),
            _map("FIDT", "0.02", "0.75", *_OURS, overrides=()),
            _map(
                *("FIDT", "0.03", "0.85", "77.0%", "76.8%", "76.9%", "58.3", "106.6"),
                overrides=("model.alpha=0.03", "model.beta=0.85"),
            ),
        ),
    ),
    "X": AblationTable(
        "FIDTM, Table X",
        "the loss",
        _ON_A,
        ("loss",),
        _AT_8,
        (
            Row(("L2",), ("73.5%", "76.3%", "74.9%", "62.1", "108.8"), (_WITHOUT_ISSIM,)),
            Row(
                ("L2 + SSIM",),
                ("76.8%", "76.6%", "76.7%", "59.3", "106.5"),
                (_WITHOUT_ISSIM, "loss.ssim_weight=1"),
            ),
            Row(("L2 + I-SSIM",), _OURS),
        ),
    ),
    "XI": AblationTable(
        "FIDTM, Table XI",
        "the region of I-SSIM",
        _ON_A,
        ("region",),
        _AT_8,
        (
            Row(("20 x 20",), ("78.0%", "76.4%", "77.2%", "58.1", "104.4"), ("loss.window=20",)),
            Row(("30 x 30",), _OURS),
            Row(("40 x 40",), ("77.4%", "76.4%", "76.9%", "58.6", "105.9"), ("loss.window=40",)),
        ),
    ),
    "XII": AblationTable(
        "FIDTM, Table XII",
        "the threshold T_a; one training",
        _ON_A,
        ("T_a",),
        ("mae", "rmse"),
        (
            _threshold(50, "95.6", "169.9", adaptive=False),
            _threshold(70, "92.1", "167.0", adaptive=False),
            _threshold(90, "80.6", "152.3", adaptive=False),
            _threshold(100, "115.3", "206.4", adaptive=False),
            _threshold(110, "122.6", "233.5", adaptive=False),
            _threshold(90, "60.4", "105.3", adaptive=True),
            _threshold(100, "57.0", "103.4", adaptive=True),
            _threshold(110, "58.1", "107.1", adaptive=True),
        ),
    ),
    "XIV": AblationTable(
        "FIDTM, Table XIV",
        "regressors, with density and with FIDT maps",
        "fidtm-nwpu-crowd",
        ("regressor", "map"),
        ("precision l", "recall l", "f1 l", "mae", "rmse"),
        (
            *_regressor(
                *("CSRNet", "csrnet"), ("104.9", "433.5"), ("100.6", "464.3", "68.8%", "66.2%", "67.5%")
            ),
            *_regressor(
                *("CSRNet + FPN", "csrnet-fpn"),
                ("95.5", "450.8"),
                ("70.6", "369.7", "73.9%", "69.8%", "71.8%"),
            ),
            *_regressor("BL", "bl", ("93.6", "470.4"), ("89.7", "446.6", "69.9%", "68.9%", "69.4%")),
            *_regressor(
                *("BL + FPN", "bl-fpn"), ("85.4", "412.9"), ("65.7", "259.2", "77.8%", "70.0%", "73.7%")
            ),
        ),
    ),
    "4": AblationTable(
        "P2PNet, Table 4",
        "the layout of the reference points",
        "p2pnet-shanghaitech-a",
        ("layout",),
        ("mae", "rmse", "nap mean"),
        (
            Row(("Center",), ("53.7", "89.61", "61.7%"), ("model.reference_points=center",)),
            Row(("Grid",), ("52.74", "85.06", "64.4%")),
        ),
    ),
    "5": AblationTable(
        "P2PNet, Table 5",
        "the stride, at as many reference points",
        "p2pnet-shanghaitech-a",
        ("s", "K"),
        ("mae", "rmse", "nap mean"),
        (
            Row(("4", "1"), ("53.51", "85.77", "66.8%"), ("model.stride=4", "model.points_per_cell=1")),
            Row(("8", "4"), ("52.74", "85.06", "64.4%")),
            Row(("16", "16"), ("54.3", "85.18", "52.4%"), ("model.stride=16", "model.points_per_cell=16")),
        ),
    ),
    "6": AblationTable(
        "P2PNet, Table 6",
        "K, the reference points of a cell",
        "p2pnet-shanghaitech-a",
        ("K",),
        ("mae", "rmse", "nap mean"),
        (
            Row(("1",), ("54.08", "84.37", "60.1%"), ("model.points_per_cell=1",)),
            Row(("4",), ("52.74", "85.06", "64.4%")),
            Row(("8",), ("53.43", "87.57", "58.8%"), ("model.points_per_cell=8",)),
            Row(("12",), ("54.13", "87.9", "58.6%"), ("model.points_per_cell=12",)),
            Row(("16",), ("53.47", "86.1", "58.3%"), ("model.points_per_cell=16",)),
        ),
    ),
}
"""Number -> table."""
