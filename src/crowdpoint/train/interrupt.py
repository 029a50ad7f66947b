"""Holds a Ctrl-C back until the step under way is whole, so that what is saved can be resumed exactly."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class Interrupt:
    """Notes the first Ctrl-C while it is entered; a second one interrupts at once, as usual.

    Only the main thread of a process can receive it; elsewhere nothing is noted.

    Attributes:
        pending: whether there was one.
    """

    def __init__(self) -> None:
        self.pending = False
        self._active = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Self:
        if self._active:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._active:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self.pending = True
        signal.signal(signal.SIGINT, self._before)
