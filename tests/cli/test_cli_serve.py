"""`crowdpoint serve`: every option reaches the part of the server that it is for."""

from typing import Any
from unittest import mock

import pytest
from command_line import crowdpoint

from crowdpoint.cli import serve
from crowdpoint.web import server
from crowdpoint.web.limits import Limits


def test_options_are_the_limits_of_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, create, run = mock.MagicMock(), mock.MagicMock(), mock.MagicMock()
    monkeypatch.setattr(serve, "Pool", pool)
    monkeypatch.setattr(serve, "create", create)
    monkeypatch.setattr(server, "run", run)
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
    assert pool.call_args.args[1:] == (2, limits)
    assert create.call_args.kwargs["api_key"] == "k"
    assert create.call_args.kwargs["allowed_hosts"] == ["a.example"]
    assert run.call_args.args[2] == limits
