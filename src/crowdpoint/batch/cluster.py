"""Chunks of images predicted by the machines of a Ray cluster, with Ray Data.

The cluster's actors predict and this process writes. Ray repeats the chunk of an actor that is lost, and
gives this process one result for each chunk.
"""

import logging
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from crowdpoint.batch.model import Model
from crowdpoint.batch.parts import Part, predict
from crowdpoint.batch.worker import Advance, Worker
from crowdpoint.errors import BatchError, ConfigError, requires

if TYPE_CHECKING:
    import pyarrow


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Inside, this process belongs to a Ray cluster, and what is printed goes to stderr, as Ray's messages.

    Args:
        address: `auto` for the cluster that this machine is part of, `local` for a new one on this machine,
            or `ray://HOST:PORT`.

    Raises:
        ConfigError: if there is no cluster at the address.
        MissingExtraError: if Ray is not installed.
    """
    with requires("a batch on Ray", "ray"):
        import ray
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else Ray Data's own actors alarm it
    with redirect_stdout(sys.stderr):
        try:
            ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
        except Exception as error:  # of an address, Ray raises what its parts do
            raise ConfigError(f"--ray {address}: cannot be connected to: {error}") from error
        try:
            yield
        finally:
            ray.shutdown()


def slots(model: Model) -> int:
    """How many actors the cluster has room for: by its GPUs if the model uses them, or else by its cores."""
    return max(1, int(_resources().get(_resource(model), 1)))


def predict_on_ray(
    chunks: Iterable[list[str]], model: Model, workers: int, advance: Advance
) -> Generator[Part]:
    """Predicts chunks of images; a part for each, in the order in which they are finished.

    Args:
        chunks: lists of locations that every machine of the cluster can read.
        model: what predicts them; a file must be at the same path on every machine.
        workers: actors, one for a core or a GPU.
        advance: told of every image.

    Raises:
        BatchError: if actors do not start, or Ray gives up.
    """
    import ray

    items = [{"images": images} for images in chunks]
    if not items:
        return
    arguments = (items, model, workers, _resource(model))
    try:
        # Through a client's port, Ray Data cannot run on this side.
        take = _far(*arguments) if _is_client() else _Rows(*arguments).next
        for row in iter(take, None):
            part = Part(**row)
            advance(part.predicted + part.failed)
            yield part
    except ray.exceptions.RayError as error:
        raise BatchError(
            f"Ray gives up: {error}; what is finished is kept, and the same command goes on"
        ) from error


class _Rows:
    """The parts of all chunks, one after the other, as Ray Data predicts them."""

    def __init__(self, items: list[dict[str, list[str]]], model: Model, workers: int, resource: str) -> None:
        import ray.data

        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        # A block for each chunk, so that no more than a chunk is begun again when an actor is lost.
        found = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            _Actor,
            fn_constructor_args=(model,),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(items))),
            num_cpus=1 if resource == "CPU" else None,
            num_gpus=1 if resource == "GPU" else None,
        )
        self._rows = iter(found.iter_rows())

    def next(self) -> dict[str, Any] | None:
        """The fields of the next part that is finished; None when there are no more."""
        return next(self._rows, None)


def _far(*arguments: Any) -> Callable[[], dict[str, Any] | None]:
    """`_Rows.next` of one that lives in the cluster."""
    import ray

    rows: Any = ray.remote(num_cpus=0)(_Rows).remote(*arguments)
    return lambda: ray.get(rows.next.remote())


def _is_client() -> bool:
    import ray

    return bool(ray.util.client.ray.is_connected())  # type: ignore[no-untyped-call]


class _Actor:
    """A model on a core or a GPU of the cluster, in a process of its own that it outlives."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._worker = Worker(model)

    def __call__(self, chunk: "pyarrow.Table") -> "pyarrow.Table":
        """The part of a chunk, as a table of one row."""
        import pyarrow

        images = chunk.column("images")[0].as_py()
        part = predict(images, self._worker, self._model, advance=lambda _: None)
        return pyarrow.Table.from_pylist([asdict(part)])


def _resource(model: Model) -> str:
    """What Ray calls the thing that one model runs on."""
    return "GPU" if model.uses_gpus and _resources().get("GPU") else "CPU"


def _resources() -> dict[str, float]:
    """What the machines of the cluster have together."""
    import ray

    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found
