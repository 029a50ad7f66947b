"""The table of the page that compares tools."""

from pathlib import Path

import which_tool

PAGE = Path(__file__).parents[1] / "docs" / "which-tool.md"


def test_the_page_has_a_table_that_can_be_updated() -> None:
    """Every row and column is kept as it is."""
    page = PAGE.read_text(encoding="utf-8")
    table = which_tool.parse(page)
    assert which_tool.build(table) in page
    assert all(row.keys() == {*which_tool.SHARED, *which_tool.SYSTEMS} for row in table.values())


def test_a_new_figure_keeps_the_others() -> None:
    table = which_tool.parse(
        "| images of | number | heads an image | CenterFace |\n|---|---|---|---|\n| a | 1 | 2 | 3 |\n\n| b |"
    )
    table["a"] |= {"fidtm-lite": "9"}
    table["c"] = {"images of": "c", "number": "1", "heads an image": "0"}
    assert which_tool.build(table).splitlines()[2:] == ["| a | 1 | 2 | 9 | 3 |", "| c | 1 | 0 | – | – |"]
    assert which_tool.parse(which_tool.build(table))["c"]["CenterFace"] == "–"
