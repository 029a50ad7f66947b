"""Runs the application in this process until it is told to end."""

import os
import signal
import socket
import sys

import uvicorn
from fastapi import FastAPI

from crowdpoint.errors import ConfigError
from crowdpoint.web.connections import Connections
from crowdpoint.web.limits import Limits

BACKLOG = 64
"""Connections that wait to be accepted. asyncio accepts all of them at a time before it counts any."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that clients can reach.

    Args:
        host: a name or an address, of IPv4 or IPv6.
        port: 0 for a free one.

    Raises:
        ConfigError: if nobody can listen there.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigError(
            f"--host {host} --port {port}: cannot listen there ({error.strerror}); choose others"
        ) from error


def run(app: FastAPI, listener: socket.socket, limits: Limits) -> None:
    """Serves until SIGINT or SIGTERM, then answers the requests that it has and ends the process with 0."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    # /metrics counts the requests, and whatever stands in front of the server logs them; a line for each bad
    # one would fill the log. Which proxies are believed is said here, since uvicorn's default has changed.
    proxies = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
    config = uvicorn.Config(
        app,
        http=Connections(limits, _most_connections(limits)).protocol(),
        ws="none",
        backlog=BACKLOG,
        log_level="error",
        access_log=False,
        server_header=False,
        forwarded_allow_ips=proxies,
    )
    uvicorn.Server(config).run([listener])


def _most_connections(limits: Limits) -> int:
    """As many as the limit says; fewer where the system allows few files, of which uploads need half."""
    if sys.platform == "win32":
        return limits.connections
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return limits.connections
    return max(1, min(limits.connections, files // 2 - BACKLOG))


def _end(*_: object) -> None:
    """What uvicorn hands a signal on to once it is done."""
    raise SystemExit(0)
