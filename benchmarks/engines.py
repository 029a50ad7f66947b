"""Engines and the lite models: python benchmarks/engines.py --data ShanghaiTech.

Prints a row for each with the milliseconds for an image of 1024 x 768 pixels, and the metrics on images of a
dataset, by which the engines should not differ. Engines that are not installed are left out. Run it on an
otherwise idle machine.
"""

import argparse
from pathlib import Path
from typing import get_args

import latency

from crowdpoint import datasets, evaluate
from crowdpoint.errors import MissingExtraError
from crowdpoint.metrics import Report
from crowdpoint.predict import Predictor
from crowdpoint.zoo import EngineName

MODELS = ("p2pnet-lite", "fidtm-lite")


def load(model: str, engine: EngineName, threads: int | None) -> Predictor | None:
    """Load a model with an engine; None if the engine is not installed."""
    try:
        return Predictor.load(model, engine=engine, threads=threads)
    except MissingExtraError as error:
        print(error, flush=True)
        return None


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the dataset's folder")
    parser.add_argument("--dataset", default="shanghaitech-a")
    parser.add_argument("--split", default="test")
    parser.add_argument("--images", type=int, help="so many of them, evenly spaced; all by default")
    parser.add_argument("--threads", type=int, help="every core by default")
    parser.add_argument("--runs", type=int, default=20, help="timed images of one process")
    parser.add_argument("--rounds", type=int, default=3, help="processes for each row")
    options = parser.parse_args()
    samples = datasets.load(options.dataset, options.data, options.split)
    samples = samples[:: max(1, len(samples) // (options.images or len(samples)))][: options.images]
    reports: dict[tuple[str, EngineName], Report] = {}
    for model in MODELS:
        for engine in get_args(EngineName):
            if predictor := load(model, engine, options.threads):
                reports[model, engine] = evaluate(predictor, samples, options.dataset).report
    commands = {f"{model} {engine}": (model, "--engine", engine) for model, engine in reports}
    times = latency.milliseconds(commands, options.runs, options.rounds, options.threads)
    print(
        f"{options.dataset} {options.split}, {len(samples)} images; {latency.WIDTH}x{latency.HEIGHT} pixels"
    )
    print("| model | engine | ms | MAE | F1 σ=4 | F1 σ=8 |\n|---|---|---|---|---|---|")
    for (model, engine), report in reports.items():
        near, far = (f"{100 * report.localization[sigma].f1:.2f} %" for sigma in ("4", "8"))
        print(
            f"| `{model}` | {engine} | {times[f'{model} {engine}']:.1f} | {report.mae:.2f} | {near} | {far} |"
        )


if __name__ == "__main__":
    main()
