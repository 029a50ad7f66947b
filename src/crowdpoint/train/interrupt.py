"""Holds a Ctrl-C or a TERM back until the step under way is whole, so that the run can be resumed exactly."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class Stopped(KeyboardInterrupt):
    """A run was stopped by a signal, after it saved its last step.

    Attributes:
        signal: the signal, such as `signal.SIGTERM`.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


class Interrupt:
    """Notes the first Ctrl-C or TERM while it is entered; a second one acts at once, as usual.

    A signal that the process ignores, as in a background job of a script, stays ignored. Only the main thread
    of a process can receive signals; elsewhere nothing is noted.

    Attributes:
        pending: the signal that was noted; 0 for none.
    """

    def __init__(self) -> None:
        self.pending = 0
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.pending = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """The exit code of a command that a signal ended, as shells have it: 130 for Ctrl-C, 143 for TERM."""
    return 128 + (interrupt.signal if isinstance(interrupt, Stopped) else signal.SIGINT)
