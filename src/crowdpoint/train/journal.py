"""Log a run: a progress bar on a terminal or plain lines elsewhere, CSV, TensorBoard and trackers."""

import csv
import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self, TextIO

from torch.utils.tensorboard import SummaryWriter

from crowdpoint.console import progress
from crowdpoint.errors import wrap_write_errors
from crowdpoint.recipe import Recipe
from crowdpoint.train.trackers import Trackers
from crowdpoint.train.validation import Validation

_log = logging.getLogger(__name__)

EVERY = 50
"""Steps between two lines of the log, which are averages over these steps."""

FEW = 5
"""Steps of a run after which its expected time is logged."""

QUIET = 15.0
"""Seconds without a line after which a run without a progress bar logs its progress."""


class Journal:
    """Records a run in `out/log.csv` (columns step, name, value), `out/tensorboard` and `run.loggers`.

    A resumed run continues after step `first`, and drops later rows. Only the `active` process logs. Its
    first row opens the files, so that a run that fails before it leaves them as they are.

    Raises:
        StorageError: in any method, if the disk is full or the folder cannot be written to.
    """

    def __init__(self, out: Path, recipe: Recipe, first: int, active: bool) -> None:
        self._out, self._first, self._active = out, first, active
        self._recipe, self._steps = recipe, recipe.run.steps
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._count = 0
        self._since = self._started = self._logged = time.perf_counter()
        self._bar, self._files = ExitStack(), ExitStack()
        self._opened = False

    def __enter__(self) -> Self:
        if self._active:
            self._trackers = Trackers(self._out, self._recipe, resume=self._first > 0)
        shown = progress("training", self._steps, "steps", hidden=not self._active, lines=False)
        self._progress = self._bar.enter_context(shown)
        self._progress.reach(self._first, "training")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bar.close()
        if self._active:
            self._trackers.close(failed=kind is not None)
            with wrap_write_errors(self._out):
                self._files.close()

    def step(self, step: int, losses: dict[str, float], rate: float) -> None:
        """Record the weighted loss terms of a step, counted from 1."""
        for name, value in losses.items():
            self._sums[name] += value
        self._count += 1
        if step % EVERY == 0 or step == self._steps:
            now = time.perf_counter()
            means = {f"loss/{name}": total / self._count for name, total in self._sums.items()}
            seconds = (now - self._since) / self._count
            self._write(step, {**means, "rate": rate, "seconds_per_step": seconds})
            terms = "  ".join(f"{name.removeprefix('loss/')} {value:.4f}" for name, value in means.items())
            self._progress.reach(step, terms)
            if not self._progress.visible:
                self.log(f"step {step}/{self._steps}  {terms}  rate {rate:.2e}  {seconds:.2f} s/step")
            self._sums.clear()
            self._count, self._since = 0, now
        else:
            self._progress.reach(step)
        self._log_time_left(step)

    def _log_time_left(self, step: int) -> None:
        """Log the expected time after `FEW` steps, and again after `QUIET` seconds without a line."""
        done, now = step - self._first, time.perf_counter()
        if done == 1:  # this step waits for the first batch and warms up
            self._started = now
        left = self._steps - step
        if done < FEW or not left:
            return
        seconds = (now - self._started) / (done - 1)
        if done == FEW:
            self.log(f"{left} steps at {seconds:.2f} s: about {_format_duration(left * seconds)}")
        elif not self._progress.visible and now - self._logged >= QUIET:
            self.log(f"step {step}/{self._steps}  about {_format_duration(left * seconds)} left")

    def validation(self, step: int, validation: Validation) -> None:
        """Record a validation, a line for each dataset, and warn of branches that do not work."""
        for label, report in validation.reports.items():
            values = {"mae": report.mae, "rmse": report.rmse, "error": validation.errors[label]}
            if validation.heads[label]:
                values |= {f"f1_{sigma}": score.f1 for sigma, score in report.localization.items()}
            self._write(step, {f"validation/{label}/{name}": value for name, value in values.items()})
            self.log(f"step {step}/{self._steps}  {label}: {_format_values(values)}")
        values = {"merit": validation.merit, "threshold": validation.threshold}
        for name, activity in validation.activity.items():
            values |= {f"{name}_spread": activity.spread, f"{name}_dead": activity.dead}
        self._write(step, {f"validation/{name}": value for name, value in values.items()})
        self.log(f"step {step}/{self._steps}  validation: {_format_values(values)}")
        for name, activity in validation.activity.items():
            if activity.fault:
                _log.warning(
                    "the %s branch %s; lower optimizer.rate, or warm up longer", name, activity.fault
                )
        self._since = time.perf_counter()

    def _open(self) -> None:
        self._out.mkdir(parents=True, exist_ok=True)
        path = self._out / "log.csv"
        kept: list[list[str]] = []
        if self._first and path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.reader(file) if len(row) == 3 and row[0].isdecimal()]  # whole ones
            kept = [row for row in rows if int(row[0]) <= self._first]
        self._files.callback(setattr, threading, "excepthook", threading.excepthook)
        threading.excepthook = _report_thread
        board = SummaryWriter(str(self._out / "tensorboard"), purge_step=self._first + 1)
        self._board = self._files.enter_context(board)
        self._file: TextIO = self._files.enter_context(path.open("w", newline="", encoding="utf-8"))
        self._rows = csv.writer(self._file)
        self._rows.writerows([["step", "name", "value"], *kept])
        self._opened = True

    def _write(self, step: int, values: dict[str, float]) -> None:
        if self._active:
            with wrap_write_errors(self._out):
                if not self._opened:
                    self._open()
                for name, value in values.items():
                    self._rows.writerow([step, name, f"{value:.6g}"])
                    self._board.add_scalar(name, value, step)
                self._file.flush()
            self._trackers.log(step, values)

    def log(self, line: str) -> None:
        """Log a line about the run."""
        self._logged = time.perf_counter()
        if self._active:
            _log.info(line)


def _report_thread(args: threading.ExceptHookArgs) -> None:
    """Ignore an OSError in TensorBoard's thread; the next call of TensorBoard raises it in this thread."""
    if not issubclass(args.exc_type, OSError):
        threading.__excepthook__(args)


def _format_duration(seconds: float) -> str:
    """Format a duration, such as `40 s`, `5 min` or `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _format_values(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())
