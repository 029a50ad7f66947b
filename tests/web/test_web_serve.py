"""`crowdpoint serve` as a process of its own."""

import asyncio
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from command_line import crowdpoint
from serving import Server, photo, served
from tiny_models import write_tiny

PHOTO = photo({(4, 4): 255, (44, 28): 180}, (320, 240), "JPEG")
KEY = {"authorization": "Bearer sesame"}
FORM = {"image": ("photo.jpg", PHOTO)}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("serve") / "tiny.onnx")


@pytest.fixture(scope="module")
def url(tiny: Path) -> Iterator[str]:
    # A client on a busy machine may wait longer than the server does by default.
    limit = ("--max-bytes", "1000000", "--head-seconds", "300", "--idle-seconds", "300")
    with served("--model", tiny, "--workers", "2", *limit, CROWDPOINT_API_KEY="sesame") as server:
        yield server.url


def memory(url: str) -> float:
    """Bytes of memory that the server holds, as it says itself."""
    text = httpx2.get(f"{url}/metrics", headers=KEY).text
    found = re.search(r"^process_resident_memory_bytes (\S+)$", text, re.MULTILINE)
    assert found
    return float(found[1])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the server its memory")
def test_concurrent_requests_all_succeed_in_constant_memory(url: str) -> None:
    async def ask(requests: int) -> list[tuple[int, int]]:
        limits = httpx2.Limits(max_connections=requests)
        async with httpx2.AsyncClient(base_url=url, headers=KEY, limits=limits, timeout=120) as client:
            answers = await asyncio.gather(*(client.post("/v1/predict", files=FORM) for _ in range(requests)))
        return [(answer.status_code, answer.json()["results"][0]["width"]) for answer in answers]

    asyncio.run(ask(50))  # what is loaded once is loaded now
    before = memory(url)
    assert asyncio.run(ask(200)) == [(200, 320)] * 200
    assert memory(url) - before < 24e6


def test_a_client_receives_a_refusal_during_its_upload(url: str) -> None:
    large = {"image": ("large.png", bytes(30_000_000))}
    with httpx2.Client(base_url=url, timeout=60) as client:
        assert client.post("/v1/predict", files=large).status_code == 401
        assert client.post("/v1/predict", files=large, headers=KEY).status_code == 413
        assert client.post("/v1/predict", files=FORM, headers=KEY).status_code == 200


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_the_server_finishes_running_requests_before_it_exits(tiny: Path) -> None:
    body = httpx2.Request("POST", "http://x/", files=FORM)
    content = body.read()
    with served("--model", tiny) as server:
        client = httpx2.Client(base_url=server.url, timeout=60)
        client.get("/healthz")

        def slowly() -> Iterator[bytes]:
            yield content[:100]
            time.sleep(0.3)  # the server has the head of the request
            os.kill(server.process.pid, signal.SIGTERM)
            time.sleep(0.5)
            yield content[100:]

        headers = {key: body.headers[key] for key in ("content-type", "content-length")}
        answer = client.post("/v1/predict", content=slowly(), headers=headers)
        assert answer.status_code == 200
        assert answer.json()["results"][0]["width"] == 320
        client.close()
        assert server.process.wait(60) == 0


def half_heads(server: Server, count: int) -> list[socket.socket]:
    """Connections that each have sent a part of a request's head."""
    host, port = server.url.removeprefix("http://").split(":")
    held = []
    for _ in range(count):
        held.append(socket.create_connection((host, int(port)), timeout=30))
        held[-1].sendall(b"POST /v1/predict HTTP/1.1\r\nHost: ")
    return held


def closed(connection: socket.socket) -> bool:
    """Waits until the other end has closed a connection, and closes it here."""
    with connection:
        connection.settimeout(30)
        try:
            return connection.recv(1) == b""
        except ConnectionError:
            return True


def test_incomplete_heads_do_not_block_other_clients(tiny: Path) -> None:
    with served("--model", tiny, "--workers", 1, "--max-connections", 4, "--head-seconds", 120) as server:
        held = half_heads(server, 12)
        assert httpx2.get(f"{server.url}/healthz", timeout=60).status_code == 200
        assert all(closed(one) for one in held[:8])  # each newcomer costs the oldest
        held[-1].sendall(b"x\r\n\r\n")
        assert held[-1].recv(100).startswith(b"HTTP/1.1 415")
        for one in held[8:]:
            one.close()
        server.process.terminate()
        assert server.process.stderr is not None
        (line,) = server.process.stderr.read().splitlines()
        assert line == "crowdpoint: all 4 connections are in use; closing the oldest idle ones"


def test_an_endless_head_times_out(tiny: Path) -> None:
    with served("--model", tiny, "--workers", 1, "--head-seconds", 0.3) as server:
        assert all(closed(one) for one in half_heads(server, 3))
        answered = httpx2.Client(base_url=server.url, timeout=60)
        for _ in range(2):  # over one connection, which may rest between two requests
            assert answered.get("/healthz").status_code == 200
            time.sleep(0.5)
        answered.close()


def test_a_stalled_body_times_out(tiny: Path) -> None:
    with served("--model", tiny, "--workers", 1, "--idle-seconds", 0.3) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as one:
            head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n"
            one.sendall(head + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x")
            assert one.recv(100).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("environment", "limited"),
    [({}, False), ({"FORWARDED_ALLOW_IPS": "192.0.2.1"}, True)],
    ids=["this machine", "another proxy"],
)
def test_only_proxies_name_clients(tiny: Path, environment: dict[str, str], limited: bool) -> None:
    """Two clients by their header are one unless the proxy is trusted."""
    limits = ("--max-client-requests", 1, "--idle-seconds", 300, "--upload-seconds", 300)
    with served("--model", tiny, "--workers", 1, *limits, **environment) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as held:
            head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            head += b"Content-Type: multipart/form-data; boundary=x\r\n"
            held.sendall(head + b"X-Forwarded-For: 203.0.113.1\r\n\r\n")
            while "crowdpoint_unfinished_requests 1.0" not in httpx2.get(f"{server.url}/metrics").text:
                time.sleep(0.05)
            other = {"x-forwarded-for": "203.0.113.2"}
            answer = httpx2.post(f"{server.url}/v1/predict", files=FORM, headers=other, timeout=60)
            assert answer.status_code == (429 if limited else 200)
            same = {"x-forwarded-for": "203.0.113.1"}
            answer = httpx2.post(f"{server.url}/v1/predict", files=FORM, headers=same, timeout=60)
            assert answer.status_code == 429


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "no-such-model"], "no such model"),
        (["--model", "{tiny}", "--model", "{tiny}"], "served already"),
        (["--model", "{tiny}", "--api-key", ""], "the API key"),
        (["--model", "{tiny}", "--allowed-host", "a.example:80"], "allowed host 'a.example:80'"),
        (["--model", "{tiny}", "--port", "{taken}"], "cannot listen"),
        (["--workers", "0"], "workers"),
    ],
)
def test_wrong_usage(tiny: Path, arguments: list[str], expected: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        places = {"tiny": tiny, "taken": taken.getsockname()[1]}
        outcome = crowdpoint("serve", *(argument.format(**places) for argument in arguments))
    assert outcome.code == 2
    assert expected in outcome.err
