"""Limit connections: timeouts for request heads and responses, and a maximum number."""

import asyncio
import logging
from collections import Counter
from time import monotonic
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from crowdpoint.web.limits import Limits

LOG_INTERVAL = 60.0
"""Minimum seconds between log messages about exhausted connections."""

_log = logging.getLogger(__name__)


class Connections:
    """Open connections of a server."""

    def __init__(self, limits: Limits, most: int) -> None:
        self.limits = limits
        self.most = most
        self._open: dict[Connection, None] = {}  # oldest first
        self._reported = float("-inf")

    def add(self, connection: "Connection") -> None:
        """Add a connection; above the maximum, close the oldest idle one of the address with most."""
        self._open[connection] = None
        if len(self._open) <= self.most:
            return
        if monotonic() - self._reported > LOG_INTERVAL:
            self._reported = monotonic()
            _log.warning("all %d connections are in use; closing the oldest idle ones", self.most)
        idle = [one for one in self._open if not one.busy]
        greediest = Counter(one.address for one in idle).most_common(1)[0][0]
        next(one for one in idle if one.address == greediest).drop()

    def remove(self, connection: "Connection") -> None:
        """Remove a closed connection."""
        self._open.pop(connection, None)


class Connection(H11Protocol):
    """A uvicorn connection with timeouts.

    uvicorn closes connections that are idle after a response. This class also closes them if the request head
    is incomplete, the rest of a refused body does not end, or the client does not read the response in time.
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
        """Address of the client."""
        return self.client[0] if self.client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of the request head."""
        super().connection_made(transport)
        self._watch_head()
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timeouts."""
        _cancel(self._head)
        _cancel(self._unread)
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Process received data, and update the timeout of the head."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """Continue with the next request, which may have arrived already."""
        super().on_response_complete()
        if self.busy:
            self._watch_head()

    def pause_writing(self) -> None:
        """Start the timeout of a client that does not read its response."""
        super().pause_writing()
        self._unread = self.loop.call_later(self._connections.limits.idle_seconds, self.drop)

    def resume_writing(self) -> None:
        """Continue writing, and cancel the timeout."""
        super().resume_writing()
        _cancel(self._unread)

    def drop(self) -> None:
        """Abort the connection."""
        self._connections.remove(self)
        self.transport.abort()

    def _watch_head(self) -> None:
        """Run the timeout from the start to the end of the head, regardless of progress in between."""
        if self.busy:
            _cancel(self._head)
        elif (self._head is None or self._head.cancelled()) and not self.transport.is_closing():
            self._head = self.loop.call_later(self._connections.limits.head_seconds, self.drop)


def _cancel(timeout: asyncio.TimerHandle | None) -> None:
    if timeout is not None:
        timeout.cancel()
