"""How good predicted points are: counting, localization, nAP and GAME, and one evaluator over them.

Each metric is a pure function with its formula and source, and an accumulator over images; torch-free.
"""

from crowdpoint.metrics.counting import Counting, CountingErrors, grouped_mae, mae, nae, rmse, scene_level
from crowdpoint.metrics.evaluator import Evaluator, ImageScore, Report
from crowdpoint.metrics.game import GridError, game
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
)

__all__ = [
    "DELTAS",
    "Counting",
    "CountingErrors",
    "Evaluator",
    "GridError",
    "ImageScore",
    "LevelRecall",
    "Localization",
    "LocalizationScore",
    "NormalizedAveragePrecision",
    "Report",
    "average_precision",
    "average_score",
    "claims",
    "game",
    "grouped_mae",
    "head_levels",
    "head_sigmas",
    "localization_score",
    "mae",
    "nae",
    "rmse",
    "scene_level",
]
