"""Progress and tables of the command line."""

import pytest
from rich.text import Text

from crowdpoint.console import print_table, progress


def test_a_table_aligns_numbers_and_shows_markup_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("[b]a", "7"), ("b", "123456"), None, (Text("c", "bold"),)]
    print_table(("name", "[/b]"), rows, title="heads[/]", footer=("both", "123463"))
    lines = [line.strip("│┃ ") for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "heads[/]"
    assert any(line.endswith("[/b]") for line in lines)
    cells = ["[b]a │      7", "b    │ 123456", "c", "both │ 123463"]
    assert [line.rstrip("│ ") for line in lines if line.startswith(("[", "b", "c"))] == cells


def test_progress_without_a_terminal_shows_no_bar() -> None:
    with progress("counting", 3) as shown:
        assert not shown.visible
        shown.reach(2)
