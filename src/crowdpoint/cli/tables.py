"""Print tables of the metrics of systems, and of the differences between two of them."""

from collections.abc import Mapping, Sequence

from rich.text import Text

from crowdpoint.console import TableCell, print_table
from crowdpoint.metrics import Report
from crowdpoint.metrics.comparison import Comparison
from crowdpoint.report.tables import build_gaps, format_p_value, list_entries


def print_reports(reports: Mapping[str, Report]) -> None:
    """Print a row for each metric and a column for each report, under the reports' names."""
    columns = [{entry.key: entry for entry in list_entries(report)} for report in reports.values()]
    rows: list[Sequence[TableCell] | None] = [
        ("Images", *(str(report.images) for report in reports.values())),
        None,
    ]
    sections: dict[str, dict[str, str]] = {}
    for entry in (entry for column in columns for entry in column.values()):
        sections.setdefault(entry.section, {})[entry.key] = entry.label
    for section, labels in sections.items():
        rows.append((Text(section, "bold"),))
        for key, label in labels.items():
            rows.append((f"  {label}", *(column[key].text if key in column else "–" for column in columns)))
        rows.append(None)
    seconds = [report.seconds for report in reports.values()]
    if any(seconds):
        rows.append(("Seconds", *("–" if taken is None else f"{taken:.2f}" for taken in seconds)))
    print_table(("metric", *reports), rows)


def print_comparison(found: Comparison) -> None:
    """Print the differences between two systems."""
    rows = [(gap.label, gap.value, gap.interval, gap.p_value) for gap in build_gaps(found)]
    rows.append(("Absolute errors (Wilcoxon)", "", "", format_p_value(found.wilcoxon)))
    title = f"{found.first} minus {found.second}"
    print_table(("metric", "difference", "95 % interval", "p"), rows, title=title)
