"""Draw the charts of a report as deterministic SVG with text elements."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from crowdpoint.metrics import CURVE_DELTA, CURVE_SIGMAS
from crowdpoint.points import DoubleArray, IntArray
from crowdpoint.report.analysis import Analysis, group_by_quantiles

COLORS = ("#2456a6", "#d1571b", "#1b8a6b", "#8b4fa8", "#b8860b", "#5b6770")
"""Colours of systems, distinguishable by colour-blind readers; repeated after the last."""

_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (5, 1.6)), (0, (1.4, 1.2)), "-.")
_INK, _MUTED, _RULE = "#1d2630", "#5b6770", "#dfe3e8"
_SIZE = (4.6, 3.3)  # inches; the page scales charts to the column width
_MOST_DOTS = 3000  # above this number, dots are rasterized
_MOST_VERTICES = 400
_STYLE: dict[Any, object] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "crowdpoint",
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": _RULE,
    "grid.linewidth": 0.8,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "lines.linewidth": 1.9,
    "text.color": _INK,
    "path.simplify": False,
}


def color(index: int) -> str:
    """Return the colour of a system by its index."""
    return COLORS[index % len(COLORS)]


def draw_counts(axes: Axes, analyses: Sequence[Analysis]) -> None:
    """Draw predicted against true counts, one dot per image."""
    first = analyses[0]
    true = first.predicted - first.errors
    most = max(int(true.max()), *(int(analysis.predicted.max()) for analysis in analyses), 1)
    axes.plot([0, most * 1.2], [0, most * 1.2], color=_MUTED, linewidth=1)
    for index, analysis in enumerate(analyses):
        axes.scatter(
            true,
            analysis.predicted,
            s=20,
            alpha=0.65,
            color=color(index),
            marker=_MARKERS[index % len(_MARKERS)],
            linewidths=0.4,
            edgecolors="white",
            rasterized=len(true) > _MOST_DOTS,
            clip_on=False,  # an image without heads is on the axis
        )
    _scale(axes, min(int(true.min()), *(int(analysis.predicted.min()) for analysis in analyses)), most)
    axes.set(xlabel="true count (heads)", ylabel="predicted count (heads)")


def draw_errors(axes: Axes, analyses: Sequence[Analysis], values: IntArray | DoubleArray, label: str) -> None:
    """Draw the mean absolute error of images grouped by a value (M,), and the mean error as a white dot."""
    parts = group_by_quantiles(values)
    width = 0.8 / len(analyses)
    for index, analysis in enumerate(analyses):
        places = np.arange(len(parts)) + (index - (len(analyses) - 1) / 2) * width
        absolute = [float(np.abs(analysis.errors[part]).mean()) for part in parts]
        bias = [float(analysis.errors[part].mean()) for part in parts]
        axes.bar(places, absolute, width * 0.9, color=color(index))
        axes.scatter(places, bias, s=15, color="white", edgecolors=_INK, linewidths=0.9, zorder=3)
    axes.axhline(0, color=_MUTED, linewidth=0.8)
    axes.grid(visible=False, axis="x")
    ends = [(float(values[part].min()), float(values[part].max())) for part in parts]
    axes.set_xticks(range(len(parts)), [_format_range(low, high) for low, high in ends], fontsize=9.5)
    axes.set(xlabel=label, ylabel="counting error (heads)")


def draw_precision_recall(axes: Axes, analyses: Sequence[Analysis]) -> None:
    """Draw precision against recall at `CURVE_DELTA`; a single point for systems without scores."""
    for index, analysis in enumerate(analyses):
        curves = analysis.system.report.curves
        if curves is None or not curves.recall:
            continue
        count = len(curves.recall)
        kept = np.unique(np.linspace(0, count - 1, min(count, _MOST_VERTICES)).round().astype(np.intp))
        recall, precision = np.array(curves.recall)[kept], np.array(curves.precision)[kept]
        marker = _MARKERS[index % len(_MARKERS)] if len(recall) == 1 else ""
        axes.plot(recall, precision, marker=marker, markersize=8, **_choose_line(index))
    _format_percent(axes, "xy")
    axes.set(xlabel=f"recall at δ = {CURVE_DELTA}", ylabel="precision")


def draw_f1(axes: Axes, analyses: Sequence[Analysis]) -> None:
    """Draw F1 against the matching distance."""
    for sigma in (4, 8):
        axes.axvline(sigma, color=_MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    for index, analysis in enumerate(analyses):
        axes.plot(CURVE_SIGMAS, analysis.f1_by_sigma, **_choose_line(index))
    axes.set_xticks([1, 4, 8, 12, 16, 20])
    axes.set_xlim(0.5, CURVE_SIGMAS[-1] + 0.5)
    _format_percent(axes, "y")
    axes.set(xlabel="σ (pixels)", ylabel="F1")


def draw_nap(axes: Axes, analyses: Sequence[Analysis]) -> None:
    """Draw nAP against delta for systems with scores."""
    for index, analysis in enumerate(analyses):
        curves = analysis.system.report.curves
        if curves and curves.nap:
            axes.plot([*curves.nap], [*curves.nap.values()], **_choose_line(index))
    axes.set_xticks([0.05, 0.15, 0.25, 0.35, 0.5])
    _format_percent(axes, "y")
    axes.set(xlabel="δ (fraction of the distance between neighbours)", ylabel="nAP")


def draw_maxima(axes: Axes, values: Sequence[DoubleArray], threshold: float) -> None:
    """Draw the map maxima of images with people and without, and T_f, `threshold` (FIDTM, Fig. 9)."""
    edges = np.linspace(0, max(1.0, *(part.max(initial=0) for part in values)), 21)
    axes.hist(values, bins=edges.tolist(), color=(color(0), "#c9a227"), rwidth=0.9)
    axes.axvline(threshold, color=_INK, linewidth=1, linestyle=(0, (2, 2)))
    axes.text(threshold, 0.98, " $T_f$", transform=axes.get_xaxis_transform(), va="top")
    axes.grid(visible=False, axis="x")
    axes.set(xlabel="largest value of the predicted map", ylabel="images")


def _scale(axes: Axes, least: int, most: int) -> None:
    """Set the same scale on both axes for counts in a range: linear for few heads, else logarithmic."""
    limits = (0.0, 1.1 * most)
    if most > 100:
        options: dict[str, float] = {}
        if least < 10:  # linear up to ten, to include empty images
            scale, options = "symlog", {"linthresh": 10, "linscale": 0.5}
            ticks = [0, 10, 100, 1_000, 10_000, 100_000]
            limits = (0.0, 1.3 * most)
        else:
            scale, limits = "log", (0.8 * least, 1.3 * most)
            ticks = [digit * 10**power for power in range(1, 7) for digit in (1, 2, 5)]
        axes.set_xscale(scale, **options)
        axes.set_yscale(scale, **options)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator(ticks))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlim(*limits)
    axes.set_ylim(*limits)


def _choose_line(index: int) -> dict[str, Any]:
    return {"color": color(index), "linestyle": _DASHES[index % len(_DASHES)]}


def _format_percent(axes: Axes, which: str) -> None:
    for axis, limits in ((axes.xaxis, axes.set_xlim), (axes.yaxis, axes.set_ylim)):
        if axis.axis_name in which:
            limits(0, 1.01)
            axis.set_major_locator(FixedLocator(np.linspace(0, 1, 6).tolist()))
            axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def _format_range(low: float, high: float) -> str:
    short = [
        f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}" for value in (low, high)
    ]
    return short[0] if short[0] == short[1] else f"{short[0]}–\n{short[1]}"


def render(name: str, description: str, draw: Callable[..., None], *data: Any) -> str:
    """Render a chart, which `draw` draws on axes from `data`, as SVG.

    `name` is the prefix of the SVG's ids, unique on the page, and `description` its alternative text.
    """
    with rc_context(_STYLE):
        figure = Figure(_SIZE, layout="constrained")
        draw(figure.add_subplot(), *data)
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'^<svg ([^>]*?)width="[^"]*" height="[^"]*"', r"<svg \1", svg)  # the page sets its size
    return re.sub(r"^<svg ", f'<svg role="img" aria-label="{description}" ', svg)
