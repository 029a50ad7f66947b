"""`crowdpoint batch`: predict millions of images into Parquet files, on this machine or a Ray cluster."""

import json
import logging
import time
from collections.abc import Generator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Annotated, Unpack

import typer

from crowdpoint.batch.inputs import collect, describe_left_out, explain_video
from crowdpoint.batch.local import predict_locally
from crowdpoint.batch.model import PortableModel
from crowdpoint.batch.parts import ChunkResult, decode_failures
from crowdpoint.batch.plan import Plan
from crowdpoint.batch.store import Store
from crowdpoint.batch.worker import Advance, Options
from crowdpoint.cli import options
from crowdpoint.console import progress
from crowdpoint.errors import requires
from crowdpoint.opening import storage
from crowdpoint.outputs import lock_folder
from crowdpoint.predict.engine import cores
from crowdpoint.redaction import redact
from crowdpoint.zoo import DEFAULT_MODEL

_log = logging.getLogger(__name__)

FAILURES_PRINTED = 10
"""Maximum number of failures that are printed; all of them are in the output."""


def batch(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT", help="Folders, quoted globs, image files, or URLs such as s3://bucket/folder."
        ),
    ],
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="Folder or URL for the Parquet files.")],
    model: options.Model = DEFAULT_MODEL,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Number of processes. [default: CPU cores, or slots of the cluster]"),
    ] = None,
    chunk: Annotated[int, typer.Option(min=1, help="Maximum number of images in an output file.")] = 256,
    retry_failures: Annotated[
        bool, typer.Option("--retry-failures", help="Predict images again that failed before.")
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Run on a Ray cluster: auto, local, or ray://HOST:PORT."),
    ] = None,
    timeout: options.Timeout = None,
    allow_vrt: options.AllowVrt = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    **shared: Unpack[options.Predicting],
) -> None:
    """Predict millions of images into Parquet files, and resume an interrupted run.

    Run the same command again to resume.
    """
    loaded = PortableModel.inspect(model, **shared)
    found = collect(inputs, allow_vrt=allow_vrt)
    missing = [*found.missing, *(f"{video}: {explain_video(video)}" for video in found.videos)]
    left_out = describe_left_out(found.left_out)
    if not found.images:
        reasons = [*missing, *([left_out] if left_out else [])]
        raise typer.BadParameter(f"no image to predict; {'; '.join(reasons)}")
    for line in missing:
        _log.error(line)
    if left_out:
        _log.warning(left_out)
    store = Store(output, loaded)
    reading = Options(timeout, allow_vrt)
    # object stores have no lock
    with lock_folder(Path(store.location)) if storage.is_local(store.location) else nullcontext():
        plan = Plan.compare(found.images, store, retry_failures=retry_failures)
        totals = _Totals(plan)
        interrupted = False
        try:
            if plan.images:
                with (
                    progress("predicting", len(plan.images)) as shown,
                    closing(_predict(plan, loaded, workers, chunk, ray, shown.advance, reading)) as parts,
                ):
                    for part in parts:
                        store.write(part)
                        totals.add(part)
        except KeyboardInterrupt:
            _log.warning("stopped; run the same command again to resume")
            interrupted = True
    totals.print(redact(store.location), loaded, len(missing), as_json)
    if interrupted:
        raise typer.Exit(130)
    if totals.failed or plan.failed_before or missing:
        raise typer.Exit(1)


def _predict(
    plan: Plan,
    model: PortableModel,
    workers: int | None,
    chunk: int,
    ray: str | None,
    advance: Advance,
    reading: Options,
) -> Generator[ChunkResult]:
    if ray is None:
        workers = workers or cores()
        yield from predict_locally(plan.chunks(chunk, workers), model, workers, advance, reading)
        return
    with requires("a batch on Ray", "ray"):
        from crowdpoint.batch.cluster import connect, count_slots, predict_on_ray
    with connect(ray):
        workers = workers or count_slots(model)
        yield from predict_on_ray(plan.chunks(chunk, workers), model, workers, advance, reading)


class _Totals:
    def __init__(self, plan: Plan) -> None:
        self.failed = 0
        self._predicted, self._people = 0, 0
        self._plan = plan
        self._begin = time.perf_counter()

    def add(self, part: ChunkResult) -> None:
        """Add a chunk that has been written."""
        for image, error in decode_failures(part.failures):
            self.failed += 1
            if self.failed <= FAILURES_PRINTED:
                _log.error("%s: %s", image, error)
            elif self.failed == FAILURES_PRINTED + 1:
                _log.error("more images failed; the table `failures` has them all")
        self._predicted += part.predicted
        self._people += part.people

    def print(self, output: str, model: PortableModel, missing: int, as_json: bool) -> None:
        """Print the totals as a line, or as JSON."""
        if not as_json:
            before = f"{self.failed} failed, {self._plan.predicted_before} were there before"
            if self._plan.failed_before:
                before += f", {self._plan.failed_before} failed before (--retry-failures repeats them)"
            typer.echo(
                f"{output}: {self._predicted} of {self._plan.total} images predicted, {self._people} people; "
                f"{before}"
            )
            return
        summary = {
            "output": output,
            "model": model.name,
            "threshold": model.threshold,
            "images": self._plan.total,
            "predicted": self._predicted,
            "failed": self.failed,
            "predicted_before": self._plan.predicted_before,
            "failed_before": self._plan.failed_before,
            "missing": missing,
            "people": self._people,
            "seconds": round(time.perf_counter() - self._begin, 3),
        }
        typer.echo(json.dumps(summary))
