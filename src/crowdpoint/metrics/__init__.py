"""How good predicted points are: counting, localization, nAP and GAME, and one evaluator over them.

Each metric is a pure function with its formula and source, and an accumulator over images; torch-free.
"""

from crowdpoint.metrics.counting import (
    Counting,
    CountingErrors,
    GroupErrors,
    grouped_errors,
    mae,
    nae,
    rmse,
    scene_level,
)
from crowdpoint.metrics.evaluator import CURVE_DELTA, CURVE_SIGMAS, Curves, Evaluator, ImageScore, Report
from crowdpoint.metrics.game import GridError, game, within_region
from crowdpoint.metrics.localization import (
    LevelRecall,
    Localization,
    LocalizationScore,
    average_score,
    head_levels,
    head_sigmas,
    localization_score,
)
from crowdpoint.metrics.nap import (
    DELTAS,
    NormalizedAveragePrecision,
    average_precision,
    claims,
    precision_recall,
)
from crowdpoint.metrics.protocols import PROTOCOLS, Protocol, protocol

__all__ = [
    "CURVE_DELTA",
    "CURVE_SIGMAS",
    "DELTAS",
    "PROTOCOLS",
    "Counting",
    "CountingErrors",
    "Curves",
    "Evaluator",
    "GridError",
    "GroupErrors",
    "ImageScore",
    "LevelRecall",
    "Localization",
    "LocalizationScore",
    "NormalizedAveragePrecision",
    "Protocol",
    "Report",
    "average_precision",
    "average_score",
    "claims",
    "game",
    "grouped_errors",
    "head_levels",
    "head_sigmas",
    "localization_score",
    "mae",
    "nae",
    "precision_recall",
    "protocol",
    "rmse",
    "scene_level",
    "within_region",
]
