import base64
import json
import os
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from silence import expect_silence
from web_servers import QuietHandler, serving

from crowdpoint.counts import Alert
from crowdpoint.errors import ConfigError, StorageError
from crowdpoint.video import alerts
from crowdpoint.video.alerts import Alarm, AlertFile, Webhook, split_credentials
from crowdpoint.video.frames import Frame
from crowdpoint.video.watcher import _update_alert
from crowdpoint.zones import AlertRule

ALERT = Alert("gate", "raised", "count", 60.0, 50.0, 1, 0.5, datetime(2026, 5, 1, 12, tzinfo=UTC))


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
def _server(answers: list[int]) -> Iterator[tuple[str, list[Any], list[str | None]]]:
    """A webhook that gives these answers in turn, and what it was sent: bodies, and `Authorization`."""
    bodies: list[Any] = []
    authorizations: list[str | None] = []

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            authorizations.append(self.headers["Authorization"])
            self.send_response(answers.pop(0))
            self.send_header("Location", "/moved")
            self.end_headers()

    with serving(Handler) as host:
        yield f"http://{host}/hook", bodies, authorizations


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "FIRST_RETRY_DELAY", 0.01)


def test_a_webhook_is_tried_again() -> None:
    said: list[str] = []
    with _server([500, 503, 200, 204]) as (url, bodies, authorizations):
        webhook = Webhook(url, said.append)
        webhook.post({"zone": "gate"})
        webhook.post({"zone": "hall"})
        webhook.close()
    assert bodies == 3 * [{"zone": "gate"}] + [{"zone": "hall"}]
    assert authorizations == [None] * 4
    assert said == []


@pytest.mark.parametrize("status", [500, 302])
def test_an_undelivered_alert_is_reported(status: int) -> None:
    said: list[str] = []
    with _server([status] * alerts.MAX_ATTEMPTS) as (url, bodies, authorizations):
        webhook = Webhook(url.replace("http://", "http://us%40er:secret@"), said.append)
        webhook.post({})
        webhook.close()
    assert len(bodies) == alerts.MAX_ATTEMPTS
    credentials = base64.b64encode(b"us@er:secret").decode()
    assert authorizations == [f"Basic {credentials}"] * alerts.MAX_ATTEMPTS
    (line,) = said
    assert line.startswith("http://***@127.0.0.1:")
    assert f"not delivered after 4 attempts: HTTP Error {status}" in line
    assert "secret" not in line


def test_a_server_without_http_is_reported_each_time() -> None:
    class Other(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"SSH-2.0-other\r\n")
            self.rfile.readline()

    said: list[str] = []
    with socketserver.TCPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        webhook = Webhook(f"http://127.0.0.1:{server.server_address[1]}", said.append)
        webhook.post({})
        webhook.post({})
        webhook.close()
        server.shutdown()
        thread.join()
    assert len(said) == 2
    assert all("not delivered after 4 attempts: SSH-2.0-other" in line for line in said)


def test_a_hanging_server_does_not_block_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "QUEUE_SIZE", 2)
    monkeypatch.setattr(alerts, "SHUTDOWN_TIMEOUT", 0.05)
    said: list[str] = []
    hangs, release = threading.Event(), threading.Event()

    def hang(webhook: Webhook, body: bytes) -> None:
        hangs.set()
        release.wait(60)

    monkeypatch.setattr(Webhook, "_try", hang)
    webhook = Webhook("https://example.org", said.append)
    webhook.post({})
    assert hangs.wait(60)
    for _ in range(3):  # one more than can wait
        webhook.post({})
    limits: list[float] = []
    join = webhook._thread.join
    monkeypatch.setattr(webhook._thread, "join", limits.append)
    webhook.close()
    release.set()
    webhook._queue.put(None)  # the thread ends before the true `_try` is back
    join(60)
    assert not webhook._thread.is_alive()
    assert limits == [0]  # the wait for a place in the queue has used it up
    assert "alert dropped" in said[0]
    assert "no response" in said[-1]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("ftp://x", "ftp://x"),
        ("http://", "http://"),
        ("http://host/a hook", "http://host/a hook"),
        ("http://[::1", r"http://\[::1"),
        ("http://user:secret@host:port/hook", r"http://\*\*\*@host:port/hook"),
        ("http://user:secret@", r"http://\*\*\*@"),
        ("http://host/alärm", "http://host/alärm"),
        ("http://höst/hook", "http://höst/hook"),
        ("", ""),
    ],
)
def test_an_invalid_webhook_url_is_refused(url: str, found: str) -> None:
    with pytest.raises(ConfigError, match=rf"expected an http\(s\) URL, .*found {found}$"):
        split_credentials(url)


def test_credentials_may_have_any_letters() -> None:
    location, header = split_credentials("http://jürgen:größe@host/hook?a=%C3%A4")
    assert location == "http://host/hook?a=%C3%A4"
    assert header == {"Authorization": f"Basic {base64.b64encode('jürgen:größe'.encode()).decode()}"}


def test_delays_double_and_responses_have_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    limits: list[float] = []

    def refuse(_request: object, timeout: float) -> None:
        limits.append(timeout)
        raise OSError("refused")

    webhook = Webhook("http://host/hook", print)
    monkeypatch.setattr(webhook._hurry, "wait", waits.append)
    monkeypatch.setattr(webhook._opener, "open", refuse)
    assert str(webhook._try(b"{}")) == "refused"
    webhook.close()
    assert waits == [alerts.FIRST_RETRY_DELAY * factor for factor in (1, 2, 4)]
    assert limits == [alerts.RESPONSE_TIMEOUT] * alerts.MAX_ATTEMPTS


def test_the_end_of_a_run_ends_the_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "FIRST_RETRY_DELAY", 1000.0)
    said: list[str] = []
    with _server([500] * alerts.MAX_ATTEMPTS) as (url, bodies, _):
        webhook = Webhook(url, said.append)
        webhook.post({})
        monkeypatch.setattr(alerts, "SHUTDOWN_TIMEOUT", 120.0)
        webhook.close()
    assert len(bodies) == alerts.MAX_ATTEMPTS
    assert "not delivered after 4 attempts" in said[0]


def test_an_alert_has_the_value_and_the_level_of_its_measure() -> None:
    alarm = _alarm(above=0.5, clear=0.2, measure="density")
    seen = [
        _update_alert(
            alarm, "gate", Frame(number, float(number), None, np.zeros((1, 1, 3), np.uint8)), 10, per_m2
        )
        for number, per_m2 in enumerate((0.4, 0.6, 0.3, 0.1))
    ]
    assert [alert and (alert.state, alert.value, alert.level) for alert in seen] == [
        None, ("raised", 0.6, 0.5), None, ("cleared", 0.1, 0.2),
    ]  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_alerts_on_a_full_disk_are_an_error() -> None:
    with pytest.raises(StorageError, match=r"full: cannot be written .*No space left"):
        AlertFile(Path("/dev/full"), "street.mp4", expect_silence).add([ALERT])


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps open files from being moved")
def test_alerts_after_the_file_was_moved_create_a_new_one(tmp_path: Path) -> None:
    file = AlertFile(tmp_path / "alerts.jsonl", "street.mp4", expect_silence)
    file.add([ALERT])
    (tmp_path / "alerts.jsonl").rename(tmp_path / "moved")
    file.add([ALERT])
    file.close()
    for name in ("moved", "alerts.jsonl"):
        assert len((tmp_path / name).read_text().splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
def test_a_pipe_keeps_alerts_for_the_next_reader_and_drops_what_it_cannot_hold(tmp_path: Path) -> None:
    path, said = tmp_path / "alerts", list[str]()
    os.mkfifo(path)
    file = AlertFile(path, "street.mp4", said.append)
    for _ in range(2):  # readers come and go
        file.add([ALERT])
        with path.open("rb", buffering=0) as reader:
            assert reader.read(1 << 16).count(b"\n") == 1
    taken = 0
    while not said:
        file.add([ALERT])
        taken += 1
    assert taken > 10
    assert said == [f"--alert-file {path}: alert dropped, nobody reads this pipe"]
    with path.open("rb", buffering=0) as reader:
        file.close()
        kept = b"".join(iter(lambda: reader.read(1 << 16), b""))
    assert kept.count(b"\n") == taken - 1
