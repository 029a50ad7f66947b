"""Alarms: when a zone's goes on and off, and the webhook that hears of it."""

import base64
import http.client
import json
import queue
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

from crowdpoint.errors import ConfigError
from crowdpoint.redaction import redact
from crowdpoint.version import __version__
from crowdpoint.zones import AlertRule

TRIES = 4
"""How often one alert is posted, if the server does not take it."""

FIRST_WAIT = 1.0
"""Seconds before the second try; each further wait is twice as long."""

ANSWER_SECONDS = 5.0
"""How long a server may take to answer."""

WAITING_LIMIT = 100
"""Alerts that wait for a server; what comes on top is dropped."""

CLOSING_SECONDS = 10.0
"""How long the end of a run waits for alerts that are not delivered."""


class Alarm:
    """Follows one zone's value: once for each crossing, with hysteresis.

    Off, it goes on when the value has been above `above` on every frame for `for` seconds. On, it goes off
    when the value has been at or below `clear` on every frame for as long. In between nothing happens.

    Args:
        rule: the zone's.
    """

    def __init__(self, rule: AlertRule) -> None:
        self._rule = rule
        self._since: float | None = None
        self.on = False

    def update(self, seconds: float, value: float) -> Literal["raised", "cleared"] | None:
        """Takes the value at a time, and says if the alarm went on or off."""
        beyond = value <= self._rule.clear_level if self.on else value > self._rule.above
        if not beyond:
            self._since = None
            return None
        self._since = seconds if self._since is None else self._since
        if seconds - self._since < self._rule.hold - 1e-6:  # 1.2 - 1.0 < 0.2
            return None
        self._since = None
        self.on = not self.on
        return "raised" if self.on else "cleared"


def endpoint(url: str) -> tuple[str, dict[str, str]]:
    """Where a webhook posts to: its URL without user and password, and the header that these make (RFC 7617).

    Raises:
        ConfigError: if the URL is not one.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # an address or a port that is none
        valid = False
    if not valid or re.search(r"[\x00-\x20\x7f]", url):
        raise ConfigError(
            f"--alert-webhook: expected an http(s) URL, with %20 for a space, found {redact(url, path=True)}"
        )
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    user, _, password = userinfo.partition(":")
    credentials = base64.b64encode(urllib.parse.unquote_to_bytes(f"{user}:{password}")).decode()
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {credentials}"}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """urllib would follow with a GET, which has no alert in it."""

    def redirect_request(self, *_: object) -> None:
        """Makes a redirect the error that it is."""


class Webhook:
    """Posts JSON to a URL from a thread of its own, so that nobody waits for the server.

    Args:
        url: http or https; a user and a password in it are sent as HTTP's basic authentication.
        say: takes a line for people about each alert that is not delivered.

    Raises:
        ConfigError: if the URL is not one.
    """

    def __init__(self, url: str, say: Callable[[str], None]) -> None:
        self._url, authorization = endpoint(url)
        headers = {"Content-Type": "application/json", "User-Agent": f"crowdpoint/{__version__}"}
        self._headers = headers | authorization
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._name, self._say = redact(url, path=True), say
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(WAITING_LIMIT)
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="webhook", daemon=True)
        self._thread.start()

    def post(self, record: dict[str, Any]) -> None:
        """Queues an alert and returns at once."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._say(f"{self._name}: {WAITING_LIMIT} alerts wait for this webhook; one more is dropped")

    def close(self) -> None:
        """Waits a little for what is not delivered; from now on nothing waits between two tries."""
        self._hurry.set()
        end = time.monotonic() + CLOSING_SECONDS
        with suppress(queue.Full):
            self._queue.put(None, timeout=CLOSING_SECONDS)
        self._thread.join(max(0.0, end - time.monotonic()))
        if self._thread.is_alive():
            self._say(f"{self._name}: does not answer; the last alerts are dropped")

    def _deliver(self) -> None:
        while (record := self._queue.get()) is not None:
            error = self._try(json.dumps(record).encode())
            if error is not None:
                self._say(f"{self._name}: an alert is not delivered after {TRIES} tries: {error}")

    def _try(self, body: bytes) -> Exception | None:
        """Posts until the server takes it; the last error if it never does."""
        for attempt in range(TRIES):
            if attempt:
                self._hurry.wait(FIRST_WAIT * 2 ** (attempt - 1))
            try:
                request = urllib.request.Request(self._url, body, self._headers)  # noqa: S310  by `endpoint`
                with self._opener.open(request, timeout=ANSWER_SECONDS):
                    return None
            except (OSError, http.client.HTTPException, ValueError) as error:
                last: Exception = error
                if isinstance(error, urllib.error.HTTPError):  # an OSError, as URLError is
                    error.close()
        return last
