"""The files that a chunk of images becomes: their points, and what went wrong, as Parquet."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crowdpoint.batch.worker import Advance, Worker
from crowdpoint.redaction import redact

if TYPE_CHECKING:
    import pyarrow

    from crowdpoint.batch.model import Model
    from crowdpoint.points import Points


@dataclass(frozen=True, slots=True)
class Part:
    """What has become of a chunk of images.

    Attributes:
        name: of its files; the same for the same images.
        points: a Parquet file with a row for each image that was predicted; empty if there is none.
        failures: a Parquet file with a row for each image that could not be; empty if there is none.
        predicted: images in `points`.
        failed: images in `failures`.
        people: points of all images.
    """

    name: str
    points: bytes
    failures: bytes
    predicted: int
    failed: int
    people: int


def predict(images: Sequence[str], worker: Worker, model: "Model", advance: Advance) -> Part:
    """Predicts a chunk of images: what one machine and a cluster do alike.

    Args:
        images: locations, at least one.
        worker: the process that predicts them.
        model: what it has loaded.
        advance: told of every image.

    Raises:
        BatchError: as `Worker.predict`.
    """
    points: list[tuple[str, Points]] = []
    failures: list[tuple[str, str]] = []
    for answer in worker.predict(images, advance):
        if answer.points is None:
            failures.append((redact(answer.image), redact(answer.error)))
        else:
            points.append((redact(answer.image), answer.points))
    digest = hashlib.sha256("\0".join(images).encode()).hexdigest()
    return Part(
        f"part-{digest[:32]}",
        _points_file(points, model) if points else b"",
        failures_file(failures) if failures else b"",
        len(points),
        len(failures),
        sum(len(found) for _, found in points),
    )


def failures_file(failures: Sequence[tuple[str, str]]) -> bytes:
    """A file of the table `failures`: images and errors."""
    import pyarrow

    images, errors = zip(*failures, strict=True)
    schema = pyarrow.schema([("image", pyarrow.string()), ("error", pyarrow.string())])
    return _file(pyarrow.table([images, errors], schema=schema))


def read_failures(content: bytes) -> list[tuple[str, str]]:
    """The images and errors of a file of the table `failures`; none of no bytes."""
    from pyarrow import parquet

    rows = parquet.read_table(io.BytesIO(content)).to_pylist() if content else []
    return [(row["image"], row["error"]) for row in rows]


def _points_file(predicted: "Sequence[tuple[str, Points]]", model: "Model") -> bytes:
    """A file of the table `points`: a row for each image, with its points in lists."""
    import pyarrow

    sizes = [points.image_size or (None, None) for _, points in predicted]
    lists = pyarrow.list_(pyarrow.float32())
    columns: list[tuple[str, pyarrow.DataType, Sequence[Any]]] = [
        ("image", pyarrow.string(), [image for image, _ in predicted]),
        ("width", pyarrow.int32(), [width for width, _ in sizes]),
        ("height", pyarrow.int32(), [height for _, height in sizes]),
        ("count", pyarrow.int32(), [len(points) for _, points in predicted]),
        ("model", pyarrow.string(), [model.name] * len(predicted)),
        ("threshold", pyarrow.float64(), [model.threshold] * len(predicted)),
        ("x", lists, [points.xy[:, 0] for _, points in predicted]),
        ("y", lists, [points.xy[:, 1] for _, points in predicted]),
        ("score", lists, [points.scores for _, points in predicted]),
    ]
    arrays = [pyarrow.array(values, kind) for _, kind, values in columns]
    return _file(pyarrow.table(arrays, [name for name, _, _ in columns]))


def _file(table: "pyarrow.Table") -> bytes:
    from pyarrow import parquet

    content = io.BytesIO()
    parquet.write_table(table, content, compression="zstd")
    return content.getvalue()
