"""`crowdpoint batch`: predict millions of images into Parquet files, on this machine or a Ray cluster."""

import json
import logging
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from crowdpoint.batch.cluster import connect, count_slots, predict_on_ray
from crowdpoint.batch.inputs import collect
from crowdpoint.batch.local import predict_locally
from crowdpoint.batch.model import PortableModel
from crowdpoint.batch.parts import ChunkResult, decode_failures
from crowdpoint.batch.plan import Plan
from crowdpoint.batch.store import Store
from crowdpoint.batch.worker import Advance, Options
from crowdpoint.cli.options import (
    AllowVrtOption,
    DeviceOption,
    EngineOption,
    MaxSideOption,
    ModelOption,
    PrecisionOption,
    ScaleOption,
    SettingsOption,
    ThresholdOption,
    TimeoutOption,
)
from crowdpoint.console import progress
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
    model: ModelOption = DEFAULT_MODEL,
    engine: EngineOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    threshold: ThresholdOption = None,
    set_: SettingsOption = None,
    scale: ScaleOption = "auto",
    max_side: MaxSideOption = None,
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
    timeout: TimeoutOption = None,
    allow_vrt: AllowVrtOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Predict millions of images into Parquet files, and resume an interrupted run.

    Run the same command again to resume.
    """
    loaded = PortableModel.inspect(model, engine, threshold, scale, max_side, set_ or (), device, precision)
    found = collect(inputs, allow_vrt=allow_vrt)
    if not found.images:
        raise typer.BadParameter(redact(f"no image to predict; {'; '.join(found.missing)}"))
    for line in found.missing:
        _log.error(line)
    store = Store(output, loaded)
    options = Options(timeout, allow_vrt)
    with _lock_output(store.location):
        plan = Plan.compare(found.images, store, retry_failures=retry_failures)
        tally = _Tally(plan)
        interrupted = False
        try:
            if plan.images:
                with (
                    _connect(ray),
                    progress("predicting", len(plan.images)) as shown,
                    closing(
                        _predict_chunks(plan, loaded, workers, chunk, ray, shown.advance, options)
                    ) as parts,
                ):
                    for part in parts:
                        store.write(part)
                        tally.add(part)
        except KeyboardInterrupt:
            _log.warning("stopped; run the same command again to resume")
            interrupted = True
    _print(tally.summary(redact(store.location), loaded, len(found.missing)), as_json)
    if interrupted:
        raise typer.Exit(130)
    if tally.failed or plan.failed_before or found.missing:
        raise typer.Exit(1)


def _lock_output(location: str) -> AbstractContextManager[None]:
    """Lock a local output against other runs; object stores have no lock."""
    return lock_folder(Path(location)) if storage.is_local(location) else nullcontext()


def _connect(address: str | None) -> AbstractContextManager[None]:
    return connect(address) if address else nullcontext()


def _predict_chunks(
    plan: Plan,
    model: PortableModel,
    workers: int | None,
    chunk: int,
    ray: str | None,
    advance: Advance,
    options: Options,
) -> Generator[ChunkResult]:
    workers = workers or (count_slots(model) if ray else cores())
    predict = predict_on_ray if ray else predict_locally
    return predict(plan.chunks(chunk, workers), model, workers, advance, options)


class _Tally:
    """Count finished images, and print the first failures."""

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

    def summary(self, output: str, model: PortableModel, missing: int) -> dict[str, Any]:
        """Build the object that `--json` prints."""
        return {
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


def _print(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary))
        return
    before = summary["predicted_before"] + summary["failed_before"]
    typer.echo(
        f"{summary['output']}: {summary['predicted']} of {summary['images']} images predicted, "
        f"{summary['people']} people; {summary['failed']} failed, {before} were there before"
    )
