"""Runs work that may crash, or that may have to be stopped, in a process that can be started again."""

import multiprocessing
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Concatenate, ParamSpec

from crowdpoint.errors import ProcessError

STARTS = 3
"""How often in a row a process may die before it is ready."""

EXIT_SECONDS = 10.0
"""How long a process may take to end after it has closed its connection."""

_CONTEXT = multiprocessing.get_context("spawn")
_children = threading.Lock()  # multiprocessing's own list of processes is not made for threads

Arguments = ParamSpec("Arguments")


class Child:
    """A spawned process and the connection to it.

    One thread starts it and talks to it; `kill` and `close` may be called from any other.

    Args:
        target: runs in the process, with the process's end of the connection; sends one message once it is
            ready, and returns when the connection is closed.
        *args: further arguments of `target`; they are pickled.
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
        """How the last process ended, for messages."""

    @property
    def running(self) -> bool:
        """Whether there is a living process."""
        with _children:
            return self._process is not None and not self._killed and self._process.is_alive()

    def start(self) -> Any:
        """Start the process, again if it dies on the way, and return its first message.

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
                    target=self._target, args=(theirs, *self._arguments), daemon=True
                )
                self._process.start()
                theirs.close()  # the process holds the only one, and so its death is seen
            try:
                return self.receive()
            except ProcessError:
                continue
        raise ProcessError(f"no process can be started: {self.end}")

    def send(self, message: object) -> None:
        """Send a message.

        Raises:
            ProcessError: if the process is dead.
        """
        try:
            self._connection.send(message)
        except OSError as error:
            raise self._died() from error

    def receive(self) -> Any:
        """Wait for a message.

        Raises:
            ProcessError: if the process dies before it has sent one.
        """
        try:
            return self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._died() from error

    def kill(self) -> None:
        """End the process at once; `start` starts another."""
        with _children:
            self._killed = True
            if self._process:
                self._process.kill()

    def close(self) -> None:
        """End the process at once and for good."""
        self._closed = True
        self.kill()

    def _died(self) -> ProcessError:
        self._reap()
        return ProcessError(self.end)

    def _reap(self) -> None:
        """Note how the process ended."""
        process = self._process
        if process is None:
            return
        self._connection.close()
        wait([process.sentinel], EXIT_SECONDS)
        with _children:
            process.kill()  # nothing happens to one that has ended
            process.join()
            code = process.exitcode or 0
            self._process = None
        self.end = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
