"""Print tables of the metrics of systems, and of the differences between two of them."""

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table

from crowdpoint.metrics import Report
from crowdpoint.metrics.comparison import Comparison
from crowdpoint.report.tables import Entry, build_gaps, format_p_value, list_entries


def print_reports(reports: Mapping[str, Report]) -> None:
    """Print a row for each metric and a column for each report, under the reports' names."""
    columns = [{entry.key: entry for entry in list_entries(report)} for report in reports.values()]
    table = Table("metric", *reports)
    table.add_row("Images", *(str(report.images) for report in reports.values()), end_section=True)
    for section, rows in _by_section(entry for column in columns for entry in column.values()).items():
        table.add_row(f"[bold]{section}[/bold]")
        for key, label in rows.items():
            texts = (column[key].text if key in column else "–" for column in columns)
            table.add_row(f"  {label}", *texts)
        table.add_section()
    seconds = [report.seconds for report in reports.values()]
    if any(seconds):
        table.add_row("Seconds", *("–" if taken is None else f"{taken:.2f}" for taken in seconds))
    Console().print(table)


def print_comparison(found: Comparison) -> None:
    """Print the differences between two systems."""
    table = Table("metric", "difference", "95 % interval", "p", title=f"{found.first} minus {found.second}")
    for gap in build_gaps(found):
        table.add_row(gap.label, gap.value, gap.interval, gap.p_value)
    table.add_row("Absolute errors (Wilcoxon)", "", "", format_p_value(found.wilcoxon))
    Console().print(table)


def _by_section(entries: Iterable[Entry]) -> dict[str, dict[str, str]]:
    """Section -> the key and the label of its rows."""
    sections: dict[str, dict[str, str]] = {}
    for entry in entries:
        sections.setdefault(entry.section, {})[entry.key] = entry.label
    return sections
