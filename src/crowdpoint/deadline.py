"""Time limit for work in the main thread, enforced by a signal to this process."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from crowdpoint.errors import ConfigError, ImageError

AGAIN_SECONDS = 1.0
"""Seconds between signals; a library may discard an exception raised by a single one."""


class _Late(BaseException):
    """Timeout; not an `Exception`, because decoders convert those to their own errors."""


@contextmanager
def deadline(seconds: float | None, name: str) -> Iterator[None]:
    """Limit the duration of a block, unless `seconds` is None, by an error as soon as a library call returns.

    Raises:
        ImageError: if the block takes longer.
        ConfigError: on Windows, which has no such signal, or outside the main thread.
    """
    if seconds is None:
        yield
        return
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        raise ConfigError("--timeout: requires SIGALRM and the main thread; use crowdpoint batch")
    before = signal.signal(signal.SIGALRM, _end)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _Late:
        raise ImageError(f"{name}: took longer than {seconds:g} s; --timeout sets the limit") from None
    finally:
        signal.signal(signal.SIGALRM, before)


def _end(*_: object) -> None:
    raise _Late
