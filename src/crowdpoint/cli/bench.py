"""`crowdpoint bench`: what a model costs on this machine."""

import json
import re
import sys
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from crowdpoint.predict import Predictor


def bench(
    model: Annotated[
        str, typer.Argument(help="A name from `crowdpoint models`, an .onnx file or a checkpoint folder.")
    ],
    size: Annotated[str, typer.Option(help="Width x height of the image in pixels.")] = "1024x768",
    runs: Annotated[int, typer.Option(min=1, help="Timed runs, after two to warm up.")] = 10,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; every core by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Measure a model: parameters, MACs, latency and memory."""
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", size)
    if not match:
        raise typer.BadParameter(f"--size: expected width x height such as 1024x768, found {size!r}")
    width, height = int(match[1]), int(match[2])
    from crowdpoint.predict import Predictor

    predictor = Predictor.load(model, threads=threads)
    figures = _figures(predictor, width, height, runs)
    if as_json:
        typer.echo(json.dumps(figures))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("measure", "value", title=f"{figures['model']} at {width}x{height}")
    for name, value in figures.items():
        if name not in ("model", "width", "height"):
            table.add_row(
                name.replace("_", " "), "not recorded in the file" if value is None else _text(value)
            )
    Console().print(table)


def _figures(predictor: "Predictor", width: int, height: int, runs: int) -> dict[str, Any]:
    """The keys of `--json`; the time is that of `Predictor.predict` on pixels in memory."""
    import numpy as np

    info = predictor.info
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    times = []
    for _ in range(2 + runs):
        start = perf_counter()
        predictor.predict(image)
        times.append(1000 * (perf_counter() - start))
    timed = times[2:]
    macs = None if info.macs_per_pixel is None else round(info.macs_per_pixel * width * height)
    return {
        "model": info.name,
        "width": width,
        "height": height,
        "parameters": info.parameters,
        "macs": macs,
        "runs": runs,
        "milliseconds": round(median(timed), 2),
        "milliseconds_min": round(min(timed), 2),
        "milliseconds_max": round(max(timed), 2),
        "images_per_second": round(1000 * runs / sum(timed), 3),
        "peak_memory_mb": _peak_memory(),
    }


def _peak_memory() -> float | None:
    """The most memory that this process has held, in MB of 10^6 bytes; None where the system does not say."""
    if sys.platform == "win32":
        return None
    from resource import RUSAGE_SELF, getrusage

    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, and in KiB elsewhere
    return round(getrusage(RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def _text(value: float) -> str:
    return (
        f"{value / 1e9:,.2f} G" if value >= 1e8 else f"{value / 1e6:,.2f} M" if value >= 1e5 else f"{value:,}"
    )
