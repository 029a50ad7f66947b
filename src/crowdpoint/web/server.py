"""Run the application in this process until a signal ends it."""

import os
import signal
import socket
import sys
from functools import partial

import uvicorn
from fastapi import FastAPI

from crowdpoint.errors import ConfigError
from crowdpoint.web.connections import Connection, Connections
from crowdpoint.web.limits import Limits

BACKLOG = 64
"""Size of the accept queue. asyncio accepts the whole queue at once, before connections are counted."""


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigError(
            f"--host {host} --port {port}: cannot listen ({error.strerror}); choose another host or port"
        ) from error


def run(app: FastAPI, listener: socket.socket, limits: Limits) -> None:
    """Serve until SIGINT or SIGTERM, then finish running requests and exit with code 0."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))  # uvicorn raises signals again after its shutdown
    # Disable the access log, which bad requests could fill; /metrics counts requests. Set the trusted proxies
    # explicitly, because uvicorn's default has changed.
    proxies = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
    config = uvicorn.Config(
        app,
        http=partial(Connection, Connections(limits, _limit_connections(limits))),  # type: ignore[arg-type]
        ws="none",
        backlog=BACKLOG,
        log_level="error",
        access_log=False,
        server_header=False,
        forwarded_allow_ips=proxies,
    )
    uvicorn.Server(config).run([listener])


def _limit_connections(limits: Limits) -> int:
    """Reduce the connection limit to half the limit of open files; uploads need the other half."""
    if sys.platform == "win32":
        return limits.connections
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return limits.connections
    return max(1, min(limits.connections, files // 2 - BACKLOG))
