"""Chunks of images predicted by processes of this machine."""

from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from queue import SimpleQueue

from crowdpoint.batch.model import Model
from crowdpoint.batch.parts import Part, predict
from crowdpoint.batch.worker import Advance, Worker

WAITING = 2
"""Chunks in hand for each worker: one that is predicted, and one for while its result is written."""


def predict_locally(
    chunks: Iterable[list[str]], model: Model, workers: int, advance: Advance
) -> Generator[Part]:
    """Predicts chunks of images; a part for each, in the order in which they are finished.

    When the iterator is closed, so are the processes.

    Args:
        chunks: lists of locations; taken as they are needed.
        model: what predicts them.
        workers: processes, of one thread each.
        advance: told of every image.

    Raises:
        BatchError: if processes do not start.
    """
    crew = [Worker(model) for _ in range(workers)]
    idle: SimpleQueue[Worker] = SimpleQueue()
    for worker in crew:
        idle.put(worker)

    def work(images: list[str]) -> Part:
        worker = idle.get()
        try:
            return predict(images, worker, model, advance)
        finally:
            idle.put(worker)

    threads = ThreadPoolExecutor(workers)
    pending: set[Future[Part]] = set()
    try:
        for images in chunks:
            pending.add(threads.submit(work, images))
            if len(pending) >= WAITING * workers:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in as_completed(pending))
    finally:
        for worker in crew:
            worker.close()
        threads.shutdown(cancel_futures=True)
