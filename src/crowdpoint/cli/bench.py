"""`crowdpoint bench`: measure the cost of models on this machine."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated, Any, Unpack

import numpy as np
import typer

from crowdpoint import zoo
from crowdpoint.cli import options
from crowdpoint.config import load_recipe
from crowdpoint.console import print_table
from crowdpoint.errors import ProcessError, requires
from crowdpoint.predict import Predictor
from crowdpoint.zoo import EngineName, NamedModel


def bench(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help=f"{options.MODEL_HELP} Names without embedded weights are measured with random weights.",
        ),
    ],
    size: Annotated[str, typer.Option(help="Width and height of the image in pixels.")] = "1024x768",
    runs: Annotated[int, typer.Option(min=1, help="Number of timed runs, after two warm-up runs.")] = 10,
    threads: options.Threads = None,
    as_json: options.JsonModels = False,
    **shared: Unpack[options.Running],
) -> None:
    """Measure models: parameters, MACs, latency, throughput and memory."""
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", size)
    if not match:
        raise typer.BadParameter(f"--size: expected width x height such as 1024x768, found {size!r}")
    width, height = int(match[1]), int(match[2])
    for model in models:  # so that a wrong name is reported before the work
        if _find_untrained(model, shared["engine"]) is None:
            zoo.resolve(model, shared["engine"])

    rows = []
    try:
        for model in models:
            # A separate process, so that its peak memory is that of one model.
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                load = {"threads": threads, **shared}
                try:
                    rows.append(pool.submit(_measure, model, load, width, height, runs).result())
                except (BrokenProcessPool, MemoryError) as error:
                    raise ProcessError(
                        f"{model}: its process died, probably for lack of memory; choose a smaller --size"
                    ) from error
            if as_json:
                typer.echo(json.dumps(rows[-1]))
    finally:  # also if a later model cannot be measured
        if rows and not as_json:
            _print(rows, f"{width}x{height} pixels, median of {runs} runs")


def _measure(model: str, load: dict[str, Any], width: int, height: int, runs: int) -> dict[str, Any]:
    """Measure `Predictor.find` on pixels in memory, and return the keys of `--json`."""
    predictor = _load_predictor(model, **load)
    info = predictor.info
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    times = []
    for _ in range(2 + runs):
        start = perf_counter()
        predictor.find(image)
        times.append(1000 * (perf_counter() - start))
    timed = times[2:]
    macs = None if info.macs_per_pixel is None else round(info.macs_per_pixel * width * height)
    return {
        "model": info.name,
        "width": width,
        "height": height,
        "parameters": info.parameters,
        "macs": macs,
        "device": predictor.device,
        "precision": predictor.precision,
        "runs": runs,
        "milliseconds": round(median(timed), 2),
        "milliseconds_min": round(min(timed), 2),
        "milliseconds_max": round(max(timed), 2),
        "images_per_second": round(1000 * runs / sum(timed), 3),
        "peak_memory_mb": _measure_peak_memory(),
    }


def _find_untrained(model: str, engine: EngineName | None) -> NamedModel | None:
    """Find a model that is measured with random weights; None if it has its own."""
    known = zoo.find_model(model)
    return None if known is None or known.embedded or engine not in (None, "torch") else known


def _load_predictor(model: str, engine: EngineName | None, **load: Any) -> Predictor:
    """Load a model at scale 1, or build one with random weights."""
    known = _find_untrained(model, engine)
    if known is None:
        return Predictor.load(model, engine=engine, scale=1.0, **load)
    with requires(f"{model}: its network without weights", "train"):
        from crowdpoint.predict.torch import TorchEngine, build
    recipe = load_recipe(known.recipe, known.overrides)
    network = build(recipe.model)
    return Predictor(TorchEngine.place(network, recipe, model, **load), scale=1.0)


def _print(rows: Sequence[Mapping[str, Any]], title: str) -> None:
    columns = ("model", "parameters (M)", "MACs (G)", "ms", "ms, range", "FPS", "peak MB")
    cells = (
        (
            f"{row['model']}\n{row['precision']}, {row['device']}",
            _format_scaled(row["parameters"], 1e6),
            _format_scaled(row["macs"], 1e9),
            f"{row['milliseconds']:.1f}",
            f"{row['milliseconds_min']:.1f}-{row['milliseconds_max']:.1f}",
            f"{row['images_per_second']:.2f}",
            "unknown" if row["peak_memory_mb"] is None else f"{row['peak_memory_mb']:.0f}",
        )
        for row in rows
    )
    print_table(columns, cells, title=title)


def _measure_peak_memory() -> float | None:
    """Measure the peak memory of this process in MB of 10^6 bytes; None if unknown."""
    if sys.platform == "win32":
        return None
    if sys.platform == "darwin":
        from resource import RUSAGE_SELF, getrusage

        return round(getrusage(RUSAGE_SELF).ru_maxrss / 1e6, 1)
    # Linux's ru_maxrss includes the memory of the parent process; VmHWM does not.
    status = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    return round(int(status[1]) * 1024 / 1e6, 1) if status else None


def _format_scaled(value: float | None, unit: float) -> str:
    return "not recorded" if value is None else f"{value / unit:,.2f}"
