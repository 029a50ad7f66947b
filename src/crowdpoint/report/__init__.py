"""Write a self-contained HTML report on one or several systems on a dataset.

Needs the extra `report` (Jinja and Matplotlib), which `write` imports.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crowdpoint import outputs
from crowdpoint.errors import requires
from crowdpoint.metrics import Report
from crowdpoint.points import Points

__all__ = ["System", "write"]


@dataclass(frozen=True, slots=True)
class System:
    """Results of one system on the images of a dataset, by their names.

    Attributes:
        name: name on the page, such as `p2pnet-lite`.
        method: `p2pnet`, `fidtm` or `density`; empty if unknown, as for point files.
        report: metrics over the images, in any order, with `curves`.
        predictions: predicted heads.
        maxima: maximum of each predicted map; None if unknown.
        empty_below: maximum below which the method counts an image as empty; None without such a rule.
    """

    name: str
    method: str
    report: Report
    predictions: Mapping[str, Points]
    maxima: Mapping[str, float] | None = None
    empty_below: float | None = None


def write(
    folder: Path,
    dataset: str,
    truth: Mapping[str, Points],
    systems: Sequence[System],
    images: Mapping[str, Path] | None = None,
) -> Path:
    """Write the report as a single HTML file without external resources.

    The output is deterministic. Charts whose data, such as scores or image sizes, are missing are omitted.

    Args:
        folder: output folder; created if needed.
        dataset: name of the dataset; for the papers' datasets, the page includes their published figures.
        truth: image name -> heads, at least one image.
        systems: at least one system, with unique names and the images of `truth`.
        images: image name -> file, to show the best and worst images; missing ones are not shown.

    Returns:
        Path of the page, `index.html` in `folder`.

    Raises:
        ValueError: if there is no image or system, or a system lacks images, curves or a unique name.
        ImageError: if an image to show cannot be read.
        MissingExtraError: if a package of the extra `report` is not installed.
    """
    with requires("a report", "report"):
        from crowdpoint.report.page import render
    if not truth:
        raise ValueError("truth: expected at least one image, found none")
    if not systems:
        raise ValueError("systems: expected at least one, found none")
    names = [system.name for system in systems]
    if len(set(names)) < len(names):
        raise ValueError(f"systems: expected unique names, found {', '.join(names)}")
    for system in systems:
        if system.report.curves is None:
            raise ValueError(f"{system.name}: expected a report with curves; give Evaluator curves=True")
        for kind in ("predictions", "maxima"):
            found = getattr(system, kind)
            if found is not None and found.keys() != truth.keys():
                odd = min(found.keys() ^ truth.keys())
                raise ValueError(
                    f"{system.name}: {kind} and truth have different images: {odd} is in one of them only"
                )
        if {row.name for row in system.report.rows} != truth.keys():
            raise ValueError(f"{system.name}: report and truth have different images")
    page = render(dataset, truth, systems, images or {})
    path = folder / "index.html"
    outputs.write(path, page.encode())
    return path
