"""Predict chunks of images on a Ray cluster with Ray Data.

Actors of the cluster predict, and this process writes. Ray repeats the chunk of a lost actor, and returns one
result per chunk.
"""

import logging
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from typing import Any

import pyarrow
import ray
import ray.data

from crowdpoint.batch.model import PortableModel
from crowdpoint.batch.parts import ChunkResult, predict
from crowdpoint.batch.worker import Advance, BatchWorker, Options
from crowdpoint.errors import BatchError, ConfigError
from crowdpoint.redaction import redact


@contextmanager
def connect(address: str) -> Iterator[None]:
    """Connect to a Ray cluster while the context is active; Ray's messages go to stderr."""
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # silences errors about Ray Data's own actors
    with redirect_stdout(sys.stderr):
        try:
            ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
        except Exception as error:  # Ray passes on the errors of its components
            reason = redact(str(error), address)
            raise ConfigError(f"--ray {redact(address)}: connection failed: {reason}") from error
        try:
            yield
        finally:
            ray.shutdown()


def count_slots(model: PortableModel) -> int:
    """Count the actors that the cluster can run: one per GPU if the model uses GPUs, else one per core."""
    return max(1, int(_get_resources().get(_choose_resource(model), 1)))


def predict_on_ray(
    chunks: Iterable[list[str]],
    model: PortableModel,
    workers: int,
    advance: Advance,
    options: Options | None = None,
) -> Generator[ChunkResult]:
    """Predict chunks of images, yielding a part per chunk in order of completion.

    Arguments are those of `predict_locally`, with locations that every machine of the cluster can read.

    Raises:
        BatchError: if actors do not start, or Ray fails.
    """
    items = [{"images": images} for images in chunks]
    if not items:
        return
    arguments = (items, model, options or Options(), workers, _choose_resource(model))
    try:
        # A Ray client cannot run Ray Data locally.
        is_client = ray.util.client.ray.is_connected()  # type: ignore[no-untyped-call]
        take = _run_remotely(*arguments) if is_client else _Rows(*arguments).next
        for row in iter(take, None):
            part = ChunkResult(**row)
            advance(part.predicted + part.failed)
            yield part
    except ray.exceptions.RayError as error:
        raise BatchError(
            f"Ray failed: {error}; finished images are saved, and the same command resumes"
        ) from error


class _Rows:
    """Iterator over the parts of all chunks, in order of completion."""

    def __init__(
        self,
        items: list[dict[str, list[str]]],
        model: PortableModel,
        options: Options,
        workers: int,
        resource: str,
    ) -> None:
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        # One block per chunk, so that a lost actor repeats only one chunk.
        found = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            _Actor,
            fn_constructor_args=(model, options),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(items))),
            num_cpus=1 if resource == "CPU" else None,
            num_gpus=1 if resource == "GPU" else None,
        )
        self._rows = iter(found.iter_rows())

    def next(self) -> dict[str, Any] | None:
        """Return the next row; None at the end."""
        return next(self._rows, None)


def _run_remotely(*arguments: Any) -> Callable[[], dict[str, Any] | None]:
    """Create a `_Rows` in the cluster, and return its `next`."""
    rows: Any = ray.remote(num_cpus=0)(_Rows).remote(*arguments)
    return lambda: ray.get(rows.next.remote())


class _Actor:
    """Actor on a core or GPU of the cluster, which survives crashes of its worker process."""

    def __init__(self, model: PortableModel, options: Options) -> None:
        self._model = model
        self._worker = BatchWorker(model, options)

    def __call__(self, chunk: pyarrow.Table) -> pyarrow.Table:
        images = chunk.column("images")[0].as_py()
        part = predict(images, self._worker, self._model, advance=lambda _: None)
        return pyarrow.Table.from_pylist([asdict(part)])


def _choose_resource(model: PortableModel) -> str:
    return "GPU" if model.uses_gpus and _get_resources().get("GPU") else "CPU"


def _get_resources() -> dict[str, float]:
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found
