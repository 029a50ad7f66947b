"""Show progress on stderr: a bar on a terminal, plain lines elsewhere."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

LINE_SECONDS = 10.0
"""Seconds between two plain lines of progress."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Progress:
    """The progress of one task, which several threads may report.

    Use `progress` to make one.
    """

    def __init__(self, bars: Bars, task: str, total: float | None, unit: str, *, lines: bool) -> None:
        self._bars, self._task, self._total, self._unit, self._lines = bars, task, total, unit, lines
        self._id = bars.add_task(task, total=total, visible=total != 1)
        self._parts: TaskID | None = None
        self._done = 0.0
        self._begin = self._printed = time.monotonic()
        self._lock = threading.Lock()

    def advance(self, count: int = 1) -> None:
        """Report `count` more units as done."""
        with self._lock:
            done = self._done + count
            self._reach(done, f"{done / max(time.monotonic() - self._begin, 1e-9):.1f} a second")

    def reach(self, done: float, note: str) -> None:
        """Report how many units are done in all, and what to show of them."""
        with self._lock:
            self._reach(done, note)
            self._bars.update(self._id, description=note)

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
) -> Iterator[Progress]:
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
        yield Progress(bars, task, total, unit, lines=lines and not terminal)


def track(items: Iterable[T], count: int, task: str) -> Iterator[T]:
    """Yield the results of `count` images, and show the progress."""
    with progress(task, count) as shown:
        for item in items:
            yield item
            shown.advance()
