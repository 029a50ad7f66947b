"""Evaluator of all metrics of both papers, one image at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer

from crowdpoint.estimate import Found
from crowdpoint.matching import match
from crowdpoint.metrics import localization
from crowdpoint.metrics.counting import Counting, GroupErrors
from crowdpoint.metrics.game import GridError
from crowdpoint.metrics.localization import LevelRecall, Localization, LocalizationScore, Sigma
from crowdpoint.metrics.nap import DELTAS, Interpolation, NormalizedAveragePrecision
from crowdpoint.points import Points, RealArray

REPORTED_DELTAS = (0.05, 0.25, 0.5)
CURVE_SIGMAS = tuple(range(1, 21))
"""Distances in pixels at which the rows of a report with `Curves` have matched heads."""
CURVE_DELTA = 0.5
"""Threshold of the precision-recall curve of `Curves`, as a fraction of d_kNN."""
OPTIONAL = frozenset({"protocol", "device", "precision", "groups", "recall_by_head_size", "game"})
"""Keys of a `Report` that do not apply to all datasets and models; omitted from its JSON if empty."""


class ImageScore(BaseModel, frozen=True):
    """Name (empty if not given), predicted and true count, and matches of one image."""

    name: str
    predicted: int
    true: int
    matched: dict[str, int]
    """Number of matched heads by sigma."""


class Curves(BaseModel, frozen=True):
    """Precision-recall curve and nAP by delta of a report."""

    precision: tuple[float, ...]
    """Precision at each score of a true positive at delta 0.5, in decreasing order of scores."""
    recall: tuple[float, ...]
    """Recall at the same scores, ascending."""
    nap: dict[float, float] | None
    """nAP by delta; None as in `Report`."""


class Report(BaseModel, frozen=True):
    """Metrics over all images, as fractions; None if a metric does not apply."""

    images: int
    """Number of images."""
    protocol: str | None = None
    """Images on which the model's checkpoint was selected, `held-out` or `paper`, if the model states it."""
    device: str | None = None
    """Device of the network, `cpu` or `cuda`; None for points from files, as `precision`."""
    precision: str | None = None
    """Number format of its convolutions, `fp32`, `fp16` or `bf16`."""
    mae: float
    """Mean absolute counting error."""
    rmse: float
    """Root mean square counting error, the papers' "MSE"."""
    nae: float | None
    """Mean normalised absolute counting error over images with heads; None if there are none."""
    localization: dict[str, LocalizationScore]
    """Precision, recall and F1 by sigma: "4", "8", "1:100" (average), "s" and "l" (per head)."""
    nap: dict[str, float] | None
    """nAP by delta, and their "mean" over all deltas; None without heads or if all scores are equal.

    A method that only counts has neither nAP nor localization."""
    groups: dict[str, dict[str, GroupErrors]] = Field(default_factory=dict)
    """Counting errors by grouping and group of images, such as "scene_level" and "S0"."""
    recall_by_head_size: dict[str, float] = Field(default_factory=dict)
    """Recall within sigma_l by head size, "A0" ... "A5"."""
    game: dict[str, float] = Field(default_factory=dict)
    """GAME(L) by level, "0" ... "3"."""
    seconds: float | None = None
    """Wall time, if measured."""
    rows: tuple[ImageScore, ...] = Field(default=(), exclude=True)
    """Scores of the images; not part of the JSON."""
    curves: Curves | None = Field(default=None, exclude=True)
    """Curves for charts, if the evaluator computes them; not part of the JSON."""

    @model_serializer(mode="wrap")
    def _omit_empty(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in serialize(self).items() if value or key not in OPTIONAL}


class Evaluator:
    """Accumulator of a `Report` over images.

    Args:
        sigmas: localization thresholds in pixels; a `range` is averaged, as UCF-QNRF's `range(1, 101)`.
        deltas: nAP thresholds as fractions of d_kNN; empty to skip nAP.
        boxes: every head has a box. Adds the per-head thresholds sigma_s and sigma_l (FIDTM, Eq. 9 and 10) as
            "s" and "l", and recall by head size within sigma_l.
        grid: compute GAME; needs the image size of the heads.
        curves: compute the report's `curves`, and the matched heads of rows at `CURVE_SIGMAS`, for charts.
        k: number of neighbours of d_kNN.
        interpolation: interpolation of the precision-recall curve, as in `nap.average_precision`.

    Raises:
        ValueError: if curves are requested and `CURVE_DELTA` is not among the deltas.

    >>> evaluator = Evaluator(sigmas=(4.0,), deltas=())
    >>> score = evaluator.update(Points([[10, 10], [50, 50]]), Points([[11, 10]]))
    >>> evaluator.compute().localization["4"].precision
    0.5
    """

    def __init__(
        self,
        sigmas: Sequence[Sigma] = (4.0, 8.0),
        deltas: Sequence[float] = DELTAS,
        *,
        boxes: bool = False,
        grid: bool = False,
        curves: bool = False,
        k: int = 3,
        interpolation: Interpolation = "every-point",
    ) -> None:
        if curves and CURVE_DELTA not in deltas:
            raise ValueError(
                f"deltas: expected {CURVE_DELTA} among them for the curves, found {list(deltas)}"
            )
        self._counting = Counting()
        self._localization = Localization(sigmas, CURVE_SIGMAS if curves else ())
        self._nap = NormalizedAveragePrecision(deltas, k, interpolation) if deltas else None
        self._size_recall = LevelRecall() if boxes else None
        self._grid = GridError() if grid else None
        self._curves = curves
        self._located = True
        self._groups: list[Mapping[str, str]] = []
        self._rows: list[ImageScore] = []

    def update(
        self,
        predictions: Found,
        truth: Points,
        candidates: Found | None = None,
        *,
        head_sigmas: Mapping[str, RealArray] | None = None,
        groups: Mapping[str, str] | None = None,
        name: str = "",
    ) -> ImageScore:
        """Add one image, and return its score.

        Args:
            predictions: predicted heads, or an estimate, for counting only.
            truth: the G heads.
            candidates: all scored points, for nAP; by default, `predictions`.
            head_sigmas: per-head thresholds by name, each (G,) in pixels; the same names for every image.
            groups: group of the image by grouping, such as {"scene_level": "S1"}; groupings may be missing.
            name: name of the image in `Report.rows`.

        Raises:
            ValueError: if a per-head threshold is invalid, the names change, or a head lacks its box, or the
                image its size for GAME; nothing is added then.
        """
        if self._grid:
            truth.require_size()
        matched = {}
        if isinstance(predictions, Points):
            ranked = candidates if isinstance(candidates, Points) else predictions
            matched = self._locate(predictions, truth, ranked, head_sigmas)
        else:
            self._located = False
        if self._grid:
            self._grid.update(predictions, truth)
        self._groups.append(groups or {})
        self._counting.update(len(predictions), len(truth))
        row = ImageScore(name=name, predicted=len(predictions), true=len(truth), matched=matched)
        self._rows.append(row)
        return row

    def merge(self, other: "Evaluator") -> None:
        """Add the images of another evaluator of the same settings, without matching them again."""
        self._counting.merge(other._counting)
        self._localization.merge(other._localization)
        if self._nap and other._nap:
            self._nap.merge(other._nap)
        if self._size_recall and other._size_recall:
            self._size_recall.merge(other._size_recall)
        if self._grid and other._grid:
            self._grid.merge(other._grid)
        self._located = self._located and other._located
        self._groups += other._groups
        self._rows += other._rows

    def compute(
        self,
        seconds: float | None = None,
        protocol: str | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> Report:
        """Compute the metrics over all images, at least one. The report includes the arguments unchanged."""
        counting = self._counting.compute()
        nap = curves = None
        if self._nap and self._located:
            nap = self._nap.compute()
            if self._curves:
                heights, recall = self._nap.compute_curve(CURVE_DELTA)
                curves = Curves(precision=tuple(heights.tolist()), recall=tuple(recall.tolist()), nap=nap)
        return Report(
            images=len(self._rows),
            protocol=protocol,
            device=device,
            precision=precision,
            mae=counting.mae,
            rmse=counting.rmse,
            nae=counting.nae,
            localization=self._localization.compute() if self._located else {},
            nap=_summarize(nap),
            groups={
                grouping: self._counting.compute_groups([groups.get(grouping) for groups in self._groups])
                for grouping in dict.fromkeys(key for groups in self._groups for key in groups)
            },
            recall_by_head_size=self._size_recall.compute() if self._size_recall and self._located else {},
            game={str(level): error for level, error in (self._grid.compute() if self._grid else {}).items()},
            seconds=seconds,
            rows=tuple(self._rows),
            curves=curves,
        )

    def _locate(
        self,
        predictions: Points,
        truth: Points,
        candidates: Points,
        head_sigmas: Mapping[str, RealArray] | None,
    ) -> dict[str, int]:
        own: Mapping[str, RealArray] = {}
        if self._size_recall:
            if truth.sizes is None and len(truth):
                raise ValueError("truth: expected a box for every head, found none")
            sizes = np.zeros((0, 2)) if truth.sizes is None else truth.sizes
            own = localization.compute_head_sigmas(sizes)
        # The only step that can fail comes first, so that a refused image changes nothing.
        found = self._localization.update(predictions, truth, {**(head_sigmas or {}), **own})
        if self._size_recall:
            _, matched = match(predictions.xy, truth.xy, own["l"], nearest=True)
            self._size_recall.update(matched, localization.compute_head_levels(sizes))
        if self._nap:
            self._nap.update(candidates, truth)
        return found


def _summarize(nap: dict[float, float] | None) -> dict[str, float] | None:
    """Select nAP at the reported deltas, and compute the mean over all deltas."""
    if nap is None:
        return None
    return {f"{d:g}": nap[d] for d in REPORTED_DELTAS if d in nap} | {"mean": sum(nap.values()) / len(nap)}
