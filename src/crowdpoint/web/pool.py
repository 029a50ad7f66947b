"""Keeps the cores busy and the memory flat: places for requests, and a few threads that predict.

A request first takes a place, then its images wait for a thread. What waits is on disk, or a megabyte at
most, so memory follows the number of threads and not the number of requests.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

from crowdpoint.web.limits import Limits
from crowdpoint.web.problems import ProblemError, closed

Result = TypeVar("Result")

_LONGEST_WAIT = 60


class Pool:
    """Threads that predict, and the places of the requests that wait for them.

    All but the jobs runs in the event loop, so that nothing needs a lock. ONNX Runtime and the decoders of
    pictures leave Python's global lock while they work, so threads are enough to keep every core busy.

    Args:
        workers: images that are worked on at a time.
        limits: how many requests may be unfinished.

    Raises:
        ValueError: if `workers` is below 1.
    """

    def __init__(self, workers: int, limits: Limits) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="predict")
        self._free = asyncio.Semaphore(workers)
        self._workers = workers
        self._limits = limits
        self._unfinished: Counter[str] = Counter()
        self._seconds = 0.0  # what an image took of late

    @property
    def unfinished(self) -> int:
        """Requests that hold a place."""
        return self._unfinished.total()

    @contextmanager
    def place(self, client: str) -> Iterator[None]:
        """A place for one request of a client.

        Raises:
            ProblemError: 503 if all places are taken, 429 if the client has too many of them.
        """
        limit = self._limits.client_requests
        if limit is not None and self._unfinished[client] >= limit:
            raise self._busy(
                429, f"{limit} of your requests are unfinished, which is the most for one client"
            )
        if self.unfinished >= self._limits.requests:
            raise self._busy(503, f"the server is busy with {self.unfinished} requests, which is its most")
        self._unfinished[client] += 1
        try:
            yield
        finally:
            self._unfinished[client] -= 1
            self._unfinished += Counter()  # drops clients without a request

    async def run(self, job: Callable[[], Result], gone: Callable[[], Awaitable[bool]]) -> Result:
        """Runs a job in a thread as soon as one is free; the first to come is the first to be served.

        Args:
            job: the work.
            gone: tells when it is the job's turn whether nobody waits for it any more.

        Raises:
            ProblemError: if nobody does.
        """
        async with self._free:
            if await gone():
                raise closed()
            start = perf_counter()
            try:
                return await asyncio.get_running_loop().run_in_executor(self._executor, job)
            finally:
                elapsed = perf_counter() - start
                self._seconds += 0.2 * (elapsed - self._seconds) if self._seconds else elapsed

    def close(self) -> None:
        """Waits for the jobs that run, and ends the threads."""
        self._executor.shutdown(cancel_futures=True)

    def _busy(self, status: int, detail: str) -> ProblemError:
        seconds = math.ceil(self.unfinished * self._seconds / self._workers)
        wait = min(max(seconds, 1), _LONGEST_WAIT)
        return ProblemError(status, f"{detail}; try again in {wait} s", {"Retry-After": str(wait)})
