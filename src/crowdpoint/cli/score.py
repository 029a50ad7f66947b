"""`crowdpoint score`: compute metrics from point files, without a model, and compare several systems."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
import typer

from crowdpoint import formats
from crowdpoint.cli import options
from crowdpoint.errors import FormatError, ImageError
from crowdpoint.formats import image_names, nwpu
from crowdpoint.formats.text import locate_errors
from crowdpoint.metrics import DELTAS, Evaluator, Report, compute_head_sigmas
from crowdpoint.metrics.comparison import compare
from crowdpoint.names import choose_names
from crowdpoint.points import Points, RealArray
from crowdpoint.report import System, write

_log = logging.getLogger(__name__)

HeadSigmas = Mapping[str, Mapping[str, "RealArray"]]
Sigmas = Sequence["float | range | None"]


def score(
    pred: Annotated[
        list[Path],
        typer.Option(
            help="File of predicted points, in any readable format. Repeat the option to compare several "
            "systems, named after their files."
        ),
    ],
    gt: Annotated[Path, typer.Option(help="File of the ground truth of the same images.")],
    sigma: Annotated[
        list[str] | None,
        typer.Option(
            help="Matching distance in pixels, or a range such as 1:100 to average over, or `file` for the "
            "two distances of each head in the --gt file; repeatable. [default: 4 and 8]"
        ),
    ] = None,
    report: options.Report = None,
    images: Annotated[
        str | None, typer.Option(help="Folder or quoted glob of the images to show in the report.")
    ] = None,
    classes: options.Classes = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object per line for each system and comparison.")
    ] = False,
) -> None:
    """Score files of predicted points against ground truth, and compare several systems.

    All files must contain the same images. nAP needs predictions with different scores.
    """
    sigmas = [_parse_sigma(text) for text in sigma or ("4", "8")]
    if len(set(pred)) < len(pred):
        raise typer.BadParameter(f"--pred: expected files that differ, found {', '.join(map(str, pred))}")
    stems = [path.stem for path in pred]
    beside = [f"{path.absolute().parent.name}/{path.stem}" for path in pred]
    files = dict(zip(choose_names(stems, beside, list(map(str, pred))), pred, strict=True))
    if images and not report:
        raise typer.BadParameter("--images: the images are shown in a report; give --report, too")
    start = perf_counter()
    truth, head_sigmas = _read_truth(gt, classes or formats.Classes(), own_sigmas=None in sigmas)
    pictures = _find_pictures(images, truth) if images else {}
    reports, found = {}, {}
    for name, path in files.items():
        found[name], reports[name] = _score_file(
            path, gt, truth, head_sigmas, sigmas, start, page=report is not None
        )
        start = perf_counter()
    _print(reports, as_json)
    if report:
        systems = [System(name, "", reports[name], found[name]) for name in files]
        _log.info("report: %s", write(report, gt.stem, truth, systems, pictures))


def _score_file(
    path: Path,
    gt: Path,
    truth: Mapping[str, Points],
    head_sigmas: HeadSigmas,
    sigmas: Sigmas,
    start: float,
    *,
    page: bool,
) -> tuple[Mapping[str, Points], Report]:
    """Read the points of one file and compute their metrics, with curves for a `page`."""
    read = formats.read(path)
    with locate_errors(path):
        known = {name: image for image, name in image_names.match(truth, read).items()}
    predictions = {known.get(name, name): points for name, points in read.items()}
    _require_same_images(path, predictions, gt, truth)
    scores = (points.scores for points in predictions.values() if len(points))
    ranked = len({float(value) for part in scores for value in (part.min(), part.max())}) != 1
    distances = [s for s in sigmas if s is not None]
    evaluator = Evaluator(distances, DELTAS if ranked or page else (), curves=page)
    for name, heads in truth.items():
        sizes = (predictions[name].image_size, heads.image_size)
        if None not in sizes and sizes[0] != sizes[1]:
            raise FormatError(f"{path}: image {name}: states {sizes[0]} pixels, but {gt} states {sizes[1]}")
        evaluator.update(predictions[name], heads, head_sigmas=head_sigmas.get(name), name=name)
    return predictions, evaluator.compute(seconds=perf_counter() - start)


def _parse_sigma(text: str) -> float | range | None:
    """Parse a --sigma: a distance, a range such as `1:100`, or None for `file`."""
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


def _read_truth(
    path: Path, classes: formats.Classes, *, own_sigmas: bool
) -> tuple[dict[str, Points], HeadSigmas]:
    """Read the heads of each image and, on request, their own sigmas, stored or computed from boxes."""
    if own_sigmas and path.suffix.lower() == ".txt":
        classes.check(path)  # the format has no classes
        return nwpu.read_truth(path)
    points = formats.read(path, classes=classes)
    classes.report(path, "--classes")
    if not own_sigmas:
        return points, {}
    boxes = {}
    for name, heads in points.items():
        if heads.sizes is None and len(heads):
            raise FormatError(f"{path}: --sigma file needs a box for every head, image {name} has none")
        boxes[name] = compute_head_sigmas(np.empty((0, 2)) if heads.sizes is None else heads.sizes)
    return points, boxes


def _require_same_images(
    pred: Path, predictions: Mapping[str, Points], gt: Path, truth: Mapping[str, Points]
) -> None:
    """Check that both files list the same images; one without points needs an entry, too."""
    for file, held, wanted in ((pred, predictions, truth), (gt, truth, predictions)):
        if missing := sorted(wanted.keys() - held.keys()):
            listed = ", ".join(map(image_names.shorten, missing[:5])) + (", ..." if len(missing) > 5 else "")
            nearest = image_names.find_nearest(missing[0], held, wanted)
            raise FormatError(
                f"{file}: lacks {len(missing)} of the other file's images ({listed}), the nearest to the "
                f"first is {nearest}; both need the same images, those without points included"
            )
    if not truth:
        raise FormatError(f"{gt}: holds no image")


def _find_pictures(location: str, truth: Mapping[str, Points]) -> dict[str, Path]:
    from crowdpoint.cli.sources import collect  # slow to import

    sources = collect([location])
    for argument, reason in sources.missing.items():
        raise ImageError(f"--images: {argument}: {reason}")
    files = {source.name: Path(source.location) for source in sources.images}
    with locate_errors("--images", kind=ImageError):
        found = {name: files[photo] for photo, name in image_names.match(files, truth).items()}
    if not found:
        raise ImageError(
            f"--images: none of the {len(files)} images is called as an image of --gt, such as "
            f"{next(iter(truth))}, found {next(iter(files))}"
        )
    return found


def _print(reports: Mapping[str, Report], as_json: bool) -> None:
    if len(reports) == 1 and as_json:
        typer.echo(next(iter(reports.values())).model_dump_json())
        return
    comparisons = compare(reports) if len(reports) > 1 else []
    if as_json:
        lines = [{"system": name} | report.model_dump(mode="json") for name, report in reports.items()]
        for line in (*lines, *(comparison.model_dump(mode="json") for comparison in comparisons)):
            typer.echo(json.dumps(line))
        return
    from crowdpoint.cli.tables import print_comparison, print_reports  # slow to import

    print_reports(reports if comparisons else {"value": next(iter(reports.values()))})
    for comparison in comparisons:
        print_comparison(comparison)
