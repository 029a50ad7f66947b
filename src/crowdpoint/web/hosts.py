"""Reject requests for other hosts than those of the server."""

import ipaddress
import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from crowdpoint.errors import ConfigError
from crowdpoint.web import problems
from crowdpoint.web.problems import ProblemError


class HostMiddleware:
    """ASGI middleware that answers only requests for some hosts.

    Health checks are exempt: they reveal nothing, and know the server by its address.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process a request."""
        if scope["type"] == "http" and scope["path"] != "/healthz":
            host = Headers(scope=scope).get("host", "").lower()
            name = re.sub(r":\d*$", "", host) if "]" in host or host.count(":") == 1 else host
            if name.strip("[]") not in self._names:
                expected = ", ".join(sorted(self._names))
                problem = ProblemError(400, f"host: expected one of {expected}, found {host!r}")
                await problems.respond(problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def parse_host(host: str) -> str:
    """Convert an allowed host to its form in the `Host` header, without brackets.

    Raises:
        ConfigError: if it is neither a host name nor an address.
    """
    name = host.lower()
    try:
        return str(ipaddress.IPv6Address(name.removeprefix("[").removesuffix("]")))
    except ValueError:
        pass
    if not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", name):
        raise ConfigError(
            f"allowed host {host!r}: expected a host name or address, such as crowd.example or 192.0.2.1, "
            "without scheme, port, path and wildcard, and with other letters than ASCII as Punycode"
        )
    return name
