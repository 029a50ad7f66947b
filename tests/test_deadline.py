import signal
import sys
import threading
import time
from contextlib import suppress

import pytest

from crowdpoint.deadline import deadline
from crowdpoint.errors import ConfigError, ImageError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGALRM")


def test_slow_work_is_ended_even_if_it_catches_errors() -> None:
    @deadline(0.1, "a.jpg")
    def stubborn() -> None:
        while True:
            with suppress(Exception):
                time.sleep(60)

    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(ImageError, match=r"a\.jpg: took longer than 0\.1 s"):
        stubborn()
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_work_within_the_limit_is_not_interrupted() -> None:
    with deadline(60, "a.jpg"):
        done = True
    assert done
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_other_threads_cannot_be_ended() -> None:
    errors: list[str] = []

    def work() -> None:
        try:
            with deadline(60, "a.jpg"):
                pass
        except ConfigError as error:
            errors.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "main thread" in errors[0]
