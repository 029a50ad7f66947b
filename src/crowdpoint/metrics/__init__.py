"""Metrics of counting and localization (MAE, RMSE, NAE, F1, nAP, GAME) and an evaluator that combines them.

Each metric is a pure function, with its formula and source, and an accumulator over images.
"""

from crowdpoint.metrics.counting import (
    Counting,
    CountingErrors,
    GroupErrors,
    group_errors,
    mae,
    nae,
    rmse,
    scene_level,
)
from crowdpoint.metrics.evaluator import CURVE_DELTA, CURVE_SIGMAS, Curves, Evaluator, ImageScore, Report
from crowdpoint.metrics.game import GridError, filter_by_region, game
from crowdpoint.metrics.localization import (
    LevelRecall,
    Localization,
    LocalizationScore,
    average_scores,
    compute_head_levels,
    compute_head_sigmas,
    localization_score,
)
from crowdpoint.metrics.nap import (
    DELTAS,
    NormalizedAveragePrecision,
    average_precision,
    find_true_positives,
    precision_recall,
)
from crowdpoint.metrics.protocols import PROTOCOLS, Protocol, get_protocol

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
    "average_scores",
    "compute_head_levels",
    "compute_head_sigmas",
    "filter_by_region",
    "find_true_positives",
    "game",
    "get_protocol",
    "group_errors",
    "localization_score",
    "mae",
    "nae",
    "precision_recall",
    "rmse",
    "scene_level",
]
