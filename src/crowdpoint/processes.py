"""Run work that may crash or be stopped in a process that can be restarted."""

import multiprocessing
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Concatenate, ParamSpec

from crowdpoint.errors import ProcessError, ignore_metadata_warnings

STARTS = 3
"""Number of consecutive attempts to start a process."""

EXIT_TIMEOUT = 10.0
"""Seconds that a process may take to exit after it has closed its connection."""

_CONTEXT = multiprocessing.get_context("spawn")
_children = threading.Lock()  # multiprocessing's list of processes is not thread-safe

Arguments = ParamSpec("Arguments")


class Child:
    """A spawned process and the connection to it.

    Call `start`, `send` and `receive` from one thread; `kill` and `close` from any.

    Args:
        target: function to run in the process, called with the process's end of the connection. It sends one
            message when it is ready, and returns when the connection is closed.
        *args: further arguments of `target`, pickled.
    """

    def __init__(
        self,
        target: Callable[Concatenate[Connection, Arguments], None],
        *args: Arguments.args,
        **_: Arguments.kwargs,
    ) -> None:
        self._target, self._arguments = target, args
        self._process: SpawnProcess | None = None
        self._connection: Connection
        self._killed = self._closed = False
        self.end = "it was closed"
        """Exit status of the last process, for messages."""

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        with _children:
            return self._process is not None and not self._killed and self._process.is_alive()

    def start(self) -> Any:
        """Start the process, retrying if it dies, and return its first message.

        Raises:
            ProcessError: if it dies `STARTS` times, or is killed or closed meanwhile.
        """
        self._reap()
        self._killed = False
        for _ in range(STARTS):
            with _children:
                if self._killed or self._closed:
                    break
                self._connection, theirs = _CONTEXT.Pipe()
                self._process = _CONTEXT.Process(
                    target=_run, args=(self._target, theirs, *self._arguments), daemon=True
                )
                self._process.start()
                theirs.close()  # leave the only copy to the process, so that its death closes the connection
            try:
                return self.receive()
            except ProcessError:
                continue
        raise ProcessError(f"no process can be started: {self.end}")

    def send(self, message: object) -> None:
        """Send a message, or raise a ProcessError if the process is dead."""
        try:
            self._connection.send(message)
        except OSError as error:
            raise self._report_death() from error

    def receive(self) -> Any:
        """Wait for a message, or raise a ProcessError if the process dies before it has sent one."""
        try:
            return self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._report_death() from error

    def kill(self) -> None:
        """Kill the process; `start` starts a new one."""
        with _children:
            self._killed = True
            if self._process:
                self._process.kill()

    def close(self) -> None:
        """Kill the process and prevent further starts."""
        self._closed = True
        self.kill()

    def _report_death(self) -> ProcessError:
        self._reap()
        return ProcessError(self.end)

    def _reap(self) -> None:
        process = self._process
        if process is None:
            return
        self._connection.close()
        wait([process.sentinel], EXIT_TIMEOUT)
        with _children:
            process.kill()  # no effect if it has exited
            process.join()
            code = process.exitcode or 0
            self._process = None
        self.end = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _run(target: Callable[..., None], *args: object) -> None:
    ignore_metadata_warnings()
    target(*args)
