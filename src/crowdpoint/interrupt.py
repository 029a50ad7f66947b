"""Delay a SIGINT or SIGTERM until the current step or frame is complete."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Self


class Stopped(KeyboardInterrupt):
    """Raised after a signal, when the last step of the run is saved."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


class Interrupt:
    """Context that records the first SIGINT or SIGTERM; the second one has its usual effect.

    Ignored signals, as in a background job of a script, stay ignored. No effect outside the main thread.

    Attributes:
        pending: the recorded signal; 0 for none.
    """

    def __init__(self, stop: Callable[[], object] = lambda: None) -> None:
        """Call `stop` when a signal is recorded."""
        self.pending = 0
        self._stop = stop
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.pending = number
        self._stop()
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """Return the exit code for a signal by the convention of shells: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + (interrupt.signal if isinstance(interrupt, Stopped) else signal.SIGINT)
