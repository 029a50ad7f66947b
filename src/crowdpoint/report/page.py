"""Render the page: tables, charts and pictures in the template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np

from crowdpoint.metrics import CURVE_DELTA
from crowdpoint.metrics.comparison import compare
from crowdpoint.points import Points
from crowdpoint.report import System, charts, pictures, tables
from crowdpoint.report.analysis import (
    RANKING_SIGMA,
    Analysis,
    analyse,
    compute_densities,
    group_by_quantiles,
    select_notable,
)
from crowdpoint.report.published import PUBLISHED
from crowdpoint.version import __version__


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: title, SVG, note, and the indices of its systems."""

    title: str
    svg: str
    note: str
    systems: Sequence[int]


@dataclass(frozen=True, slots=True)
class Example:
    """An image on the page: name, true count, and the picture (if any), count and F1 of each system."""

    name: str
    true: int
    views: Sequence[tuple[str, int, float]]


def render(
    dataset: str, truth: Mapping[str, Points], systems: Sequence[System], images: Mapping[str, Path]
) -> str:
    """Render the page as HTML; the arguments are those of `report.write`."""
    analyses = [analyse(system, truth) for system in systems]
    published = PUBLISHED.get(dataset, ())
    comparisons = compare({system.name: system.report for system in systems}) if len(systems) > 1 else []
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("crowdpoint.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    index = {system.name: number for number, system in enumerate(systems)}
    return environment.get_template("page.html.jinja").render(
        dataset=dataset,
        counts=[len(heads) for heads in truth.values()],
        systems=systems,
        color=charts.color,
        rows=tables.build_rows(systems, published),
        published=published,
        comparisons=[
            (comparison, index[comparison.first], index[comparison.second], tables.build_gaps(comparison))
            for comparison in comparisons
        ],
        p_text=tables.format_p_value,
        charts=_draw_charts(truth, analyses, images),
        shown=_select_examples(truth, analyses, images),
        marks=pictures,
        sigma=RANKING_SIGMA,
        version=__version__,
    )


def _draw_charts(
    truth: Mapping[str, Points], analyses: Sequence[Analysis], images: Mapping[str, Path]
) -> list[Chart]:
    systems = [analysis.system for analysis in analyses]
    everyone = range(len(systems))
    true = np.array([len(heads) for heads in truth.values()])
    parts = group_by_quantiles(true)
    found = [
        Chart(
            "Counts",
            charts.draw_counts(analyses),
            "One dot per image; dots on the line are exact counts.",
            everyone,
        ),
        Chart(
            "Error by crowd size",
            charts.draw_errors("errors-size", analyses, parts, true, "true count (heads)"),
            "Bars show the mean absolute error, white dots the mean error; below 0, heads are missed.",
            everyone,
        ),
    ]
    density = compute_densities(truth, systems, images)
    if density is not None:
        svg = charts.draw_errors(
            "errors-density", analyses, group_by_quantiles(density), density, "heads per megapixel"
        )
        note = "Bars and dots as above, by the density of the images."
        found.append(Chart("Error by density", svg, note, everyone))
    found.append(
        Chart(
            "F1 by distance",
            charts.draw_f1(analyses),
            "Maximum one-to-one matching within σ; dashed lines at 4 and 8 px.",
            everyone,
        )
    )
    if true.any():
        note = (
            f"Points claim heads by descending score within {CURVE_DELTA} of the distance between neighbours."
        )
        ranked = [i for i in everyone if systems[i].report.nap]
        unranked = [systems[i].name for i in everyone if i not in ranked]
        if unranked:
            note += f" A single point for systems without distinct scores: {', '.join(unranked)}."
        found.append(Chart("Precision and recall", charts.draw_precision_recall(analyses), note, everyone))
        if ranked:
            note = "Area under the precision-recall curve at each δ."
            found.append(Chart("nAP by δ", charts.draw_nap(analyses), note, ranked))
    for number, analysis in enumerate(analyses):
        threshold = analysis.system.empty_below
        if analysis.maxima is not None and threshold is not None:
            values = {"with people": analysis.maxima[true > 0], "without": analysis.maxima[true == 0]}
            svg = charts.draw_maxima(f"maxima-{number}", values, threshold)
            note = "Blue: images with people; yellow: without. Images below the dashed line count as empty."
            found.append(Chart(f"Map maxima of {analysis.system.name}", svg, note, ()))
    return found


def _select_examples(
    truth: Mapping[str, Points], analyses: Sequence[Analysis], images: Mapping[str, Path]
) -> list[tuple[str, list[Example]]]:
    names = list(truth)

    def view(analysis: Analysis, position: int) -> tuple[str, int, float]:
        name = names[position]
        found = analysis.system.predictions[name]
        url = pictures.draw_points(images[name], found, truth[name], RANKING_SIGMA) if name in images else ""
        return url, len(found), float(analysis.f1[position])

    return [
        (
            heading,
            [
                Example(names[at], len(truth[names[at]]), [view(analysis, at) for analysis in analyses])
                for at in positions
            ],
        )
        for heading, positions in select_notable(analyses)
    ]
