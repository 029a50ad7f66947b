"""8-bit integers for ONNX files: quicker on a CPU, and a little less exact; needs `crowdpoint[train]`.

Static quantization of ONNX Runtime: weights by channel, activations by their ranges on typical photos.
"""

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static

from crowdpoint import images
from crowdpoint.points import FloatArray

OPERATORS = ("Conv", "Clip", "Relu", "Add", "Resize")
"""What is quantized between the first and the last convolutions; the rest, which makes points, is not."""

CROP = 512
"""Side in pixels of the crop of a photo that ranges are taken from."""


def quantize(model: onnx.ModelProto, photos: Sequence[Path], out: Path) -> None:
    """Writes an 8-bit twin of a model in fp32, with its metadata.

    The first convolution and the last one of each branch stay in fp32, since exactness begins and ends there.

    Args:
        model: with batch norms folded, and operators named apart.
        photos: typical ones; a crop of each gives the ranges of activations, without their outermost values.
        out: the file to write.

    Raises:
        ImageError: if a photo cannot be read.
    """
    between, ends = _anatomy(model.graph)
    with _quiet():
        quantize_static(
            model,
            out,
            _Crops(photos),
            op_types_to_quantize=list(OPERATORS),
            nodes_to_quantize=[name for name in between if name not in ends],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibStridedMinMax": 1},  # despite its name for every method: a photo at a time
        )
    quantized = onnx.load(out)
    onnx.helper.set_model_props(quantized, {entry.key: entry.value for entry in model.metadata_props})
    onnx.save(quantized, out)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the quantizer from printing its progress, and from advising what the export has done already."""
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


class _Crops(CalibrationDataReader):  # type: ignore[misc]  # untyped
    """Random crops of photos, given out one at a time so that activations of one are in memory."""

    def __init__(self, photos: Sequence[Path]) -> None:
        self._photos = photos
        self.set_range(0, len(photos))

    def __len__(self) -> int:
        return len(self._photos)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Which photos are next; the quantizer asks for one at a time."""
        self._next = iter(range(start_index, min(end_index, len(self))))

    def get_next(self) -> dict[str, FloatArray] | None:
        """The input of a network, or None at the end."""
        index = next(self._next, None)
        if index is None:
            return None
        pixels = images.read(self._photos[index])
        rng = np.random.default_rng(index)
        top, left = (int(rng.integers(0, max(1, size - CROP + 1))) for size in pixels.shape[:2])
        crop = pixels[top : top + CROP, left : left + CROP]
        return {"images": np.ascontiguousarray(crop.transpose(2, 0, 1)[None], np.float32)}


def _anatomy(graph: onnx.GraphProto) -> tuple[list[str], set[str]]:
    """Names of the nodes from the first convolution to the last ones, and of these convolutions."""
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
    return between, last | {first}
