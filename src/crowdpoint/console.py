"""Show progress on stderr, as a bar on a terminal and plain lines elsewhere, and print tables on stdout."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Literal, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

LINE_SECONDS = 10.0
"""Seconds between two plain lines of progress."""

_FILE_WIDTH = 1000
"""Maximum width of a table that is printed to a file or a pipe, where nothing wraps."""

T = TypeVar("T")
TableCell = str | Text

_log = logging.getLogger(__name__)


class ProgressBar:
    """The progress of one task, which several threads may report; made by `progress`."""

    def __init__(self, bars: Bars, task: str, total: float | None, unit: str, *, lines: bool) -> None:
        self._bars, self._task, self._total, self._unit, self._lines = bars, task, total, unit, lines
        self.visible = not bars.disable
        self._id = bars.add_task(task, total=total, visible=total != 1)
        self._parts: TaskID | None = None
        self._done, self._note = 0.0, task
        self._begin = self._printed = time.monotonic()
        self._lock = threading.Lock()

    def advance(self, count: int = 1) -> None:
        """Report `count` more units as done."""
        with self._lock:
            done = self._done + count
            self._reach(done, f"{done / max(time.monotonic() - self._begin, 1e-9):.1f} a second")

    def reach(self, done: float, note: str | None = None) -> None:
        """Report how many units are done in all, and a new description if it changes."""
        with self._lock:
            self._note = note or self._note
            self._reach(done, self._note)
            self._bars.update(self._id, description=self._note)

    def parts(self, done: int, total: int) -> None:
        """Report how many parts of the current unit are done, on a second bar if there are several."""
        if self._parts is None:
            self._parts = self._bars.add_task("tiles", visible=False)
        self._bars.update(self._parts, completed=done, total=total, visible=total > 1)

    def _reach(self, done: float, note: str) -> None:
        self._done = done
        self._bars.update(self._id, completed=done)
        now = time.monotonic()
        if self._lines and now - self._printed >= LINE_SECONDS:
            self._printed = now
            of = "" if self._total is None else f" of {self._total:g}"
            _log.info("%s: %g%s %s, %s", self._task, done, of, self._unit, note)


@contextmanager
def progress(
    task: str,
    total: float | None,
    unit: str = "images",
    *,
    hidden: bool = False,
    lines: bool = True,
) -> Iterator[ProgressBar]:
    """Show the progress of a task: a bar on a terminal, a line every `LINE_SECONDS` elsewhere.

    Args:
        task: name of the task, such as `predicting`.
        total: number of units; None if unknown.
        unit: name of the units.
        hidden: show no bar, because results appear on the same terminal.
        lines: print lines if stderr is not a terminal.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True, soft_wrap=True)  # a long line stays one line
    terminal = console.is_terminal
    hidden = hidden or not _log.isEnabledFor(logging.INFO)
    # rich would send stdout through the bar's console, and so JSON lines to stderr
    with Bars(
        *columns, console=console, transient=True, redirect_stdout=False, disable=hidden or not terminal
    ) as bars:
        yield ProgressBar(bars, task, total, unit, lines=lines and not terminal)


def track(items: Iterable[T], count: int, task: str) -> Iterator[T]:
    """Yield the results of `count` images, and show the progress."""
    with progress(task, count) as shown:
        for item in items:
            yield item
            shown.advance()


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[TableCell] | None],
    *,
    left: int = 1,
    title: str | None = None,
    footer: Sequence[str] = (),
) -> None:
    """Print a table on stdout.

    Missing cells are empty, and None in place of a row draws a line. The first `left` columns are text,
    aligned left; the others are numbers, aligned right.
    """
    table = Table(title=title and escape(title), show_footer=bool(footer))
    for index, (name, total) in enumerate(zip_longest(columns, footer, fillvalue="")):
        justify: Literal["left", "right"] = "left" if index < left else "right"
        table.add_column(escape(name), escape(total), justify=justify, overflow="fold")
    for row in rows:
        if row is None:
            table.add_section()
        else:
            table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    console = Console()
    console.print(table, width=None if console.is_terminal else _FILE_WIDTH)
