"""Build tables of systems for the page and the command line: their metrics, and differences of pairs."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from crowdpoint.metrics import Report
from crowdpoint.metrics.comparison import Comparison, Difference
from crowdpoint.report import System
from crowdpoint.report.published import Published

_SIGNIFICANT = 0.05
"""A system is called better if p is below this, and the interval excludes 0."""

_DECIMALS = {"mae": 2, "rmse": 2, "nae": 4, "game": 2}
"""Decimals of the errors; all other metrics are fractions."""


class Entry(NamedTuple):
    """A metric of one system."""

    key: str
    """Key in `Published.figures`."""
    section: str
    label: str
    text: str
    rank: float | None
    """Number by which the least is the best; None to skip."""


class Row(NamedTuple):
    """A row of the table of metrics, with a cell for each system and each published column."""

    section: str
    """Heading if a section starts here; else empty."""
    label: str
    cells: list[str]
    best: list[bool]
    """Whether each system is the best."""
    published: list[str]


class Gap(NamedTuple):
    """A row of the table of differences: its texts, and the interval to draw."""

    label: str
    value: str
    interval: str
    p_value: str
    low: float
    """Lower bound of the interval, scaled to the axis [-1, 1]; `middle` and `high` likewise."""
    middle: float
    high: float
    better: int | None
    """Index, 0 or 1, of the better system; None if the interval includes 0."""


def build_rows(systems: Sequence[System], published: Sequence[Published]) -> list[Row]:
    """Build a row for each metric of any system, marking the best."""
    columns = [{entry.key: entry for entry in list_entries(system.report)} for system in systems]
    found, section = [], ""
    for key in dict.fromkeys(key for column in columns for key in column):
        own = [column.get(key) for column in columns]
        entry = next(entry for entry in own if entry)
        ranks = [None if one is None else one.rank for one in own]
        known = [rank for rank in ranks if rank is not None]
        found.append(
            Row(
                entry.section if entry.section != section else "",
                entry.label,
                [one.text if one else "–" for one in own],
                [len(known) > 1 and rank is not None and rank == min(known) for rank in ranks],
                [column.figures.get(key, "–") for column in published],
            )
        )
        section = entry.section
    return found


def build_gaps(comparison: Comparison) -> list[Gap]:
    """Build a row for each difference between two systems."""
    counting = [_build_gap("MAE", comparison.mae, "+.2f"), _build_gap("RMSE", comparison.rmse, "+.2f")]
    located = comparison.f1.items()
    return counting + [_build_gap(f"F1, {_describe_sigma(key)}", gap, "+.2%") for key, gap in located]


def format_p_value(value: float) -> str:
    """Format a p-value.

    >>> format_p_value(0.0123), format_p_value(1e-6)
    ('0.0123', '< 0.0001')
    """
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _build_gap(label: str, difference: Difference, style: str) -> Gap:
    bounds = np.array((difference.low, difference.value, difference.high))
    low, value, high = (f"{bound:{style}}".replace("-", "−").replace("%", "\u00a0%") for bound in bounds)
    left, middle, right = (bounds / (1.1 * np.abs(bounds).max() or 1.0)).tolist()
    apart = (difference.low > 0 or difference.high < 0) and difference.p_value < _SIGNIFICANT
    higher_is_better = "%" in style
    better = int((difference.value > 0) != higher_is_better) if apart else None
    p_value = format_p_value(difference.p_value)
    return Gap(label, value, f"{low} to\u00a0{high}", p_value, left, middle, right, better)


def list_entries(report: Report) -> Iterator[Entry]:
    """Yield the metrics of a report, in the order of the table."""
    if report.protocol:
        yield Entry("protocol", "Training", "Protocol", report.protocol, None)
    if report.device and report.precision:
        yield Entry("device", "Inference", "Device", report.device, None)
        yield Entry("precision", "Inference", "Precision", report.precision, None)
    yield _build_entry("mae", "Counting", "MAE (heads)", report.mae)
    yield _build_entry("rmse", "Counting", "RMSE (heads)", report.rmse)
    if report.nae is not None:
        yield _build_entry("nae", "Counting", "NAE", report.nae)
    for key, score in report.localization.items():
        section = f"Localization, {_describe_sigma(key)}"
        yield _build_entry(f"f1 {key}", section, "F1", score.f1)
        yield _build_entry(f"precision {key}", section, "Precision", score.precision)
        yield _build_entry(f"recall {key}", section, "Recall", score.recall)
    for key, value in (report.nap or {}).items():
        label = "nAP, mean" if key == "mean" else f"nAP, δ = {key}"
        yield _build_entry(f"nap {key}", "Average precision", label, value)
    for level, value in report.recall_by_head_size.items():
        yield _build_entry(f"recall {level}", "Recall within σl by head size", level, value)
    for level, error in report.game.items():
        yield _build_entry(f"game {level}", "Counting on a grid", f"GAME({level})", error)
    for grouping, groups in report.groups.items():
        section = f"MAE and RMSE by {grouping.replace('_', ' ')}"
        for group, errors in groups.items():
            text = f"{errors.mae:.2f} / {errors.rmse:.2f}"
            yield Entry(f"{grouping} {group}", section, group, text, errors.mae)


def format_metric(key: str, value: float) -> str:
    """Format a metric by its key.

    >>> format_metric("mae", 66.8), format_metric("f1 8", 0.737)
    ('66.80', '73.70 %')
    """
    decimals = _DECIMALS.get(key.partition(" ")[0])
    return f"{value:.2%}".replace("%", " %") if decimals is None else f"{value:.{decimals}f}"


def _build_entry(key: str, section: str, label: str, value: float) -> Entry:
    is_error = key.partition(" ")[0] in _DECIMALS
    return Entry(key, section, label, format_metric(key, value), value if is_error else -value)


def _describe_sigma(key: str) -> str:
    if ":" in key:
        first, last = key.split(":")
        return f"average over σ = {first} … {last} px"
    return f"σ{key} of each head" if key.isalpha() else f"σ\u00a0=\u00a0{key}\u00a0px"
