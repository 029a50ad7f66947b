"""Who may use the server and its page, and what its responses tell browsers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from application import application, files, refused, send
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tiny_models import write_tiny

from crowdpoint.errors import ConfigError
from crowdpoint.web import heat
from crowdpoint.web.app import PAGE, _add_page, create
from crowdpoint.web.limits import Limits
from crowdpoint.web.pool import Pool


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("web") / "tiny.onnx")


@pytest.fixture(scope="module")
def client(tiny: Path) -> Iterator[TestClient]:
    with application(files(tiny=tiny), limits=Limits(request_bytes=20_000)) as client:
        yield client


@pytest.fixture(scope="module")
def hosts(tiny: Path) -> Iterator[TestClient]:
    with application(files(tiny=tiny), allowed_hosts=["crowd.example", "[::1]"]) as client:
        yield client


def test_the_key(tiny: Path) -> None:
    with application(files(tiny=tiny), api_key="sesame") as client:
        for headers in ({}, {"authorization": "Bearer Sesame"}, {"authorization": "Basic sesame"}):
            answer = client.post("/v1/predict", content=b"unread", headers=headers)
            refused(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        refused(client.post("/v1/heatmap", content=b"unread"), 401)
        for path in ("/v1/models", "/metrics"):
            refused(client.get(path, headers={b"authorization": b"Bearer ses\xe4me"}), 401)
            assert client.get(path, headers={"authorization": "Bearer sesame"}).status_code == 200
        for path in ("/", "/healthz", "/page/app.js", "/openapi.json"):
            assert client.get(path).status_code == 200


@pytest.mark.parametrize("host", ["crowd.example", "Crowd.example:8000", "[::1]:8000", "[::1]"])
def test_allowed_hosts(hosts: TestClient, host: str) -> None:
    assert hosts.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["", "evil.example", "crowd.example.evil", "evil:crowd.example", "["])
def test_other_hosts_are_refused(hosts: TestClient, host: str) -> None:
    for path in ("/", "/page/app.js", "/openapi.json", "/v1/models", "/metrics", "/nothing"):
        assert (
            "host: expected one of ::1, crowd.example"
            in refused(hosts.get(path, headers={"host": host}), 400)["detail"]
        )
    assert hosts.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["", "*", "crowd.example:8000", "http://crowd.example", "[crowd.example]", "ä.de"]
)
def test_allowed_hosts_that_match_no_request(host: str) -> None:
    with pytest.raises(
        ConfigError, match=re.escape(f"allowed host {host!r}: expected a host name or address")
    ):
        create(Pool(dict, 1), allowed_hosts=["crowd.example", host])


def test_errors_are_problems_with_headers_and_are_logged_once(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_body: bytes) -> bytes:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(heat, "draw", fail)
    with application(files(tiny=tiny)) as client:
        answer = client.post("/v1/heatmap", content=b"{}")
        assert "secret" not in refused(answer, 500)["detail"]
        check_headers(answer)
        text = client.get("/metrics").text
    assert [record.getMessage() for record in caplog.records] == ["POST /v1/heatmap failed"]
    assert caplog.text.count("RuntimeError: secret of the house") == 1
    assert 'crowdpoint_requests_total{method="POST",path="/v1/heatmap",status="500"} 1.0' in text


def test_every_response_has_the_security_headers(client: TestClient) -> None:
    for answer, status in (
        (client.get("/"), 200),
        (client.get("/page/app.js"), 200),
        (client.get("/v1/models"), 200),
        (client.get("/nothing"), 404),
        (send(client, bytes(20_001)), 413),
    ):
        assert answer.status_code == status
        check_headers(answer)


def check_headers(answer: Any) -> None:
    headers = answer.headers
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    for kind in ("default-src", "base-uri", "form-action", "frame-ancestors"):
        assert policy[kind] == "'none'"
    for kind in ("script-src", "style-src", "connect-src"):
        assert policy[kind] == "'self'"


def test_large_answers_are_compressed(client: TestClient) -> None:
    answer = client.get("/page/app.js", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content == (PAGE / "app.js").read_bytes()
    assert int(answer.headers.get("content-length", 0)) < len(answer.content)
    assert "content-encoding" not in client.get("/healthz", headers={"accept-encoding": "gzip"}).headers


def test_the_host_header_causes_no_redirect(client: TestClient) -> None:
    for path in ("/page", "/healthz/", "/v1/models/"):
        answer = client.get(path, headers={"host": "evil.example"}, follow_redirects=False)
        assert answer.status_code == 404
        assert "evil" not in str(answer.headers) + answer.text


def test_browsers_ask_whether_the_page_has_changed() -> None:
    """Else modules of two versions could meet."""
    app = FastAPI()
    _add_page(app)
    with TestClient(app) as client:
        for address in ("/", "/page/app.js", "/page/style.css"):
            answer = client.get(address)
            assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")
            again = client.get(address, headers={"If-None-Match": answer.headers["ETag"]})
            assert again.headers["Cache-Control"] == "no-cache"


def test_the_page_loads_no_external_resources(client: TestClient) -> None:
    answer = client.get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    own = [path for path in PAGE.rglob("*.*") if path.is_file() and "vendor" not in path.parts]
    assert len(own) >= 9
    for path in own:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path
        assert len(text.splitlines()) <= 400
    for path in (path for path in PAGE.rglob("*.*") if path.is_file()):
        assert client.get(f"/page/{path.relative_to(PAGE).as_posix()}").status_code == 200
    assert (PAGE / "vendor" / "panzoom" / "LICENSE.txt").is_file()
