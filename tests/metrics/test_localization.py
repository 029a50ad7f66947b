"""Localization scores: pooling, averages over thresholds, heads' own thresholds and size levels."""

import numpy as np
import pytest

from crowdpoint.matching import match
from crowdpoint.metrics import (
    LevelRecall,
    Localization,
    LocalizationScore,
    average_scores,
    compute_head_levels,
    compute_head_sigmas,
    localization_score,
)
from crowdpoint.points import Points


def random_points(rng: np.random.Generator, most: int = 60) -> Points:
    return Points(rng.uniform(0, 100, (rng.integers(0, most), 2)).astype(np.float32))


def test_scores_are_pooled_over_images_not_averaged() -> None:
    localization = Localization((4.0,))
    localization.update(Points(np.zeros((1, 2), np.float32)), Points(np.zeros((1, 2), np.float32)))
    localization.update(Points(np.full((2, 2), 50, np.float32)), Points(np.zeros((5, 2), np.float32)))
    assert localization.compute() == {"4": LocalizationScore(precision=1 / 3, recall=1 / 6, f1=2 / 9)}


@pytest.mark.parametrize(("predicted", "true"), [(0, 0), (0, 3), (3, 0)])
def test_fractions_without_a_denominator_are_zero(predicted: int, true: int) -> None:
    assert localization_score(0, predicted, true) == LocalizationScore(precision=0, recall=0, f1=0)


def test_every_kind_of_sigma_agrees_with_single_matches() -> None:
    rng = np.random.default_rng(1)
    images = [(random_points(rng), random_points(rng)) for _ in range(8)]
    own = [rng.uniform(0, 20, len(truth)) for _, truth in images]
    localization = Localization((8.0, range(1, 21), 2.5))
    rows = [localization.update(p, t, {"s": s}) for (p, t), s in zip(images, own, strict=True)]
    scores = localization.compute()

    predicted, true = (sum(len(pair[side]) for pair in images) for side in (0, 1))
    by_radius = {
        radius: localization_score(sum(len(match(p.xy, t.xy, radius)[0]) for p, t in images), predicted, true)
        for radius in (*range(1, 21), 2.5)
    }
    assert list(scores) == ["8", "2.5", "1:20", "s"]
    assert scores["8"] == by_radius[8]
    assert scores["2.5"] == by_radius[2.5]
    assert scores["1:20"] == average_scores(by_radius[radius] for radius in range(1, 21))
    matched = [len(match(p.xy, t.xy, s)[0]) for (p, t), s in zip(images, own, strict=True)]
    assert [row["s"] for row in rows] == matched
    assert scores["s"] == localization_score(sum(matched), predicted, true)


def test_the_average_f1_is_that_of_the_averages() -> None:
    """Of the same predictions, F1 is proportional to the matches, as precision and recall are."""
    average = average_scores(localization_score(matched, 80, 120) for matched in (10, 40, 75))
    assert average.f1 == pytest.approx(1 / np.mean([1 / average.precision, 1 / average.recall]))
    with pytest.raises(ValueError, match="at least one"):
        average_scores([])


def test_names_of_own_sigmas_must_not_change() -> None:
    localization = Localization()
    point = Points(np.zeros((1, 2), np.float32))
    localization.update(point, point, {"s": np.ones(1)})
    with pytest.raises(ValueError, match=r"expected \('s',\) as before"):
        localization.update(point, point)


def test_own_sigmas_come_from_boxes() -> None:
    sigmas = compute_head_sigmas(np.array([(6.0, 8.0), (10.0, 4.0)]))
    assert sigmas["s"].tolist() == [3, 2]
    assert sigmas["l"].tolist() == [5, pytest.approx(np.sqrt(116) / 2)]


def test_boxes_are_the_decimals_that_float32_rounded() -> None:
    """float32 has 4.2 a little too small, and 3.2 too large for an area of 10 px^2."""
    sigmas = compute_head_sigmas(np.array([(4.2, 4.2), (6.6, 8.8)], np.float32))
    assert (sigmas["s"].tolist(), sigmas["l"][1]) == ([2.1, 3.3], 5.5)
    assert compute_head_levels(np.array([(3.2, 3.125), (3.2, 3.126)], np.float32)).tolist() == [0, 1]


def test_recall_by_head_size() -> None:
    areas = np.array([1.0, 10, 10.5, 100, 1e3, 1e4, 1e5, 1e5 + 1])
    levels = compute_head_levels(np.stack((areas, np.ones_like(areas)), axis=1))
    assert levels.tolist() == [0, 0, 1, 1, 2, 3, 4, 5]
    recall = LevelRecall()
    recall.update(np.array([0, 2, 3]), levels)
    recall.update(np.array([], np.intp), np.array([0, 0]))
    assert recall.compute() == {"A0": 0.25, "A1": 1, "A2": 0, "A3": 0, "A4": 0, "A5": 0}
    assert LevelRecall().compute() == {}
