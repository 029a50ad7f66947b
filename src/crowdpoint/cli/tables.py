"""The metrics of one or several systems as a table for people."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crowdpoint.metrics import Report


def print_reports(reports: "Mapping[str, Report]") -> None:
    """Prints a row for each metric and a column for each report, under the reports' names."""
    from rich.console import Console
    from rich.table import Table

    columns = {name: dict(_rows(report)) for name, report in reports.items()}
    table = Table("metric", *columns)
    for row in dict.fromkeys(row for column in columns.values() for row in column):
        table.add_row(row, *(column.get(row, "–") for column in columns.values()))
    Console().print(table)


def _rows(report: "Report") -> Iterator[tuple[str, str]]:
    """The name of each metric and its text."""
    yield "images", f"{report.images}"
    if report.protocol:
        yield "protocol of training", report.protocol
    yield "MAE", f"{report.mae:.2f}"
    yield 'RMSE ("MSE" in papers)', f"{report.rmse:.2f}"
    yield "NAE", "no heads" if report.nae is None else f"{report.nae:.4f}"
    for sigma, score in report.localization.items():
        yield f"sigma {sigma}: F1", f"{score.f1:.2%}"
        yield f"sigma {sigma}: precision", f"{score.precision:.2%}"
        yield f"sigma {sigma}: recall", f"{score.recall:.2%}"
    for delta, value in (report.nap or {}).items():
        yield f"nAP {delta}", f"{value:.2%}"
    for level, recall in report.recall_by_head_size.items():
        yield f"head size {level}: recall in sigma l", f"{recall:.2%}"
    for level, error in report.game.items():
        yield f"GAME({level})", f"{error:.2f}"
    for grouping, groups in report.groups.items():
        for group, errors in groups.items():
            yield f"{grouping.replace('_', ' ')} {group}: MAE / RMSE", f"{errors.mae:.2f} / {errors.rmse:.2f}"
    if report.seconds is not None:
        yield "seconds", f"{report.seconds:.2f}"
