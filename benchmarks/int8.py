"""What 8-bit integers cost and gain: python benchmarks/int8.py --data ShanghaiTech.

Quantizes embedded models as `crowdpoint export --int8` does, with ranges of activations from training images.
Prints for fp32 and for int8 the metrics on the images that training held out, at the model's own threshold
and at one calibrated on them, and the milliseconds for an image of 1024 x 768 pixels. Run it on an otherwise
idle machine.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import latency
import onnx

from crowdpoint import zoo
from crowdpoint.datasets import Sample
from crowdpoint.export import export_onnx
from crowdpoint.metrics import Evaluator, Report
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.quantization import quantize
from crowdpoint.train import checkpoint
from crowdpoint.train.data import split
from crowdpoint.train.validation import calibrate


def judged(path: Path, samples: Sequence[Sample]) -> list[tuple[float, Report]]:
    """A file's metrics at its own threshold, and at the one that counts these images best."""
    predictor = Predictor.load(path)
    found: list[tuple[Points, Points]] = [
        (predictor.candidates(sample.image), sample.points()) for sample in samples
    ]
    best = calibrate([points.scores for points, _ in found], [len(truth) for _, truth in found])
    reports = []
    for threshold in (predictor.info.threshold, best):
        evaluator = Evaluator(deltas=())
        for candidates, truth in found:
            evaluator.update(candidates.threshold(threshold), truth)
        reports.append((threshold, evaluator.compute()))
    return reports


def spread(samples: Sequence[Sample], count: int | None) -> list[Sample]:
    """So many of the samples, evenly spaced; all without a number."""
    if count is None or count >= len(samples):
        return list(samples)
    return [samples[index * len(samples) // count] for index in range(count)]


def compare(name: str, options: argparse.Namespace, folder: Path) -> None:
    """Prints the rows of one model."""
    _, recipe = checkpoint.load(zoo.checkpoint(name))
    parts = [split(data, options.data, recipe.run.seed) for data in recipe.data]
    learnt = spread([sample for kept, _ in parts for sample in kept], options.calibration_images)
    held_out = spread([sample for _, aside in parts for sample in aside], options.images)
    files = {weights: folder / f"{name}-{weights}.onnx" for weights in ("fp32", "int8")}
    export_onnx(zoo.checkpoint(name), files["fp32"], name=name)
    quantize(onnx.load(files["fp32"]), [sample.image for sample in learnt], files["int8"])
    times = latency.milliseconds(
        {weights: (str(path),) for weights, path in files.items()},
        options.runs,
        options.rounds,
        options.threads,
    )
    for weights, path in files.items():
        size = path.stat().st_size / 1e6
        for threshold, report in judged(path, held_out):
            near, far = (f"{100 * report.localization[sigma].f1:.2f} %" for sigma in ("4", "8"))
            print(
                f"| `{name}` | {weights} | {size:.1f} | {times[weights]:.1f} | {threshold:.2f} "
                f"| {report.mae:.2f} | {near} | {far} |",
                flush=True,
            )


def main() -> None:
    """Prints the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, help="the folder of the datasets that the models learnt from")
    add("--models", nargs="+", default=["p2pnet-lite", "fidtm-lite"], help="names of embedded models")
    add("--images", type=int, help="judge on so many held-out images, evenly spaced; all by default")
    add("--calibration-images", type=int, default=64, help="training images for the ranges of activations")
    add("--threads", type=int, help="every core by default")
    add("--runs", type=int, default=20, help="timed images of one process")
    add("--rounds", type=int, default=3, help="processes for each row")
    options = parser.parse_args()
    print(
        "| model | weights | MB | ms | threshold | MAE | F1 σ=4 | F1 σ=8 |\n|---|---|---|---|---|---|---|---|"
    )
    with TemporaryDirectory() as folder:
        for name in options.models:
            compare(name, options, Path(folder))


if __name__ == "__main__":
    main()
