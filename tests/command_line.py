"""Runs the command line inside the test's process, as a user's shell would."""

import io
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest import mock

import pytest

from crowdpoint.cli import main


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def crowdpoint(*arguments: object) -> Outcome:
    """Runs `crowdpoint ARGUMENTS`."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["crowdpoint", *map(str, arguments)]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as exit_,
    ):
        main()
    log = logging.getLogger("crowdpoint")  # as set up for a process that would end now
    log.handlers.clear()
    log.setLevel(logging.NOTSET)
    assert isinstance(exit_.value.code, int)
    return Outcome(exit_.value.code, out.getvalue(), err.getvalue())


def interrupt(*arguments: object, when: Callable[[], object]) -> Outcome:
    """Runs `crowdpoint ARGUMENTS` as a process of its own, and presses Ctrl-C as soon as `when` is true."""
    command = [sys.executable, "-c", "from crowdpoint.cli import main; main()", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while not when():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return Outcome(process.returncode, out, err)
