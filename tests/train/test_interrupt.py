"""Ctrl-C: held back once, immediate the second time, and as before afterwards."""

import os
import signal
import threading

import pytest

from crowdpoint.train.interrupt import Interrupt


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_is_noted_and_the_second_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        assert not interrupt.pending
        press()
        assert interrupt.pending
        with pytest.raises(KeyboardInterrupt):
            press()
    assert signal.getsignal(signal.SIGINT) is before


def test_afterwards_everything_is_as_before() -> None:
    with Interrupt() as interrupt:
        pass
    with pytest.raises(KeyboardInterrupt):
        press()
    assert not interrupt.pending


def test_does_nothing_beside_the_main_thread() -> None:
    seen: list[bool] = []

    def work() -> None:
        with Interrupt() as interrupt:
            seen.append(interrupt.pending)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
