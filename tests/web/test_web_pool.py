import asyncio
import contextlib
import threading
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.types import Message

from crowdpoint.web import uploads
from crowdpoint.web.limits import Limits
from crowdpoint.web.pool import Pool
from crowdpoint.web.problems import ProblemError


async def _here() -> bool:
    return False


async def _gone() -> bool:
    return True


def test_as_many_jobs_as_workers_run_at_a_time_and_none_is_lost() -> None:
    running, most = 0, 0
    lock, both = threading.Lock(), threading.Barrier(2)

    def job(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(30)  # the pool keeps both workers busy, or this ends in an error
        with lock:
            running -= 1
        return number

    async def together() -> list[int]:
        pool = Pool(2, Limits())
        done = await asyncio.gather(*(pool.run(partial(job, number), _here) for number in range(20)))
        pool.close()
        return done

    assert asyncio.run(together()) == list(range(20))
    assert most == 2


def test_nobody_works_for_clients_that_have_gone() -> None:
    async def run() -> None:
        await Pool(1, Limits()).run(pytest.fail, _gone)

    with pytest.raises(ProblemError, match="closed the connection"):
        asyncio.run(run())


def test_a_place_is_free_again_whatever_happens() -> None:
    pool = Pool(1, Limits(requests=1))
    with contextlib.suppress(KeyError), pool.place("a"):
        assert pool.unfinished == 1
        raise KeyError
    assert pool.unfinished == 0


def _upload(first: Message | None, seconds: float = 60) -> Any:
    """Reads a form whose first message is given; None for a client that sends nothing."""

    async def receive() -> Message:
        if first is None:
            await asyncio.sleep(60)
        assert first
        return first

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(b"content-type", b"multipart/form-data; boundary=x")],
        "app": FastAPI(),
    }

    async def read() -> None:
        async with uploads.images(Request(scope, receive), Limits(upload_seconds=seconds)):
            pytest.fail("there is no image")

    return asyncio.run(read())


def test_slow_uploads_are_given_up() -> None:
    with pytest.raises(ProblemError, match=r"longer than 0\.02 s") as refused:
        _upload(None, seconds=0.02)
    assert refused.value.status_code == 408


def test_a_client_that_leaves_while_it_sends() -> None:
    with pytest.raises(ProblemError, match="closed the connection"):
        _upload({"type": "http.disconnect"})
