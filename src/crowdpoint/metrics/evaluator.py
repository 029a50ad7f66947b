"""The evaluator: all metrics of both papers from predicted and true points, one image at a time."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from crowdpoint.matching import RealArray
from crowdpoint.metrics.counting import Counting
from crowdpoint.metrics.localization import Localization, LocalizationScore, Sigma
from crowdpoint.metrics.nap import DELTAS, Interpolation, NormalizedAveragePrecision
from crowdpoint.points import Points

REPORTED_DELTAS = (0.05, 0.25, 0.5)


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


class Report(BaseModel):
    """The metrics over all images, as fractions; None where a metric does not apply."""

    model_config = ConfigDict(frozen=True)

    images: int
    """Number of images."""
    mae: float
    """Mean absolute counting error."""
    rmse: float
    """Root mean square counting error, the papers' "MSE"."""
    nae: float | None
    """Mean normalised absolute counting error over the images with heads; None without one."""
    localization: dict[str, LocalizationScore]
    """Precision, recall and F1 by sigma: "4", "8", "1:100" for an average, "s" and "l" for per-head ones."""
    nap: dict[str, float] | None
    """nAP by delta and their "mean" over all deltas; None without heads or without scores that differ."""
    seconds: float | None = None
    """Wall time, set by the command that measures it."""
    rows: tuple[ImageScore, ...] = Field(default=(), exclude=True)
    """The single images, not part of the JSON."""


class Evaluator:
    """Accumulates images into a `Report`.

    Args:
        sigmas: localization thresholds in pixels; a `range` is averaged over, as UCF-QNRF's `range(1, 101)`.
        deltas: reaches of nAP as fractions of d_kNN; empty for no nAP.
        k: neighbours that d_kNN averages.
        interpolation: of the precision-recall curve, as `nap.average_precision`.
    """

    def __init__(
        self,
        sigmas: Sequence[Sigma] = (4.0, 8.0),
        deltas: Sequence[float] = DELTAS,
        *,
        k: int = 3,
        interpolation: Interpolation = "every-point",
    ) -> None:
        self._counting = Counting()
        self._localization = Localization(sigmas)
        self._nap = NormalizedAveragePrecision(deltas, k, interpolation) if deltas else None
        self._rows: list[ImageScore] = []

    def update(
        self,
        predictions: Points,
        truth: Points,
        candidates: Points | None = None,
        *,
        head_sigmas: Mapping[str, RealArray] | None = None,
        name: str = "",
    ) -> None:
        """Adds one image.

        Args:
            predictions: the points taken for heads; counting and localization judge them.
            truth: the G heads.
            candidates: all scored points, for nAP; `predictions` when None.
            head_sigmas: per-head thresholds by name, each (G,) pixels; the same names for every image.
            name: the image's name in `Report.rows`.

        Raises:
            ValueError: if a per-head threshold is invalid, or their names change.
        """
        matched = self._localization.update(predictions, truth, head_sigmas)
        self._counting.update(len(predictions), len(truth))
        if self._nap:
            self._nap.update(predictions if candidates is None else candidates, truth)
        self._rows.append(ImageScore(name=name, predicted=len(predictions), true=len(truth), matched=matched))

    def compute(self, seconds: float | None = None) -> Report:
        """The metrics over the images so far.

        Args:
            seconds: wall time to report.

        Raises:
            ValueError: if there was no image.
        """
        counting = self._counting.compute()
        return Report(
            images=len(self._rows),
            mae=counting.mae,
            rmse=counting.rmse,
            nae=counting.nae,
            localization=self._localization.compute(),
            nap=_summary(self._nap.compute() if self._nap else None),
            seconds=seconds,
            rows=tuple(self._rows),
        )


def _summary(nap: dict[float, float] | None) -> dict[str, float] | None:
    """The reported deltas among those computed, and the mean over all of them."""
    if nap is None:
        return None
    return {f"{d:g}": nap[d] for d in REPORTED_DELTAS if d in nap} | {"mean": sum(nap.values()) / len(nap)}
