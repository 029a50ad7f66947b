"""Ctrl-C and TERM: held back once, immediate the second time, and as before afterwards."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from crowdpoint.interrupt import Interrupt, Stopped, exit_code


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def ignored() -> Iterator[None]:
    """Ctrl-C ignored, as where a script starts a program in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_signal_is_recorded_and_the_second_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        pending = [interrupt.pending]
        press()
        pending.append(interrupt.pending)
        with pytest.raises(KeyboardInterrupt):
            press()
    assert pending == [0, signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is before


def test_handlers_are_restored() -> None:
    with Interrupt() as interrupt:
        pass
    with pytest.raises(KeyboardInterrupt):
        press()
    assert not interrupt.pending


def test_has_no_effect_outside_the_main_thread() -> None:
    seen: list[int] = []

    def work() -> None:
        with Interrupt() as interrupt:
            seen.append(interrupt.pending)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [0]


def test_ignored_signals_stay_ignored(ignored: None) -> None:
    with Interrupt() as interrupt:
        press()
        press()
        assert not interrupt.pending
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_second_term_ends_the_process() -> None:
    code = """
import os, signal
from crowdpoint.interrupt import Interrupt
with Interrupt() as interrupt:
    os.kill(os.getpid(), signal.SIGTERM)
    print(interrupt.pending, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    print("alive")
"""
    ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (-signal.SIGTERM, f"{signal.SIGTERM.value}\n")


def test_exit_codes_are_those_of_shells() -> None:
    assert exit_code(KeyboardInterrupt()) == 130
    assert exit_code(Stopped(signal.SIGINT)) == 130
    assert exit_code(Stopped(signal.SIGTERM)) == 143
