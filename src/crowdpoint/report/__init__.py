"""Reports: what one or several systems do on one dataset, as a page that needs nothing but itself.

The packages that draw it, Jinja and Matplotlib, come with the extra `report` and are imported by `write`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crowdpoint.errors import requires, storing
from crowdpoint.outputs import replaced

if TYPE_CHECKING:
    from crowdpoint.metrics import Report
    from crowdpoint.points import Points

__all__ = ["System", "write"]


@dataclass(frozen=True, slots=True)
class System:
    """What one system found on the images of a dataset.

    Attributes:
        name: what the page calls it, such as `p2pnet-lite`.
        method: `p2pnet`, `fidtm` or `density`; empty when unknown, as of files of points.
        report: its metrics over the images, in any order, with `curves`.
        predictions: image name -> the points taken for heads.
        maxima: image name -> the largest value of the map that FIDTM predicts; None where unknown.
    """

    name: str
    method: str
    report: "Report"
    predictions: "Mapping[str, Points]"
    maxima: Mapping[str, float] | None = None


def write(
    folder: Path,
    dataset: str,
    truth: "Mapping[str, Points]",
    systems: Sequence[System],
    images: Mapping[str, Path] | None = None,
) -> Path:
    """Writes the page about `systems` on `dataset`, one file that needs no other and no network.

    The same arguments give the same bytes. What a chart needs and nobody has, such as the scores of points
    or the sizes of images, is left out, and the page says so.

    Args:
        folder: where to write; made if it is not there.
        dataset: what the page calls it; the papers' figures stand beside those of a dataset of theirs.
        truth: image name -> heads, at least one image.
        systems: at least one, each with a name of its own and the images of `truth`.
        images: image name -> file, to show the best and the worst; those that are missing are not shown.

    Returns:
        The page, `index.html` in `folder`.

    Raises:
        ValueError: if there is no image or no system, or a system lacks images or curves or shares its name.
        ImageError: if an image to show cannot be read.
        MissingExtraError: if a package of the extra `report` is not installed.
    """
    with requires("a report", "report"):
        from crowdpoint.report.page import render
    _require(truth, systems)
    page = render(dataset, truth, systems, images or {})
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    with storing(path), replaced(path) as draft:
        draft.write_text(page, encoding="utf-8", newline="\n")
    return path


def _require(truth: "Mapping[str, Points]", systems: Sequence[System]) -> None:
    if not truth:
        raise ValueError("truth: expected at least one image, found none")
    if not systems:
        raise ValueError("systems: expected at least one, found none")
    names = [system.name for system in systems]
    if len(set(names)) < len(names):
        raise ValueError(f"systems: expected names that differ, found {', '.join(names)}")
    for system in systems:
        if system.report.curves is None:
            raise ValueError(f"{system.name}: expected a report with curves; give Evaluator curves=True")
        for kind in ("predictions", "maxima"):
            found = getattr(system, kind)
            if found is not None and found.keys() != truth.keys():
                odd = min(found.keys() ^ truth.keys())
                raise ValueError(f"{system.name}: expected {kind} of the images of truth, {odd} is amiss")
        if {row.name for row in system.report.rows} != truth.keys():
            raise ValueError(f"{system.name}: expected a report with the images of truth by their names")
