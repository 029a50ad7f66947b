"""Ablation tables of both papers: the changes of each row to a recipe, and the published figures.

FIDTM's tables have Roman numbers and P2PNet's Arabic numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from crowdpoint.config import load_recipe
from crowdpoint.errors import ConfigError
from crowdpoint.metrics import Report
from crowdpoint.overrides import settings
from crowdpoint.recipe import Recipe


@dataclass(frozen=True, slots=True)
class AblationRow:
    """Row of a table: a network, or settings of its decoder.

    Attributes:
        labels: cells of the label columns.
        published: published figures; empty if the paper prints none.
        overrides: what the row has of a recipe, as in `--set` of `train`; also values that the paper's recipe
            has anyway, since others may differ.
        settings: changes to the decoder, as in `--set` of `evaluate`.
        threshold: threshold of the prediction; None for the model's.
    """

    labels: tuple[str, ...]
    published: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class AblationTable:
    """Ablation table of a paper.

    Attributes:
        source: paper and number of the table.
        title: subject of the comparison.
        recipe: recipe that the rows change.
        columns: headings of the label columns.
        figures: names of the figures, as `get_figure` takes them.
        rows: rows in the paper's order.
    """

    source: str
    title: str
    recipe: str
    columns: tuple[str, ...]
    figures: tuple[str, ...]
    rows: tuple[AblationRow, ...]


class Plan(NamedTuple):
    """What to train for a row, and the name of its run, the same in all tables with this network."""

    row: AblationRow
    recipe: Recipe
    run: str


def plan(table: AblationTable, recipe: str, overrides: Sequence[str] = ()) -> list[Plan]:
    """Plan the rows of a table on a recipe that `overrides` change first, as in `--set` of `train`.

    Runs are named after what a row changes in the recipe.

    Raises:
        ConfigError: if there is no such recipe, a value is invalid, the decoder lacks a setting of a row, or
            rows would be the same network.
    """
    base = load_recipe(recipe, overrides).model_dump(mode="json")
    if table is TABLES["4"] and base["model"].get("points_per_cell") == 1:
        raise ConfigError(
            f"{table.source} on {recipe}: expected model.points_per_cell above 1, found 1, for which both "
            "layouts are the centre of the cell; add --set model.points_per_cell=4, the paper's"
        )
    plans = []
    for row in table.rows:
        changes = _list_changes(settings(row.overrides), base)
        run = "_".join(f"{key}-{value}" for key, value in changes) or "unchanged"
        changed = load_recipe(recipe, [*overrides, *row.overrides])
        changed.model.override(row.settings, f"{table.source} on {recipe}")  # before hours of training
        plans.append(Plan(row, changed, run))
    return plans


def _list_changes(wanted: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in wanted.items():
        known = base.get(key)
        if isinstance(value, Mapping):
            yield from _list_changes(value, known if isinstance(known, Mapping) else {})
        elif value != known:
            yield key, value


def get_figure(report: Report, figure: str) -> float | None:
    """Look up `mae`, `rmse`, `nap mean`, or `precision`, `recall` or `f1` with a sigma, such as `f1 8`."""
    name, _, at = figure.partition(" ")
    if name == "nap":
        return None if report.nap is None else report.nap[at]
    place = report.localization.get(at) if at else report
    return None if place is None else float(getattr(place, name))


def find(name: str) -> AblationTable:
    """Find a table by its number; raises a ConfigError with the known ones if there is none."""
    if name.upper() not in TABLES:
        known = ", ".join(f"{number} ({table.title})" for number, table in TABLES.items())
        raise ConfigError(f"{name}: no such table; expected one of: {known}")
    return TABLES[name.upper()]


_AT_8 = "precision 8, recall 8, f1 8, mae, rmse"
_OURS = "78.2% 77.0% 77.6% 57.0 103.4"
_ON_A = "fidtm-shanghaitech-a"
_P2PNET_ON_A = "p2pnet-shanghaitech-a"
_P2PNET_FIGURES = "mae, rmse, nap mean"


def _row(labels: str, published: str, *overrides: str) -> AblationRow:
    """Create a row; labels are separated by bars and published figures by spaces, with `-` for none."""
    figures = tuple(figure.strip("-") for figure in published.split())
    return AblationRow(tuple(labels.split(" | ")), figures, overrides)


def _threshold(value: int, published: str, *, adaptive: bool) -> AblationRow:
    label = f"{value}/255{' × max(M)' if adaptive else ''}"
    settings = (f"adaptive={str(adaptive).lower()}",)
    return replace(_row(label, published), settings=settings, threshold=value / 255)


def _loss(ssim: int, independent: int) -> tuple[str, ...]:
    # Terms that are not in the paper are off: no label names them.
    ours = ("loss.peak_weight=0", "loss.size_weight=0")
    return (f"loss.independent_weight={independent}", f"loss.ssim_weight={ssim}", *ours)


def _regressor(name: str, regressor: str, density: str, fidt: str) -> tuple[AblationRow, AblationRow]:
    """Create the rows of a regressor with a density map and with a FIDT map.

    They replace the sections whose values may suit only another method or network.
    """

    def build(method: str, loss: str) -> tuple[str, str, str]:
        return f"model={{method: {method}, regressor: {regressor}}}", f"loss={loss}", "optimizer.frozen=[]"

    return (
        _row(f"{name} | density", f"- - - {density}", *build("density", "{}")),
        _row(f"{name} | FIDT", fidt, *build("fidtm", "{ssim_weight: 0, independent_weight: 0}")),
    )


def _table(
    source: str, title: str, recipe: str, columns: str, figures: str, *rows: AblationRow
) -> AblationTable:
    return AblationTable(source, title, recipe, tuple(columns.split(", ")), tuple(figures.split(", ")), rows)


TABLES = {
    "IX": _table(
        *("FIDTM, Table IX", "alpha and beta of the map", _ON_A, "map, alpha, beta", _AT_8),
        _row("IDT | 0.00 | 1.00", "75.6% 74.6% 75.1% 61.8 109.6", "model.alpha=0", "model.beta=1"),
        _row("FIDT | 0.01 | 0.65", "76.6% 76.0% 76.3% 60.5 107.4", "model.alpha=0.01", "model.beta=0.65"),
        _row("FIDT | 0.02 | 0.75", _OURS, "model.alpha=0.02", "model.beta=0.75"),
        _row("FIDT | 0.03 | 0.85", "77.0% 76.8% 76.9% 58.3 106.6", "model.alpha=0.03", "model.beta=0.85"),
    ),
    "X": _table(
        *("FIDTM, Table X", "the loss", _ON_A, "loss", _AT_8),
        _row("L2", "73.5% 76.3% 74.9% 62.1 108.8", *_loss(ssim=0, independent=0)),
        _row("L2 + SSIM", "76.8% 76.6% 76.7% 59.3 106.5", *_loss(ssim=1, independent=0)),
        _row("L2 + I-SSIM", _OURS, *_loss(ssim=0, independent=1)),
    ),
    "XI": _table(
        *("FIDTM, Table XI", "the region of I-SSIM", _ON_A, "region", _AT_8),
        _row("20 x 20", "78.0% 76.4% 77.2% 58.1 104.4", *_loss(ssim=0, independent=1), "loss.window=20"),
        _row("30 x 30", _OURS, *_loss(ssim=0, independent=1), "loss.window=30"),
        _row("40 x 40", "77.4% 76.4% 76.9% 58.6 105.9", *_loss(ssim=0, independent=1), "loss.window=40"),
    ),
    "XII": _table(
        *("FIDTM, Table XII", "the threshold T_a; one training", _ON_A, "T_a", "mae, rmse"),
        _threshold(50, "95.6 169.9", adaptive=False),
        _threshold(70, "92.1 167.0", adaptive=False),
        _threshold(90, "80.6 152.3", adaptive=False),
        _threshold(100, "115.3 206.4", adaptive=False),
        _threshold(110, "122.6 233.5", adaptive=False),
        _threshold(90, "60.4 105.3", adaptive=True),
        _threshold(100, "57.0 103.4", adaptive=True),
        _threshold(110, "58.1 107.1", adaptive=True),
    ),
    "XIV": _table(
        *("FIDTM, Table XIV", "regressors, with density and with FIDT maps", "fidtm-nwpu-crowd"),
        *("regressor, map", "precision l, recall l, f1 l, mae, rmse"),
        *_regressor("CSRNet", "csrnet", "104.9 433.5", "68.8% 66.2% 67.5% 100.6 464.3"),
        *_regressor("CSRNet + FPN", "csrnet-fpn", "95.5 450.8", "73.9% 69.8% 71.8% 70.6 369.7"),
        *_regressor("BL", "bl", "93.6 470.4", "69.9% 68.9% 69.4% 89.7 446.6"),
        *_regressor("BL + FPN", "bl-fpn", "85.4 412.9", "77.8% 70.0% 73.7% 65.7 259.2"),
    ),
    "4": _table(
        *("P2PNet, Table 4", "the layout of the reference points", _P2PNET_ON_A, "layout", _P2PNET_FIGURES),
        _row("Center", "53.7 89.61 61.7%", "model.reference_points=center"),
        _row("Grid", "52.74 85.06 64.4%", "model.reference_points=grid"),
    ),
    "5": _table(
        *("P2PNet, Table 5", "the stride, at as many reference points", _P2PNET_ON_A),
        *("s, K", _P2PNET_FIGURES),
        _row("4 | 1", "53.51 85.77 66.8%", "model.stride=4", "model.points_per_cell=1"),
        _row("8 | 4", "52.74 85.06 64.4%", "model.stride=8", "model.points_per_cell=4"),
        _row("16 | 16", "54.3 85.18 52.4%", "model.stride=16", "model.points_per_cell=16"),
    ),
    "6": _table(
        *("P2PNet, Table 6", "K, the reference points of a cell", _P2PNET_ON_A, "K", _P2PNET_FIGURES),
        _row("1", "54.08 84.37 60.1%", "model.points_per_cell=1"),
        _row("4", "52.74 85.06 64.4%", "model.points_per_cell=4"),
        _row("8", "53.43 87.57 58.8%", "model.points_per_cell=8"),
        _row("12", "54.13 87.9 58.6%", "model.points_per_cell=12"),
        _row("16", "53.47 86.1 58.3%", "model.points_per_cell=16"),
    ),
}
"""Number -> table."""
