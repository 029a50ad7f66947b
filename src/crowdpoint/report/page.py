"""Render the page: tables, charts and pictures in the template."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import numpy as np

from crowdpoint.metrics import CURVE_DELTA
from crowdpoint.metrics.comparison import compare
from crowdpoint.names import escape
from crowdpoint.points import Points
from crowdpoint.report import System, charts, pictures, tables
from crowdpoint.report.analysis import RANKING_SIGMA, Analysis, analyse, compute_densities, select_notable
from crowdpoint.report.published import PUBLISHED
from crowdpoint.version import __version__

Chart = tuple[str, str, str, Sequence[int]]
"""Title, SVG, note, and the indices of the systems."""

Example = tuple[str, int, list[tuple[str, int, float]]]
"""Name and true count of an image, and the picture (if any), count and F1 of each system."""


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
        finalize=lambda value: escape(value) if type(value) is str else value,  # not finished markup
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
            (each, index[each.first], index[each.second], tables.build_gaps(each)) for each in comparisons
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
    about = "Predicted against true count of each image"
    svg = charts.render("counts", about, charts.draw_counts, analyses)
    found: list[Chart] = [("Counts", svg, "One dot per image; dots on the line are exact counts.", everyone)]
    by_error = "Mean absolute counting error by {}".format
    label = "true count (heads)"
    svg = charts.render("errors-size", by_error(label), charts.draw_errors, analyses, true, label)
    note = "Bars show the mean absolute error, white dots the mean error; below 0, heads are missed."
    found.append(("Error by crowd size", svg, note, everyone))
    density = compute_densities(truth, systems, images)
    if density is not None:
        label = "heads per megapixel"
        svg = charts.render("errors-density", by_error(label), charts.draw_errors, analyses, density, label)
        found.append(
            ("Error by density", svg, "Bars and dots as above, by the density of the images.", everyone)
        )
    svg = charts.render("f1", "F1 against the matching distance", charts.draw_f1, analyses)
    note = "Maximum one-to-one matching within σ; dashed lines at 4 and 8 px."
    found.append(("F1 by distance", svg, note, everyone))
    if true.any():
        note = (
            f"Points claim heads by descending score within {CURVE_DELTA} of the distance between neighbours."
        )
        ranked = [i for i in everyone if systems[i].report.nap]
        if unranked := [systems[i].name for i in everyone if i not in ranked]:
            note += f" A single point for systems without distinct scores: {', '.join(unranked)}."
        about = "Precision against recall"
        svg = charts.render("precision-recall", about, charts.draw_precision_recall, analyses)
        found.append(("Precision and recall", svg, note, everyone))
        if ranked:
            svg = charts.render("nap", "nAP against the reach", charts.draw_nap, analyses)
            found.append(("nAP by δ", svg, "Area under the precision-recall curve at each δ.", ranked))
    for number, analysis in enumerate(analyses):
        threshold = analysis.system.empty_below
        if analysis.maxima is not None and threshold is not None:
            values = [analysis.maxima[true > 0], analysis.maxima[true == 0]]
            about = "Images by the largest value of their predicted map"
            svg = charts.render(f"maxima-{number}", about, charts.draw_maxima, values, threshold)
            note = "Blue: images with people; yellow: without. Images below the dashed line count as empty."
            found.append((f"Map maxima of {analysis.system.name}", svg, note, ()))
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

    def show(position: int) -> Example:
        name = names[position]
        return name, len(truth[name]), [view(analysis, position) for analysis in analyses]

    return [(heading, [*map(show, positions)]) for heading, positions in select_notable(analyses)]
