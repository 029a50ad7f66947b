import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from crowdpoint.errors import ConfigError
from crowdpoint.video import alerts
from crowdpoint.video.alerts import Alarm, Webhook
from crowdpoint.zones import AlertRule


def _alarm(**values: object) -> Alarm:
    return Alarm(AlertRule.model_validate(values))


def _states(alarm: Alarm, values: Sequence[float]) -> list[str | None]:
    """What happens on frames that are a second apart."""
    return [alarm.update(second, value) for second, value in enumerate(values)]


def test_once_for_each_crossing() -> None:
    values = [50, 51, 60, 50, 49, 51]
    assert _states(_alarm(above=50), values) == [None, "raised", None, "cleared", None, "raised"]


def test_hysteresis() -> None:
    values = [51, 49, 51, 46, 45, 49, 51]
    assert _states(_alarm(above=50, clear=45), values) == [
        "raised",
        None,
        None,
        None,
        "cleared",
        None,
        "raised",
    ]


def test_the_value_must_stay_beyond_the_level() -> None:
    alarm = _alarm(above=50, **{"for": "2s"})
    values = [60, 60, 40, 60, 60, 60, 60, 40, 60, 40, 40, 40]
    states = _states(alarm, values)
    assert [(second, state) for second, state in enumerate(states) if state] == [
        (5, "raised"),
        (11, "cleared"),
    ]
    assert not alarm.on


@contextmanager
def _server(answers: list[int]) -> Iterator[tuple[str, list[Any]]]:
    """A webhook that gives these answers in turn, and what it was sent."""
    bodies: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers.pop(0))
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "FIRST_WAIT", 0.01)


def test_a_webhook_is_tried_again() -> None:
    said: list[str] = []
    with _server([500, 503, 200, 204]) as (url, bodies):
        webhook = Webhook(url, said.append)
        webhook.post({"zone": "gate"})
        webhook.post({"zone": "hall"})
        webhook.close()
    assert bodies == 3 * [{"zone": "gate"}] + [{"zone": "hall"}]
    assert said == []


def test_an_alert_that_nobody_takes_is_said() -> None:
    said: list[str] = []
    with _server([500] * alerts.TRIES) as (url, bodies):
        webhook = Webhook(url.replace("http://", "http://user:secret@"), said.append)
        webhook._url = url  # urllib takes no password in a URL
        webhook.post({})
        webhook.close()
    assert len(bodies) == alerts.TRIES
    (line,) = said
    assert "not delivered after 4 tries" in line
    assert "secret" not in line


def test_a_server_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "WAITING_LIMIT", 2)
    monkeypatch.setattr(alerts, "CLOSING_SECONDS", 0.05)
    said: list[str] = []
    release = threading.Event()
    monkeypatch.setattr(Webhook, "_try", lambda self, body: release.wait(10))
    webhook = Webhook("https://example.org", said.append)
    for _ in range(5):
        webhook.post({})
    webhook.close()
    release.set()
    assert "one more is dropped" in said[0]
    assert "does not answer" in said[-1]


def test_a_webhook_is_a_url() -> None:
    with pytest.raises(ConfigError, match=r"expected an http\(s\) URL, found ftp://x"):
        Webhook("ftp://x", print)
