"""The evaluator: all metrics of both papers from predicted and true points, one image at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from crowdpoint.estimate import Found
from crowdpoint.matching import RealArray, match
from crowdpoint.metrics import localization
from crowdpoint.metrics.counting import Counting, GroupErrors
from crowdpoint.metrics.game import GridError
from crowdpoint.metrics.localization import LevelRecall, Localization, LocalizationScore, Sigma
from crowdpoint.metrics.nap import DELTAS, Interpolation, NormalizedAveragePrecision
from crowdpoint.points import Points

REPORTED_DELTAS = (0.05, 0.25, 0.5)
CURVE_SIGMAS = tuple(range(1, 21))
"""Distances in pixels at which `Curves` go with matched heads in the rows of a report."""
CURVE_DELTA = 0.5
"""Reach of the precision-recall curve of `Curves`."""
OPTIONAL = frozenset({"protocol", "groups", "recall_by_head_size", "game"})
"""The keys of a `Report` that only some datasets and models have; empty ones are left out of its JSON."""


class ImageScore(BaseModel):
    """What became of one image."""

    model_config = ConfigDict(frozen=True)

    name: str
    """The image's name, empty if none was given."""
    predicted: int
    """Predicted count."""
    true: int
    """True count."""
    matched: dict[str, int]
    """Matched heads by sigma."""


class Curves(BaseModel):
    """The ranking of scored points behind the nAP of a report."""

    model_config = ConfigDict(frozen=True)

    precision: tuple[float, ...]
    """Precision above each score of a true positive at delta 0.5, from the highest score down."""
    recall: tuple[float, ...]
    """Recall above the same scores, ascending."""
    nap: dict[float, float] | None
    """nAP by delta; None as in `Report`."""


class Report(BaseModel):
    """The metrics over all images, as fractions; None where a metric does not apply."""

    model_config = ConfigDict(frozen=True)

    images: int
    """Number of images."""
    protocol: str | None = None
    """Which images chose the model's training step, `held-out` or `paper`, where the model says so."""
    mae: float
    """Mean absolute counting error."""
    rmse: float
    """Root mean square counting error, the papers' "MSE"."""
    nae: float | None
    """Mean normalised absolute counting error over the images with heads; None without one."""
    localization: dict[str, LocalizationScore]
    """Precision, recall and F1 by sigma: "4", "8", "1:100" for an average, "s" and "l" for per-head ones."""
    nap: dict[str, float] | None
    """nAP by delta and their "mean" over all deltas; None without heads or without scores that differ.

    Of a method that only counts there is neither this nor localization."""
    groups: dict[str, dict[str, GroupErrors]] = Field(default_factory=dict)
    """Counting errors by grouping and group of images, such as "scene_level" and "S0"."""
    recall_by_head_size: dict[str, float] = Field(default_factory=dict)
    """Recall within sigma_l of the heads of each size, "A0" ... "A5"."""
    game: dict[str, float] = Field(default_factory=dict)
    """GAME(L) by level, "0" ... "3"."""
    seconds: float | None = None
    """Wall time, set by the command that measures it."""
    rows: tuple[ImageScore, ...] = Field(default=(), exclude=True)
    """The single images, not part of the JSON."""
    curves: Curves | None = Field(default=None, exclude=True)
    """The curves of charts, where the evaluator keeps them; not part of the JSON."""

    @model_serializer(mode="wrap")
    def _what_applies(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in serialize(self).items() if value or key not in OPTIONAL}


class Evaluator:
    """Accumulates images into a `Report`.

    Args:
        sigmas: localization thresholds in pixels; a `range` is averaged over, as UCF-QNRF's `range(1, 101)`.
        deltas: reaches of nAP as fractions of d_kNN; empty for no nAP.
        boxes: whether every head has a box, so that its own sigma_s and sigma_l (FIDTM, Eq. 9 and 10) join
            the sigmas as "s" and "l", and recall by head size is taken within sigma_l.
        grid: whether GAME is taken; the heads must know their image's size.
        curves: whether the report has what charts show: its `curves`, and the heads of each row that match
            within each of `CURVE_SIGMAS` pixels.
        k: neighbours that d_kNN averages.
        interpolation: of the precision-recall curve, as `nap.average_precision`.

    Raises:
        ValueError: if curves are wanted and `CURVE_DELTA` is not among the deltas.
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
        """Adds one image.

        Args:
            predictions: the points taken for heads; counting and localization judge them. An estimate has no
                points: its report has the metrics of counting alone.
            truth: the G heads.
            candidates: all scored points, for nAP; `predictions` when None.
            head_sigmas: per-head thresholds by name, each (G,) pixels; the same names for every image.
            groups: the image's group by grouping, such as {"scene_level": "S1"}; a grouping may be absent.
            name: the image's name in `Report.rows`.

        Returns:
            The image's row.

        Raises:
            ValueError: if a per-head threshold is invalid, their names change, or a head lacks its box.
        """
        if self._grid:
            self._grid.update(predictions, truth)
        self._groups.append(groups or {})
        self._counting.update(len(predictions), len(truth))
        matched = {}
        if isinstance(predictions, Points):
            ranked = candidates if isinstance(candidates, Points) else predictions
            matched = self._locate(predictions, truth, ranked, head_sigmas)
        else:
            self._located = False
        row = ImageScore(name=name, predicted=len(predictions), true=len(truth), matched=matched)
        self._rows.append(row)
        return row

    def compute(self, seconds: float | None = None, protocol: str | None = None) -> Report:
        """The metrics over the images so far.

        Args:
            seconds: wall time to report.
            protocol: of the model's training, to report.

        Raises:
            ValueError: if there was no image.
        """
        counting = self._counting.compute()
        nap = self._nap.compute() if self._nap and self._located else None
        return Report(
            images=len(self._rows),
            protocol=protocol,
            mae=counting.mae,
            rmse=counting.rmse,
            nae=counting.nae,
            localization=self._localization.compute() if self._located else {},
            nap=_summary(nap),
            groups=self._by_group(),
            recall_by_head_size=self._size_recall.compute() if self._size_recall and self._located else {},
            game={str(level): error for level, error in (self._grid.compute() if self._grid else {}).items()},
            seconds=seconds,
            rows=tuple(self._rows),
            curves=_curves(self._nap, nap) if self._nap and self._curves and self._located else None,
        )

    def _locate(
        self,
        predictions: Points,
        truth: Points,
        candidates: Points,
        head_sigmas: Mapping[str, RealArray] | None,
    ) -> dict[str, int]:
        """Match an image's points with its heads: the matched heads by sigma."""
        if self._size_recall:
            head_sigmas = {**(head_sigmas or {}), **self._judge_sizes(predictions, truth, self._size_recall)}
        if self._nap:
            self._nap.update(candidates, truth)
        return self._localization.update(predictions, truth, head_sigmas)

    def _by_group(self) -> dict[str, dict[str, GroupErrors]]:
        groupings = dict.fromkeys(grouping for groups in self._groups for grouping in groups)
        return {
            grouping: self._counting.by_group([groups.get(grouping) for groups in self._groups])
            for grouping in groupings
        }

    @staticmethod
    def _judge_sizes(predictions: Points, truth: Points, recall: LevelRecall) -> dict[str, RealArray]:
        """Adds an image to the recall by head size; the heads' own sigmas."""
        if truth.sizes is None and len(truth):
            raise ValueError("truth: expected a box for every head, found none")
        sizes = np.zeros((0, 2)) if truth.sizes is None else truth.sizes.astype(np.float64)
        sigmas = localization.head_sigmas(sizes)
        _, found = match(predictions.xy, truth.xy, sigmas["l"], nearest=True)
        recall.update(found, localization.head_levels(sizes.prod(axis=1)))
        return {**sigmas}


def _curves(ranked: NormalizedAveragePrecision, nap: dict[float, float] | None) -> Curves:
    """The curves of the accumulated predictions, whose nAP is `nap`."""
    precision, recall = ranked.curve(CURVE_DELTA)
    return Curves(precision=tuple(precision.tolist()), recall=tuple(recall.tolist()), nap=nap)


def _summary(nap: dict[float, float] | None) -> dict[str, float] | None:
    """The reported deltas among those computed, and the mean over all of them."""
    if nap is None:
        return None
    return {f"{d:g}": nap[d] for d in REPORTED_DELTAS if d in nap} | {"mean": sum(nap.values()) / len(nap)}
