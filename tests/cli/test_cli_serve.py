"""`crowdpoint serve`: every option reaches the part of the server that it is for."""

from typing import Any
from unittest import mock

import pytest
from command_line import crowdpoint

from crowdpoint.cli import serve
from crowdpoint.web import server
from crowdpoint.web.limits import Limits


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> mock.MagicMock:
    """Run no server; the returned mock has its `pool`, `create` and `run`."""
    parts = mock.MagicMock()
    monkeypatch.setattr(serve, "Pool", parts.pool)
    monkeypatch.setattr(serve, "create", parts.create)
    monkeypatch.setattr(server, "run", parts.run)
    return parts


def test_options_are_the_limits_of_their_name(start: mock.MagicMock) -> None:
    values: dict[str, Any] = {
        "bytes": 101, "pixels": 102, "images": 3, "requests": 104, "client-requests": 5, "connections": 106,
    }  # fmt: skip
    seconds = {"head": 1.5, "idle": 2.5, "upload": 3.5, "request": 4.5}
    options = [part for name, value in values.items() for part in (f"--max-{name}", value)]
    options += [part for name, value in seconds.items() for part in (f"--{name}-seconds", value)]
    more = (
        "--worker-memory",
        0.5,
        "--port",
        0,
        "--workers",
        2,
        "--api-key",
        "k",
        "--allowed-host",
        "a.example",
    )
    outcome = crowdpoint("serve", *options, *more)
    assert outcome.code == 0, outcome.err
    limits = Limits(
        request_bytes=101,
        pixels=102,
        images=3,
        requests=104,
        client_requests=5,
        worker_bytes=500_000_000,
        connections=106,
        head_seconds=1.5,
        idle_seconds=2.5,
        upload_seconds=3.5,
        request_seconds=4.5,
    )
    assert start.pool.call_args.args[1:] == (2, limits)
    assert start.create.call_args.kwargs["api_key"] == "k"
    assert start.create.call_args.kwargs["allowed_hosts"] == ["a.example"]
    assert start.run.call_args.args[2] == limits


def test_the_working_scale_reaches_the_application(start: mock.MagicMock) -> None:
    assert crowdpoint("serve", "--port", 0, "--scale", 2, "--max-side", 512).code == 0
    options = start.create.call_args.kwargs
    assert (options["scale"], options["max_side"]) == (2, 512)


@pytest.mark.parametrize(("key", "expected"), [(None, None), ("", ""), ("k", "k")])
def test_the_key_of_the_environment(
    start: mock.MagicMock, monkeypatch: pytest.MonkeyPatch, key: str | None, expected: str | None
) -> None:
    """An empty one is no key, which `create` refuses."""
    if key is None:
        monkeypatch.delenv("CROWDPOINT_API_KEY", raising=False)
    else:
        monkeypatch.setenv("CROWDPOINT_API_KEY", key)
    assert crowdpoint("serve", "--port", 0).code == 0
    assert start.create.call_args.kwargs["api_key"] == expected


@pytest.mark.parametrize(
    ("host", "key", "warned"),
    [
        ("127.0.0.1", None, False),
        ("localhost", None, False),
        ("0.0.0.0", None, True),
        ("0.0.0.0", "k", False),
    ],
)
def test_a_public_server_without_a_key_is_warned_about(
    start: mock.MagicMock, monkeypatch: pytest.MonkeyPatch, host: str, key: str | None, warned: bool
) -> None:
    monkeypatch.delenv("CROWDPOINT_API_KEY", raising=False)
    outcome = crowdpoint("serve", "--port", 0, "--host", host, *(["--api-key", key] if key else []))
    assert outcome.code == 0, outcome.err
    assert ("everybody who can reach this machine" in outcome.err) == warned


@pytest.mark.parametrize(
    "name", ["worker-memory", "head-seconds", "idle-seconds", "upload-seconds", "request-seconds"]
)
@pytest.mark.parametrize("value", ["inf", "nan"])
def test_numbers_are_finite(start: mock.MagicMock, name: str, value: str) -> None:
    outcome = crowdpoint("serve", f"--{name}", value)
    assert outcome.code == 2
    assert name in outcome.err
    start.run.assert_not_called()
