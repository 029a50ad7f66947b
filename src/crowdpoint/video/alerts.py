"""Alarms: when a zone's goes on and off, and the webhook that hears of it."""

import json
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

from crowdpoint.errors import ConfigError
from crowdpoint.version import __version__
from crowdpoint.video.frames import shown
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


class Webhook:
    """Posts JSON to a URL from a thread of its own, so that nobody waits for the server.

    Args:
        url: http or https.
        say: takes a line for people about each alert that is not delivered.

    Raises:
        ConfigError: if the URL is not one.
    """

    def __init__(self, url: str, say: Callable[[str], None]) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"--alert-webhook: expected an http(s) URL, found {shown(url)}")
        self._url, self._say = url, say
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(WAITING_LIMIT)
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="webhook", daemon=True)
        self._thread.start()

    def post(self, record: dict[str, Any]) -> None:
        """Queues an alert and returns at once."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._say(
                f"{shown(self._url)}: {WAITING_LIMIT} alerts wait for this webhook; one more is dropped"
            )

    def close(self) -> None:
        """Waits a little for what is not delivered; from now on nothing waits between two tries."""
        self._hurry.set()
        with suppress(queue.Full):
            self._queue.put(None, timeout=CLOSING_SECONDS)
        self._thread.join(CLOSING_SECONDS)
        if self._thread.is_alive():
            self._say(f"{shown(self._url)}: does not answer; the last alerts are dropped")

    def _deliver(self) -> None:
        while (record := self._queue.get()) is not None:
            error = self._try(json.dumps(record).encode())
            if error is not None:
                self._say(f"{shown(self._url)}: an alert is not delivered after {TRIES} tries: {error}")

    def _try(self, body: bytes) -> Exception | None:
        """Posts until the server takes it; the last error if it never does."""
        headers = {"Content-Type": "application/json", "User-Agent": f"crowdpoint/{__version__}"}
        for attempt in range(TRIES):
            if attempt:
                self._hurry.wait(FIRST_WAIT * 2 ** (attempt - 1))
            try:
                request = urllib.request.Request(self._url, body, headers)  # noqa: S310  checked above
                with urllib.request.urlopen(request, timeout=ANSWER_SECONDS):  # noqa: S310  checked above
                    return None
            except (OSError, ValueError) as error:  # URLError and HTTPError are OSErrors
                last: Exception = error
                if isinstance(error, urllib.error.HTTPError):
                    error.close()
        return last
