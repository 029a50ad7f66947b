"""Measure the cost and the gain of 8-bit integers: python benchmarks/int8.py --data ShanghaiTech.

Quantizes embedded models for ONNX Runtime (static, QDQ, weights per channel), with ranges of activations from
training images. Prints for each variant the metrics on the images that training held out, at the model's own
threshold and at one calibrated on them, and the milliseconds for an image of 1024 x 768 pixels. It is worth
offering where it costs less than 1 MAE and is faster. Run it on an otherwise idle machine.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import latency
import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static

from crowdpoint import checkpoint, images, zoo
from crowdpoint.datasets import Sample
from crowdpoint.estimate import require_points
from crowdpoint.evaluation import Evaluation, predict
from crowdpoint.export import export_onnx
from crowdpoint.metrics import Evaluator, Report
from crowdpoint.points import FloatArray
from crowdpoint.predict import Predictor
from crowdpoint.train.data import split
from crowdpoint.train.validation import calibrate

CALIBRATIONS = {"minmax": CalibrationMethod.MinMax, "percentile": CalibrationMethod.Percentile}

OPERATORS = ("Conv", "Clip", "Relu", "Add", "Resize")
"""Quantized operators between the first and the last convolutions; the rest, which makes points, is not."""

KEPT = ("none", "last", "ends")
"""Convolutions that stay in fp32: none, the last of each head, or those and the first."""


@dataclass(frozen=True)
class Variant:
    """A way to quantize."""

    calibration: str
    kept: str

    def __str__(self) -> str:
        return f"int8 {self.calibration}, fp32: {self.kept}"


class Crops(CalibrationDataReader):  # type: ignore[misc]  # untyped
    """Random crops of images, one each, given out one at a time so that activations of one are in memory.

    Args:
        samples: the images.
        side: of a crop, in pixels; smaller images are taken whole.
    """

    def __init__(self, samples: Sequence[Sample], side: int) -> None:
        self._samples, self._side = samples, side
        self.set_range(0, len(samples))

    def __len__(self) -> int:
        return len(self._samples)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Which images are next; the quantizer asks for one at a time."""
        self._next = iter(range(start_index, min(end_index, len(self))))

    def get_next(self) -> dict[str, FloatArray] | None:
        """The input of a network, or None at the end."""
        index = next(self._next, None)
        if index is None:
            return None
        pixels = images.read(self._samples[index].image)
        rng = np.random.default_rng(index)
        top, left = (int(rng.integers(0, max(1, size - self._side + 1))) for size in pixels.shape[:2])
        crop = pixels[top : top + self._side, left : left + self._side]
        return {"images": np.ascontiguousarray(crop.transpose(2, 0, 1)[None], np.float32)}


def quantize(source: Path, out: Path, variant: Variant, crops: Crops, *, reduce_range: bool) -> None:
    """Writes an 8-bit twin of an ONNX file in fp32, with its metadata."""
    model = onnx.load(source)
    between, first, last = _anatomy(model.graph)
    fp32 = {"none": set(), "last": last, "ends": last | {first}}[variant.kept]
    with redirect_stdout(sys.stderr):  # it tells of its progress, which is no part of the table
        quantize_static(
            source,
            out,
            crops,
            op_types_to_quantize=list(OPERATORS),
            nodes_to_quantize=[name for name in between if name not in fp32],
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CALIBRATIONS[variant.calibration],
            extra_options={"CalibStridedMinMax": 1},  # despite its name for every method: an image at a time
        )
    quantized = onnx.load(out)
    onnx.helper.set_model_props(quantized, {entry.key: entry.value for entry in model.metadata_props})
    onnx.save(quantized, out)


def _anatomy(graph: onnx.GraphProto) -> tuple[list[str], str, set[str]]:
    """Names of the nodes from the first to the last convolutions, of the first, and of the last ones."""
    maker = {output: node for node in graph.node for output in node.output}

    def before(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        yield from (maker[name] for name in node.input if name in maker)

    first = next(node.name for node in graph.node if node.op_type == "Conv")
    after = {first}  # of nodes in topological order
    for node in graph.node:
        if any(each.name in after for each in before(node)):
            after.add(node.name)
    last, seen = set[str](), set[str]()
    waiting = [maker[output.name] for output in graph.output]
    while waiting:
        node = waiting.pop()
        if node.name in after and node.name not in seen:
            seen.add(node.name)
            if node.op_type == "Conv":
                last.add(node.name)
            else:
                waiting += before(node)
    behind = seen - last
    between = [node.name for node in graph.node if node.name in after - behind and node.op_type in OPERATORS]
    return between, first, last


def evaluate_file(path: Path, samples: Sequence[Sample]) -> list[tuple[float, Report]]:
    """Evaluate a model file at its own threshold, and at the one that counts these images best."""
    predictor = Predictor.load(path)
    found = list(predict(predictor, samples))
    counts = [len(image.truth) for image in found if image.truth is not None]
    best = calibrate([[require_points(image.candidates, path.stem).scores for image in found]], [counts])
    return [
        (threshold, Evaluation(found, threshold, Evaluator(deltas=())).report)
        for threshold in (predictor.info.threshold, best)
    ]


def spread(samples: Sequence[Sample], count: int | None) -> list[Sample]:
    """So many of the samples, evenly spaced; all without a number."""
    if count is None or count >= len(samples):
        return list(samples)
    return [samples[index * len(samples) // count] for index in range(count)]


def compare(name: str, options: argparse.Namespace, folder: Path) -> None:
    """Prints the rows of one model."""
    _, recipe = checkpoint.load(zoo.find_checkpoint(name))
    parts = [split(data, options.data, recipe.run) for data in recipe.data]
    learnt = spread([sample for kept, _ in parts for sample in kept], options.calibration_images)
    held_out = spread([sample for _, aside in parts for sample in aside], options.images)
    files = {"fp32": folder / f"{name}.onnx"}
    export_onnx(zoo.find_checkpoint(name), files["fp32"], name=name)
    for number, pair in enumerate(product(options.calibration, options.keep)):
        variant = Variant(*pair)
        files[str(variant)] = folder / f"{name}-{number}.onnx"
        crops = Crops(learnt, options.crop)
        quantize(files["fp32"], files[str(variant)], variant, crops, reduce_range=options.reduce_range)
    times = latency.milliseconds(
        {weights: (str(path),) for weights, path in files.items()},
        options.runs,
        options.rounds,
        options.threads,
    )
    for weights, path in files.items():
        size = path.stat().st_size / 1e6
        for threshold, report in evaluate_file(path, held_out):
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
    add("--calibration", nargs="+", choices=CALIBRATIONS, default=list(CALIBRATIONS))
    add("--keep", nargs="+", choices=KEPT, default=["ends"], help="convolutions that stay in fp32")
    add("--calibration-images", type=int, default=64, help="training images for the ranges of activations")
    add("--crop", type=int, default=512, help="side of a crop of each, in pixels")
    add("--reduce-range", action="store_true", help="7-bit weights, for processors without VNNI")
    add("--threads", type=int, help="every core by default")
    add("--runs", type=int, default=20, help="timed images of one process")
    add("--rounds", type=int, default=3, help="processes for each row")
    options = parser.parse_args()
    logging.getLogger().setLevel(
        logging.ERROR
    )  # the quantizer recommends to preprocess; the export has done so
    print(
        "| model | weights | MB | ms | threshold | MAE | F1 σ=4 | F1 σ=8 |\n|---|---|---|---|---|---|---|---|"
    )
    with TemporaryDirectory() as folder:
        for name in options.models:
            compare(name, options, Path(folder))


if __name__ == "__main__":
    main()
