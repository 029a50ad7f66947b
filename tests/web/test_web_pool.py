import asyncio
import contextlib
import io
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from application import HOLD, LAST, scripted, wait_for
from fastapi import FastAPI, Request
from starlette.types import Message

from crowdpoint.predict import Predictor
from crowdpoint.web import uploads
from crowdpoint.web.limits import Limits
from crowdpoint.web.pool import Pool, Slot
from crowdpoint.web.problems import ProblemError
from crowdpoint.web.turns import Turns
from crowdpoint.web.worker import Job, JobResult

QUESTION = Job("a.png", "scripted", None)


async def _here() -> bool:
    return False


async def _gone() -> bool:
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pool")


@pytest.fixture(scope="module")
def pool(folder: Path) -> Iterator[Pool]:
    with Pool(scripted(folder), 1) as pool:
        yield pool


def ask(pool: Pool, image: bytes = LAST, client: str = "a", gone: Any = _here) -> Any:
    return pool.run(client, io.BytesIO(image), QUESTION, gone)


def test_a_client_with_many_images_does_not_block_others() -> None:
    served: list[str] = []

    async def work(turns: Turns[int], client: str, images: int) -> None:
        async def one() -> None:
            item = await turns.take(client)
            served.append(client)
            await asyncio.sleep(0)
            turns.give(client, item)

        await asyncio.gather(*(one() for _ in range(images)))

    async def together() -> None:
        turns = Turns([1, 2])
        await asyncio.gather(work(turns, "many", 8), work(turns, "some", 3), work(turns, "one", 1))

    asyncio.run(together())
    assert served.count("many") == 8
    assert "one" in served[:6]
    assert max(place for place, client in enumerate(served) if client == "some") < 10


def test_a_client_with_slow_images_never_occupies_the_last_worker(tmp_path: Path) -> None:
    """Four long images of one client are at work or wait; another client's is answered meanwhile."""

    async def beside(pool: Pool) -> list[int]:
        long = [asyncio.create_task(ask(pool, HOLD, client="many")) for _ in range(4)]
        await asyncio.to_thread(wait_for, tmp_path / "started")
        other = [await ask(pool, client="other") for _ in range(2)]
        assert not any(work.done() for work in long)
        (tmp_path / "stop").touch()
        return [answer.status for answer in (*other, *(await asyncio.gather(*long)))]

    with Pool(scripted(tmp_path), 2) as pool:
        assert asyncio.run(beside(pool)) == [200] * 6


def test_a_cancelled_turn_goes_to_the_next_client() -> None:
    async def together() -> int:
        turns = Turns([1])
        first = await turns.take("a")
        waiting = [asyncio.create_task(turns.take(client)) for client in "bcd"]
        await asyncio.sleep(0)
        waiting[0].cancel()
        turns.give("a", first)  # to c, who is cancelled before it hears of it
        waiting[1].cancel()
        return await waiting[2]

    assert asyncio.run(together()) == 1


def _load_slowly(folder: Path) -> Mapping[str, Predictor]:
    """Load the models at once in the first process that asks, and after a while in others."""
    try:
        (folder / "first").touch(exist_ok=False)
    except FileExistsError:
        time.sleep(2)
        (folder / "second").touch()
    return scripted(folder)()


def test_the_pool_is_ready_when_all_of_its_processes_are(tmp_path: Path) -> None:
    with Pool(partial(_load_slowly, tmp_path), 2) as both:
        assert (tmp_path / "second").exists()
        assert asyncio.run(ask(both)).status == 200


def test_every_job_has_one_result(pool: Pool) -> None:
    async def together() -> list[JobResult]:
        found: list[JobResult] = await asyncio.gather(
            *(ask(pool, client=str(number % 3)) for number in range(20))
        )
        return found

    answers = asyncio.run(together())
    assert [b'"count":0' in answer.record for answer in answers] == [True] * 20
    assert all(answer.seconds > 0 for answer in answers)


def test_images_of_disconnected_clients_are_skipped(pool: Pool) -> None:
    with pytest.raises(ProblemError, match="closed the connection"):
        asyncio.run(ask(pool, HOLD, gone=_gone))
    assert asyncio.run(ask(pool)).status == 200


def test_cancelled_work_stops(pool: Pool, folder: Path) -> None:
    async def give_up() -> int:
        work = asyncio.create_task(ask(pool, HOLD))
        await asyncio.to_thread(wait_for, folder / "started")
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        answer: JobResult = await ask(pool)  # from another process, for there is no `stop`
        return answer.status

    assert asyncio.run(give_up()) == 200


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_worker_that_dies_between_two_images_is_replaced(pool: Pool) -> None:
    process = pool._workers[0]._process
    assert process is not None
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert [asyncio.run(ask(pool)).status for _ in range(2)] == [200, 200]


def test_a_place_is_released_after_any_outcome(pool: Pool) -> None:
    with contextlib.suppress(KeyError), pool.reserve("a"):
        assert pool.unfinished == 1
        raise KeyError
    assert pool.unfinished == 0


def test_slow_uploads_do_not_block_other_clients(folder: Path) -> None:
    pool = Pool(scripted(folder), 1, Limits(requests=3))
    ends: list[str] = []

    async def upload(client: str, name: str) -> None:
        with pool.reserve(client) as place:
            try:
                async with asyncio.timeout(60) as place.upload:
                    await asyncio.sleep(60 if client == "slow" else 0)
            except TimeoutError:
                ends.append(name)

    async def together() -> None:
        slow = [asyncio.create_task(upload("slow", str(number))) for number in range(3)]
        await asyncio.sleep(0)
        await upload("other", "other")
        with pytest.raises(ProblemError, match="busy with 3"), pool.reserve("second"), pool.reserve("second"):
            await upload("second", "its third")
        await asyncio.sleep(0)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    asyncio.run(together())
    assert ends[0] == "0"
    assert pool.unfinished == 0


def _upload(first: Message | None, place: Slot | None = None, **limits: float) -> Any:
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
        bounds = partial(Limits, **limits)  # type: ignore[arg-type]
        async with uploads.receive_images(Request(scope, receive), bounds(), place or Slot("a")):
            pytest.fail("there is no image")

    return asyncio.run(read())


def test_slow_uploads_are_cancelled() -> None:
    for limits, expected in (
        ({"upload_seconds": 0.02}, "took longer than 0.02 s"),
        ({"idle_seconds": 0.02}, "no upload data for 0.02 s"),
    ):
        with pytest.raises(ProblemError, match=expected) as refused:
            _upload(None, None, **limits)
        assert refused.value.status_code == 408


def test_a_client_that_disconnects_during_its_upload() -> None:
    with pytest.raises(ProblemError, match="closed the connection"):
        _upload({"type": "http.disconnect"})


def test_an_upload_that_cannot_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(uploads._Form, "parse", full)
    with pytest.raises(ProblemError, match="cannot store") as refused:
        _upload(None)
    assert refused.value.status_code == 503


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, "1"), (0.2, "1"), (4.0, "6"), (1000.0, "60")], ids=str
)
def test_the_time_to_wait_follows_the_queue(folder: Path, seconds: float, expected: str) -> None:
    """Three requests of this many seconds, for two workers."""
    pool = Pool(scripted(folder), 2, Limits(requests=3))
    pool._seconds = seconds
    with contextlib.ExitStack() as held:
        for client in "abc":
            held.enter_context(pool.reserve(client))
        with pytest.raises(ProblemError) as error, pool.reserve("d"):
            pytest.fail("it has a place")
    assert error.value.headers == {"Retry-After": expected}
    assert error.value.detail.endswith(f"try again in {expected} s")
