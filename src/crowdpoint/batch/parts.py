"""Predict a chunk of images, and encode its points and failures as Parquet files."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow
from pyarrow import parquet

from crowdpoint.batch.model import PortableModel
from crowdpoint.batch.worker import Advance, BatchWorker, Prediction
from crowdpoint.redaction import redact


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """Results of a chunk of images.

    Attributes:
        name: name of its files, determined by its images.
        points: Parquet file with one row per predicted image; empty if there is none.
        failures: Parquet file with one row per failed image; empty if there is none.
        predicted: number of images in `points`.
        failed: number of images in `failures`.
        people: number of points in all images.
    """

    name: str
    points: bytes
    failures: bytes
    predicted: int
    failed: int
    people: int


def predict(
    images: Sequence[str], worker: BatchWorker, model: PortableModel, advance: Advance
) -> ChunkResult:
    """Predict a chunk of images, locally or on a cluster."""
    predicted: list[tuple[str, Prediction]] = []
    failures: list[tuple[str, str]] = []
    for answer in worker.predict(images, advance):
        if answer.prediction is None:
            failures.append((redact(answer.image), redact(answer.error, answer.image)))
        else:
            predicted.append((redact(answer.image), answer.prediction))
    digest = hashlib.sha256("\0".join(images).encode()).hexdigest()
    return ChunkResult(
        f"part-{digest[:32]}",
        _encode_predictions(predicted, model) if predicted else b"",
        encode_failures(failures) if failures else b"",
        len(predicted),
        len(failures),
        sum(len(found.points) for _, found in predicted),
    )


def encode_failures(failures: Sequence[tuple[str, str]]) -> bytes:
    """Encode images and errors as a file of the table `failures`."""
    images, errors = zip(*failures, strict=True)
    schema = pyarrow.schema([("image", pyarrow.string()), ("error", pyarrow.string())])
    return _encode(pyarrow.table([images, errors], schema=schema))


def decode_failures(content: bytes) -> list[tuple[str, str]]:
    """Decode a file of the table `failures` to images and errors; an empty file has none."""
    rows = parquet.read_table(io.BytesIO(content)).to_pylist() if content else []
    return [(row["image"], row["error"]) for row in rows]


def _encode_predictions(predicted: Sequence[tuple[str, Prediction]], model: PortableModel) -> bytes:
    found = [prediction.points for _, prediction in predicted]
    sizes = [points.image_size or (None, None) for points in found]
    intervals = [prediction.interval or (None, None) for _, prediction in predicted]
    lists = pyarrow.list_(pyarrow.float32())
    columns: list[tuple[str, pyarrow.DataType, Sequence[Any]]] = [
        ("image", pyarrow.string(), [image for image, _ in predicted]),
        ("width", pyarrow.int32(), [width for width, _ in sizes]),
        ("height", pyarrow.int32(), [height for _, height in sizes]),
        ("count", pyarrow.int32(), [len(points) for points in found]),
        ("count_low", pyarrow.int32(), [low for low, _ in intervals]),
        ("count_high", pyarrow.int32(), [high for _, high in intervals]),
        ("warning", pyarrow.string(), [prediction.warning for _, prediction in predicted]),
        ("scale", pyarrow.float64(), [prediction.scale for _, prediction in predicted]),
        ("model", pyarrow.string(), [model.name] * len(predicted)),
        ("threshold", pyarrow.float64(), [model.threshold] * len(predicted)),
        ("x", lists, [points.xy[:, 0] for points in found]),
        ("y", lists, [points.xy[:, 1] for points in found]),
        ("score", lists, [points.scores for points in found]),
    ]
    arrays = [pyarrow.array(values, kind) for _, kind, values in columns]
    return _encode(pyarrow.table(arrays, [name for name, _, _ in columns]))


def _encode(table: pyarrow.Table) -> bytes:
    content = io.BytesIO()
    parquet.write_table(table, content, compression="zstd")
    return content.getvalue()
