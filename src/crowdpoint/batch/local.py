"""Predict chunks of images in local processes."""

from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from queue import SimpleQueue

from crowdpoint.batch.model import PortableModel
from crowdpoint.batch.parts import ChunkResult, predict
from crowdpoint.batch.worker import Advance, BatchWorker, Options

CHUNKS_IN_FLIGHT = 2
"""Chunks in flight per worker: one being predicted, and one queued while its result is written."""


def predict_locally(
    chunks: Iterable[list[str]],
    model: PortableModel,
    workers: int,
    advance: Advance,
    options: Options | None = None,
) -> Generator[ChunkResult]:
    """Predict chunks of images, yielding a part per chunk in order of completion.

    Closing the iterator ends the processes.

    Args:
        chunks: lists of locations, consumed lazily.
        model: the model.
        workers: number of processes, with one thread each.
        advance: progress callback, called with numbers of images.
        options: how to read images.

    Raises:
        BatchError: if processes do not start.
    """
    processes = [BatchWorker(model, options) for _ in range(workers)]
    idle: SimpleQueue[BatchWorker] = SimpleQueue()
    for worker in processes:
        idle.put(worker)

    def work(images: list[str]) -> ChunkResult:
        worker = idle.get()
        try:
            return predict(images, worker, model, advance)
        finally:
            idle.put(worker)

    threads = ThreadPoolExecutor(workers)
    pending: set[Future[ChunkResult]] = set()
    try:
        for images in chunks:
            pending.add(threads.submit(work, images))
            if len(pending) >= CHUNKS_IN_FLIGHT * workers:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in as_completed(pending))
    finally:
        for worker in processes:
            worker.close()
        threads.shutdown(cancel_futures=True)
