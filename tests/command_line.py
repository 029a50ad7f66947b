"""Runs the command line inside the test's process, as a user's shell would."""

import io
import logging
import sys
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
