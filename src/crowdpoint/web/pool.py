"""A pool of processes that predict, with a limited number of places for requests.

A request reserves a place, then its images wait for a process. Waiting images are on disk or at most a
megabyte, so memory depends on the number of processes, not of requests.
"""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import IO, Self

from crowdpoint.predict.engine import ModelInfo
from crowdpoint.web.limits import Limits
from crowdpoint.web.problems import ProblemError, create_disconnect
from crowdpoint.web.turns import Turns
from crowdpoint.web.worker import Job, JobResult, Load, WebWorker

_MAX_RETRY_AFTER = 60  # seconds


@dataclass(slots=True, eq=False)
class Slot:
    """The place of a request, held until its response."""

    client: str
    upload: asyncio.Timeout | None = None
    """Timeout of its upload, during the upload."""


class Pool:
    """Context manager of processes that predict, and of the places of requests.

    Everything but `WebWorker.answer` runs in the event loop, so no locks are needed.

    Args:
        load: function that loads the models in each process.
        workers: number of processes; one client never has the last of several.
        limits: limits of the server.
    """

    def __init__(self, load: Load, workers: int, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.models: dict[str, ModelInfo] = {}
        """Models by name, the default first; available once the processes run."""
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._workers = [WebWorker(load, self.limits) for _ in range(workers)]
        self._turns = Turns(self._workers)
        self._places: dict[Slot, None] = {}  # oldest first
        self._seconds = 0.0  # moving average per image

    def __enter__(self) -> Self:
        """Start the processes, with the errors of `WebWorker.start`."""
        try:
            self.models, *_ = self._executor.map(WebWorker.start, self._workers)  # waits for all of them
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill the processes and cancel their work."""
        for worker in self._workers:
            worker.close()
        self._executor.shutdown(cancel_futures=True)

    @property
    def unfinished(self) -> int:
        """Number of requests that hold a place."""
        return len(self._places)

    @contextmanager
    def reserve(self, client: str) -> Iterator[Slot]:
        """Reserve a place for a request of a client.

        If all are taken, a client with several running uploads loses its oldest one to a client with fewer
        requests, so that slow uploads do not block others.

        Raises:
            ProblemError: 503 if all places are taken, 429 if the client has too many.
        """
        limit = self.limits.client_requests
        own = sum(place.client == client for place in self._places)
        if limit is not None and own >= limit:
            raise self._busy(429, f"{limit} of your requests are unfinished, which is the limit per client")
        if self.unfinished >= self.limits.requests and not self._displace(own):
            raise self._busy(503, f"the server is busy with {self.unfinished} requests, which is its limit")
        place = Slot(client)
        self._places[place] = None
        try:
            yield place
        finally:
            self._places.pop(place, None)

    async def run(
        self, client: str, file: IO[bytes], question: Job, gone: Callable[[], Awaitable[bool]]
    ) -> JobResult:
        """Predict an image in a process when it is the client's turn.

        Cancellation kills the process.
        """
        worker = await self._turns.take(client)
        try:
            if await gone():
                raise create_disconnect()
        except BaseException:
            self._turns.give(client, worker)
            raise
        start = perf_counter()
        work = asyncio.get_running_loop().run_in_executor(self._executor, worker.answer, file, question)

        def done(work: asyncio.Future[JobResult]) -> None:
            elapsed = perf_counter() - start
            self._seconds += 0.2 * (elapsed - self._seconds) if self._seconds else elapsed
            self._turns.give(client, worker)
            if not work.cancelled():
                work.exception()  # mark as retrieved, even if nobody awaits it

        work.add_done_callback(done)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if not work.done():
                worker.kill()
            raise

    def _displace(self, own: int) -> bool:
        """Cancel the oldest upload of the client with most, if it has at least two more than `own`."""
        uploads = [place for place in self._places if place.upload and not place.upload.expired()]
        counts = Counter(place.client for place in uploads)
        if not counts or max(counts.values()) < own + 2:
            return False
        greediest = counts.most_common(1)[0][0]
        oldest = next(place for place in uploads if place.client == greediest)
        assert oldest.upload is not None  # by definition of `uploads`
        oldest.upload.reschedule(0)
        oldest.upload = None
        del self._places[oldest]
        return True

    @asynccontextmanager
    async def limit_time(self) -> AsyncIterator[None]:
        """Limit the time to process an uploaded request by a ProblemError 503."""
        seconds = self.limits.request_seconds
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise self._busy(503, f"the request was not finished within {seconds:g} s") from error

    def _busy(self, status: int, detail: str) -> ProblemError:
        seconds = math.ceil(self.unfinished * self._seconds / len(self._workers))
        wait = min(max(seconds, 1), _MAX_RETRY_AFTER)
        return ProblemError(status, f"{detail}; try again in {wait} s", {"Retry-After": str(wait)})
