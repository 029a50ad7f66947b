"""`crowdpoint score`: the metrics from two files of points, without images or a model."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from crowdpoint.errors import FormatError

if TYPE_CHECKING:
    from crowdpoint.matching import RealArray
    from crowdpoint.metrics import Report
    from crowdpoint.points import Points

HeadSigmas = Mapping[str, Mapping[str, "RealArray"]]


def score(
    pred: Annotated[Path, typer.Option(help="Predicted points of all images, in any readable format.")],
    gt: Annotated[Path, typer.Option(help="True points of the same images.")],
    sigma: Annotated[
        list[str] | None,
        typer.Option(
            help="Matching distance in pixels, 4 and 8 by default; 1:100 for the average over 1 ... 100; "
            "`file` for each head's own two in the --gt file. Give it several times for several."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Score files of predicted points against true ones.

    Both files must hold the same images. nAP needs predictions whose scores differ.
    """
    sigmas = [_sigma(text) for text in sigma or ("4", "8")]
    from crowdpoint import formats
    from crowdpoint.metrics import DELTAS, Evaluator

    start = perf_counter()
    predictions = formats.read(pred)
    truth, head_sigmas = _read_truth(gt, own_sigmas=None in sigmas)
    _require_same_images(pred, predictions, gt, truth)
    ranked = _differ(points.scores for points in predictions.values())
    evaluator = Evaluator([s for s in sigmas if s is not None], DELTAS if ranked else ())
    for name, heads in truth.items():
        evaluator.update(predictions[name], heads, head_sigmas=head_sigmas.get(name), name=name)
    report = evaluator.compute(seconds=perf_counter() - start)
    if as_json:
        typer.echo(report.model_dump_json())
    else:
        print_report(report)


def _sigma(text: str) -> "float | range | None":
    """One --sigma: a distance, a range `1:100`, or None for `file`."""
    if text == "file":
        return None
    if found := re.fullmatch(r"(\d+):(\d+)", text):
        first, last = map(int, found.groups())
        if first <= last:
            return range(first, last + 1)
    elif re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    raise typer.BadParameter(
        f"--sigma: expected pixels such as 4, a range such as 1:100 or file, found {text!r}"
    )


def _read_truth(path: Path, *, own_sigmas: bool) -> "tuple[dict[str, Points], HeadSigmas]":
    """The heads of each image and, if asked for, their own sigmas: the file's, or from its boxes."""
    import numpy as np

    from crowdpoint import formats
    from crowdpoint.formats import nwpu
    from crowdpoint.metrics import head_sigmas

    if not own_sigmas:
        return formats.read(path), {}
    if path.suffix.lower() == ".txt":
        truth = nwpu.read_truth(path)
        sigmas = {name: {"s": heads.sigma_s, "l": heads.sigma_l} for name, heads in truth.items()}
        return {name: heads.points for name, heads in truth.items()}, sigmas
    points = formats.read(path)
    boxes = {}
    for name, heads in points.items():
        if heads.sizes is None and len(heads):
            raise FormatError(f"{path}: --sigma file needs a box for every head, image {name} has none")
        boxes[name] = head_sigmas(np.empty((0, 2)) if heads.sizes is None else heads.sizes)
    return points, boxes


def _require_same_images(
    pred: Path, predictions: "Mapping[str, Points]", gt: Path, truth: "Mapping[str, Points]"
) -> None:
    """An image without predictions must say so: a missing one is more often a mistake than an empty one."""
    for file, missing in ((pred, truth.keys() - predictions.keys()), (gt, predictions.keys() - truth.keys())):
        if missing:
            names = ", ".join(sorted(missing)[:5]) + (", ..." if len(missing) > 5 else "")
            raise FormatError(
                f"{file}: lacks {len(missing)} of the other file's images ({names}); both must hold the same "
                "images, those without points included"
            )
    if not truth:
        raise FormatError(f"{gt}: holds no image")


def _differ(scores: "Iterable[RealArray]") -> bool:
    values = {float(value) for part in scores if len(part) for value in (part.min(), part.max())}
    return len(values) > 1


def print_report(report: "Report") -> None:
    """Prints the metrics as a table for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "value", title=f"{report.images} images in {report.seconds:.2f} s")
    table.add_row("MAE", f"{report.mae:.2f}")
    table.add_row('RMSE ("MSE" in papers)', f"{report.rmse:.2f}")
    table.add_row("NAE", "no heads" if report.nae is None else f"{report.nae:.4f}")
    for key, found in report.localization.items():
        table.add_row(
            f"sigma {key}: F1 / precision / recall",
            f"{found.f1:.2%} / {found.precision:.2%} / {found.recall:.2%}",
        )
    for key, value in (report.nap or {}).items():
        table.add_row(f"nAP {key}", f"{value:.2%}")
    Console().print(table)
