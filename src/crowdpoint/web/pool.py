"""Keeps the cores busy and the memory flat: places for requests, and a few processes that predict.

A request first takes a place, then its images wait for a process. What waits is on disk, or a megabyte at
most, so memory follows the number of processes and not the number of requests.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import IO, Self

from crowdpoint.predict.engine import ModelInfo
from crowdpoint.web.limits import Limits
from crowdpoint.web.problems import ProblemError, closed
from crowdpoint.web.turns import Turns
from crowdpoint.web.worker import Answer, Load, Question, Worker

_LONGEST_WAIT = 60


@dataclass(slots=True, eq=False)
class Place:
    """The place of one request, from its head to its answer."""

    client: str
    upload: asyncio.Timeout | None = None
    """The deadline of its upload, while there is one."""


class Pool:
    """Processes that predict, and the places of the requests that wait for them.

    A context manager: inside, the processes run. All but `Worker.answer` runs in the event loop, so that
    nothing needs a lock.

    Args:
        load: loads the models, in each process.
        workers: processes, and so images that are worked on at a time.
        limits: what is refused.

    Raises:
        ValueError: if `workers` is below 1.
    """

    def __init__(self, load: Load, workers: int, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.models: dict[str, ModelInfo] = {}
        """What is served, by name, the default first; known once the processes run."""
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._workers = [Worker(load, self.limits.pixels) for _ in range(workers)]
        self._turns = Turns(self._workers)
        self._places: dict[Place, None] = {}  # the oldest first
        self._seconds = 0.0  # what an image took of late

    def __enter__(self) -> Self:
        """Start the processes.

        Raises:
            CrowdpointError: if the models cannot be loaded, or no process can be started.
        """
        try:
            self.models = next(iter(self._executor.map(Worker.start, self._workers)))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, and whatever they work on."""
        for worker in self._workers:
            worker.close()
        self._executor.shutdown(cancel_futures=True)

    @property
    def unfinished(self) -> int:
        """Requests that hold a place."""
        return len(self._places)

    @contextmanager
    def place(self, client: str) -> Iterator[Place]:
        """A place for one request of a client.

        Where all are taken, a client that has several uploads under way loses its oldest one to a client that
        has fewer requests: slow uploads do not keep others out.

        Raises:
            ProblemError: 503 if all places are taken, 429 if the client has too many of them.
        """
        limit = self.limits.client_requests
        own = sum(place.client == client for place in self._places)
        if limit is not None and own >= limit:
            raise self._busy(
                429, f"{limit} of your requests are unfinished, which is the most for one client"
            )
        if self.unfinished >= self.limits.requests and not self._displace(own):
            raise self._busy(503, f"the server is busy with {self.unfinished} requests, which is its most")
        place = Place(client)
        self._places[place] = None
        try:
            yield place
        finally:
            self._places.pop(place, None)

    async def run(
        self, client: str, file: IO[bytes], question: Question, gone: Callable[[], Awaitable[bool]]
    ) -> Answer:
        """Predict an image in a process as soon as it is the client's turn.

        If it is cancelled, the process is ended and the work stops.

        Args:
            client: who asks.
            file: the image.
            question: what to find out.
            gone: tells when it is the image's turn whether nobody waits for it any more.

        Raises:
            ProblemError: if nobody does.
        """
        worker = await self._turns.take(client)
        try:
            if await gone():
                raise closed()
        except BaseException:
            self._turns.give(client, worker)
            raise
        start = perf_counter()
        work = asyncio.get_running_loop().run_in_executor(self._executor, worker.answer, file, question)

        def done(work: asyncio.Future[Answer]) -> None:
            elapsed = perf_counter() - start
            self._seconds += 0.2 * (elapsed - self._seconds) if self._seconds else elapsed
            self._turns.give(client, worker)
            if not work.cancelled():
                work.exception()  # seen, also where nobody waits for it any more

        work.add_done_callback(done)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if not work.done():
                worker.kill()
            raise

    def _displace(self, own: int) -> bool:
        """Give up the oldest upload of the client with most, if it has at least two more than `own`."""
        uploads = [place for place in self._places if place.upload and not place.upload.expired()]
        counts = Counter(place.client for place in uploads)
        if not counts or max(counts.values()) < own + 2:
            return False
        greediest = counts.most_common(1)[0][0]
        oldest = next(place for place in uploads if place.client == greediest)
        assert oldest.upload is not None  # as all of `uploads`
        oldest.upload.reschedule(0)
        oldest.upload = None
        del self._places[oldest]
        return True

    def late(self) -> ProblemError:
        """The answer to a request that is not done in time."""
        return self._busy(503, f"the request was not done after {self.limits.request_seconds:g} s")

    def _busy(self, status: int, detail: str) -> ProblemError:
        seconds = math.ceil(self.unfinished * self._seconds / len(self._workers))
        wait = min(max(seconds, 1), _LONGEST_WAIT)
        return ProblemError(status, f"{detail}; try again in {wait} s", {"Retry-After": str(wait)})
