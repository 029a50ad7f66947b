"""Draw the charts of a report as deterministic SVG with text elements."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from crowdpoint.metrics import CURVE_DELTA, CURVE_SIGMAS
from crowdpoint.points import DoubleArray, IntArray
from crowdpoint.report.analysis import Analysis

COLORS = ("#2456a6", "#d1571b", "#1b8a6b", "#8b4fa8", "#b8860b", "#5b6770")
"""Colours of systems, distinguishable by colour-blind readers; repeated after the last."""

_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (5, 1.6)), (0, (1.4, 1.2)), "-.")
_INK, _MUTED, _RULE = "#1d2630", "#5b6770", "#dfe3e8"
_SIZE = (4.6, 3.3)  # inches; the page scales charts to the column width
_MOST_DOTS = 3000  # above this number, dots are rasterized
_MOST_VERTICES = 400


def color(index: int) -> str:
    """Return the colour of a system by its index."""
    return COLORS[index % len(COLORS)]


def draw_counts(analyses: Sequence[Analysis]) -> str:
    """Draw predicted against true counts, one dot per image."""

    def draw(axes: Axes) -> None:
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
        axes.set_xlabel("true count (heads)")
        axes.set_ylabel("predicted count (heads)")

    return _render_svg("counts", "Predicted against true count of each image", draw)


def draw_errors(
    name: str,
    analyses: Sequence[Analysis],
    parts: Sequence[IntArray],
    values: IntArray | DoubleArray,
    label: str,
) -> str:
    """Draw the mean absolute error by group of images, with the mean error as a white dot."""

    def draw(axes: Axes) -> None:
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
        axes.set_xlabel(label)
        axes.set_ylabel("counting error (heads)")

    return _render_svg(name, f"Mean absolute counting error by {label}", draw)


def draw_precision_recall(analyses: Sequence[Analysis]) -> str:
    """Draw precision against recall at `CURVE_DELTA`; a single point for systems without scores."""

    def draw(axes: Axes) -> None:
        for index, analysis in enumerate(analyses):
            curves = analysis.system.report.curves
            if curves is None or not curves.recall:
                continue
            kept = _thin(len(curves.recall))
            recall, precision = np.array(curves.recall)[kept], np.array(curves.precision)[kept]
            marker = _MARKERS[index % len(_MARKERS)] if len(recall) == 1 else ""
            axes.plot(recall, precision, marker=marker, markersize=8, **_choose_line(index))
        _format_percent(axes, "xy")
        axes.set_xlabel(f"recall at δ = {CURVE_DELTA}")
        axes.set_ylabel("precision")

    return _render_svg("precision-recall", "Precision against recall", draw)


def draw_f1(analyses: Sequence[Analysis]) -> str:
    """Draw F1 against the matching distance."""

    def draw(axes: Axes) -> None:
        for sigma in (4, 8):
            axes.axvline(sigma, color=_MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        for index, analysis in enumerate(analyses):
            axes.plot(CURVE_SIGMAS, analysis.f1_by_sigma, **_choose_line(index))
        axes.set_xticks([1, 4, 8, 12, 16, 20])
        axes.set_xlim(0.5, CURVE_SIGMAS[-1] + 0.5)
        _format_percent(axes, "y")
        axes.set_xlabel("σ (pixels)")
        axes.set_ylabel("F1")

    return _render_svg("f1", "F1 against the matching distance", draw)


def draw_nap(analyses: Sequence[Analysis]) -> str:
    """Draw nAP against delta for systems with scores."""

    def draw(axes: Axes) -> None:
        for index, analysis in enumerate(analyses):
            curves = analysis.system.report.curves
            if curves and curves.nap:
                axes.plot([*curves.nap], [*curves.nap.values()], **_choose_line(index))
        axes.set_xticks([0.05, 0.15, 0.25, 0.35, 0.5])
        _format_percent(axes, "y")
        axes.set_xlabel("δ (fraction of the distance between neighbours)")
        axes.set_ylabel("nAP")

    return _render_svg("nap", "nAP against the reach", draw)


def draw_maxima(name: str, values: Mapping[str, DoubleArray], threshold: float) -> str:
    """Draw the histogram of map maxima of images (FIDTM, Fig. 9).

    Images below `threshold` (T_f) count as empty.
    """

    def draw(axes: Axes) -> None:
        edges = np.linspace(0, max(1.0, *(part.max(initial=0) for part in values.values())), 21)
        colors = (color(0), "#c9a227")
        axes.hist(list(values.values()), bins=edges.tolist(), color=colors[: len(values)], rwidth=0.9)
        axes.axvline(threshold, color=_INK, linewidth=1, linestyle=(0, (2, 2)))
        axes.text(threshold, 0.98, " $T_f$", transform=axes.get_xaxis_transform(), va="top")
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("largest value of the predicted map")
        axes.set_ylabel("images")

    return _render_svg(name, "Images by the largest value of their predicted map", draw)


def _scale(axes: Axes, least: int, most: int) -> None:
    """Set the same scale on both axes for counts in a range: linear for few heads, else logarithmic."""
    limits = (0.0, 1.1 * most)
    if most > 100:
        steps = [digit * 10**power for power in range(1, 7) for digit in (1, 2, 5)]
        ticks: list[float] = [10, 100, 1_000, 10_000, 100_000]
        options: dict[str, float] = {}
        scale = "log"
        if least < 10:  # linear up to ten, to include empty images
            scale, options = "symlog", {"linthresh": 10, "linscale": 0.5}
            ticks = [0, *ticks]
            limits = (0.0, 1.3 * most)
        else:
            ticks = [float(step) for step in steps]
            limits = (0.8 * least, 1.3 * most)
        axes.set_xscale(scale, **options)
        axes.set_yscale(scale, **options)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator(ticks))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlim(*limits)
    axes.set_ylim(*limits)


def _use_style() -> AbstractContextManager[None]:
    return rc_context(
        {
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
    )


def _choose_line(index: int) -> dict[str, Any]:
    return {"color": color(index), "linestyle": _DASHES[index % len(_DASHES)]}


def _format_percent(axes: Axes, which: str) -> None:
    """Format fractions from 0 to 1 as percentages."""
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


def _thin(count: int) -> IntArray:
    """Select at most `_MOST_VERTICES` of `count` indices, including the first and the last."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_VERTICES)).round().astype(np.intp))


def _render_svg(name: str, description: str, draw: Callable[[Axes], None]) -> str:
    """Render a chart with unique ids, so that several fit on one page."""
    with _use_style():
        figure = Figure(_SIZE, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'^<svg ([^>]*?)width="[^"]*" height="[^"]*"', r"<svg \1", svg)  # the page sets its size
    return re.sub(r"^<svg ", f'<svg role="img" aria-label="{description}" ', svg)
