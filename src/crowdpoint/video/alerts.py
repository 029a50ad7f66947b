"""Raise and clear alerts of zones, post them to a webhook, and append them to a file."""

import base64
import http.client
import json
import os
import queue
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from crowdpoint.counts import Alert
from crowdpoint.errors import ConfigError, wrap_write_errors
from crowdpoint.redaction import redact
from crowdpoint.version import __version__
from crowdpoint.zones import AlertRule

MAX_ATTEMPTS = 4
"""Maximum number of attempts to post an alert."""

FIRST_RETRY_DELAY = 1.0
"""Seconds before the second attempt; each further delay is twice as long."""

RESPONSE_TIMEOUT = 5.0
"""Seconds to wait for a response."""

QUEUE_SIZE = 100
"""Alerts that may wait for delivery; further ones are dropped."""

SHUTDOWN_TIMEOUT = 10.0
"""Seconds to wait for undelivered alerts at the end of a run."""


class Alarm:
    """Alert state of a zone, with hysteresis.

    Raised when the value has been above `above` on every frame for `for` seconds, and cleared when it has
    been at or below `clear` on every frame for as long.
    """

    def __init__(self, rule: AlertRule) -> None:
        self.rule = rule
        self._since: float | None = None
        self.on = False

    def update(self, seconds: float, value: float) -> Literal["raised", "cleared"] | None:
        """Update with the value at a time, and return the new state if it changed."""
        beyond = value <= self.rule.clear_level if self.on else value > self.rule.above
        if not beyond:
            self._since = None
            return None
        self._since = seconds if self._since is None else self._since
        if seconds - self._since < self.rule.hold - 1e-6:  # allow for rounding: 1.2 - 1.0 < 0.2
            return None
        self._since = None
        self.on = not self.on
        return "raised" if self.on else "cleared"


def split_credentials(url: str) -> tuple[str, dict[str, str]]:
    """Split a URL into the URL without credentials and the HTTP header that transmits them (RFC 7617).

    An invalid URL is a ConfigError.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        userinfo, at, host = parts.netloc.rpartition("@")
        location = parts._replace(netloc=host).geturl() if at else url
        valid = (
            parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and location.isascii()
        )
    except ValueError:  # invalid address or port
        valid = False
    if not valid or re.search(r"[\x00-\x20\x7f]", url):
        raise ConfigError(
            "--alert-webhook: expected an http(s) URL, in ASCII and with %20 for a space, found "
            f"{redact(url, path=True)}"
        )
    if not at:
        return location, {}
    user, _, password = userinfo.partition(":")
    credentials = base64.b64encode(urllib.parse.unquote_to_bytes(f"{user}:{password}")).decode()
    return location, {"Authorization": f"Basic {credentials}"}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Handler that rejects redirects, which urllib would follow with a GET request without the alert."""

    def redirect_request(self, *_: object) -> None:
        """Treat a redirect as an error."""


class Webhook:
    """Background thread that posts JSON to a URL, as `split_credentials` reads it.

    `report` is called with a message for each undelivered alert.
    """

    def __init__(self, url: str, report: Callable[[str], None]) -> None:
        self._location = url
        self._url, authorization = split_credentials(url)
        headers = {"Content-Type": "application/json", "User-Agent": f"crowdpoint/{__version__}"}
        self._headers = headers | authorization
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._name, self._report = redact(url, path=True), report
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(QUEUE_SIZE)
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="webhook", daemon=True)
        self._thread.start()

    def post(self, record: dict[str, Any]) -> None:
        """Queue an alert without blocking."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._report(f"{self._name}: alert dropped, {QUEUE_SIZE} alerts are waiting for this webhook")

    def close(self) -> None:
        """Wait up to `SHUTDOWN_TIMEOUT` for undelivered alerts, retrying without delays."""
        self._hurry.set()
        end = time.monotonic() + SHUTDOWN_TIMEOUT
        with suppress(queue.Full):
            self._queue.put(None, timeout=SHUTDOWN_TIMEOUT)
        self._thread.join(max(0.0, end - time.monotonic()))
        if self._thread.is_alive():
            self._report(f"{self._name}: no response; the last alerts are dropped")

    def _deliver(self) -> None:
        while (record := self._queue.get()) is not None:
            error = self._try(json.dumps(record).encode())
            if error is not None:
                reason = redact(str(error), self._location, path=True)
                self._report(f"{self._name}: alert not delivered after {MAX_ATTEMPTS} attempts: {reason}")

    def _try(self, body: bytes) -> Exception | None:
        """Post until the server accepts; otherwise, return the last error."""
        for attempt in range(MAX_ATTEMPTS):
            if attempt:
                self._hurry.wait(FIRST_RETRY_DELAY * 2 ** (attempt - 1))
            try:
                request = urllib.request.Request(self._url, body, self._headers)  # noqa: S310  http(s) only
                with self._opener.open(request, timeout=RESPONSE_TIMEOUT):
                    return None
            except (OSError, http.client.HTTPException, ValueError) as error:
                last: Exception = error
                if isinstance(error, urllib.error.HTTPError):  # a subclass of OSError
                    error.close()
        return last


class AlertFile:
    """JSON Lines file of alerts, opened for each frame that has some, so that log rotation can move it.

    A named pipe stays open. Alerts wait in it while nobody reads; those that it cannot hold are dropped.

    Args:
        path: file or named pipe.
        source: name of the video.
        report: function called with a message for each dropped alert.
    """

    def __init__(self, path: Path, source: str, report: Callable[[str], None]) -> None:
        self._path, self._source, self._report = path, source, report
        self._pipe: int | None = None
        with wrap_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_fifo():  # open for reading, too: neither opening nor writing needs a reader then
                self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            else:
                path.open("a").close()

    def add(self, alerts: Iterable[Alert]) -> None:
        """Append the alerts of a frame."""
        lines = [f"{json.dumps(one.to_record(self._source))}\n".encode() for one in alerts]
        if self._pipe is not None:
            self._send(self._pipe, lines)
        elif lines:
            with wrap_write_errors(self._path), self._path.open("ab") as file:
                file.writelines(lines)

    def close(self) -> None:
        """Close a named pipe."""
        if self._pipe is not None:
            os.close(self._pipe)

    def _send(self, pipe: int, lines: list[bytes]) -> None:
        for line in lines:
            try:
                os.write(pipe, line)
            except BlockingIOError:
                self._report(f"--alert-file {self._path}: alert dropped, nobody reads this pipe")
