"""Keeps connections from holding the server: deadlines for heads and answers, and a cap on their number."""

import asyncio
import logging
from collections import Counter
from functools import partial
from time import monotonic
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from crowdpoint.web.limits import Limits

QUIET_SECONDS = 60.0
"""Between two lines of the log that say that all connections are taken."""

_log = logging.getLogger(__name__)


class Connections:
    """The open connections of one server.

    Args:
        limits: the deadlines.
        most: connections that may be open.
    """

    def __init__(self, limits: Limits, most: int) -> None:
        self.limits = limits
        self.most = most
        self._open: dict[Connection, None] = {}  # the oldest first
        self._reported = float("-inf")

    def protocol(self) -> Any:
        """What uvicorn makes a connection with, and calls its protocol class."""
        return partial(Connection, self)

    def add(self, connection: "Connection") -> None:
        """Take in a new one; one too many costs the oldest without a request of the address with most."""
        self._open[connection] = None
        if len(self._open) <= self.most:
            return
        if monotonic() - self._reported > QUIET_SECONDS:
            self._reported = monotonic()
            _log.warning("all %d connections are taken; those that wait longest are closed", self.most)
        idle = [one for one in self._open if not one.busy]
        greediest = Counter(one.address for one in idle).most_common(1)[0][0]
        next(one for one in idle if one.address == greediest).drop()

    def remove(self, connection: "Connection") -> None:
        """Forget a closed one."""
        self._open.pop(connection, None)


class Connection(H11Protocol):
    """One connection of uvicorn's, with deadlines.

    uvicorn closes a connection that is silent after an answer. Here it is also closed if the head of its
    request is not whole in time, if what is left of a refused body does not end, or if the client does not
    read its answer.
    """

    def __init__(self, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._connections = connections
        self._head: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether a request is being received or answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def address(self) -> str:
        """Who is at the other end."""
        return self.client[0] if self.client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a head."""
        super().connection_made(transport)
        self._watch_head()
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._head_done()
        self._answer_read()
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take some of a head or a body."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """Go on to the next request, which may have come already."""
        super().on_response_complete()
        if self.busy:
            self._watch_head()

    def pause_writing(self) -> None:
        """Start to wait for a client that does not read its answer."""
        super().pause_writing()
        self._unread = self.loop.call_later(self._connections.limits.idle_seconds, self.drop)

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        self._answer_read()

    def drop(self) -> None:
        """Close the connection at once."""
        self._connections.remove(self)
        self.transport.abort()

    def _watch_head(self) -> None:
        """The deadline runs from the first byte to the end of the head, however many bytes come between."""
        if self.busy:
            self._head_done()
        elif self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(self._connections.limits.head_seconds, self.drop)

    def _head_done(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _answer_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
