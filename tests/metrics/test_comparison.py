"""Differences between systems against SciPy's resampling, known cases and all permutations by hand."""

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from crowdpoint.metrics import Evaluator, Report
from crowdpoint.metrics.comparison import bootstrap_means, compare, permute_means, wilcoxon
from crowdpoint.points import Points


def _report(errors: npt.ArrayLike, seed: int = 0, heads: int = 20) -> Report:
    """A system that misses or adds as many points as `errors` say; the rest lie near their heads."""
    rng = np.random.default_rng(seed)
    evaluator = Evaluator((4.0, range(1, 3)), ())
    for image, error in enumerate(np.asarray(errors)):
        truth = 50.0 * np.arange(1, heads + 1)[:, None] * (1, 1)
        found = np.resize(truth, (heads + int(error), 2)) + rng.uniform(-5, 5, (heads + int(error), 1))
        evaluator.update(Points(found.astype(np.float32)), Points(truth.astype(np.float32)), name=f"{image}")
    return evaluator.compute()


@pytest.fixture(scope="module")
def two() -> dict[str, Report]:
    rng = np.random.default_rng(1)
    return {"ours": _report(rng.integers(-4, 5, 40)), "theirs": _report(rng.integers(-9, 5, 40), seed=2)}


def test_values_are_those_of_the_reports(two: dict[str, Report]) -> None:
    (found,) = compare(two, resamples=200)
    ours, theirs = two.values()
    assert (found.first, found.second, found.images) == ("ours", "theirs", 40)
    assert found.mae.value == pytest.approx(ours.mae - theirs.mae)
    assert found.rmse.value == pytest.approx(ours.rmse - theirs.rmse)
    assert list(found.f1) == ["4"], "an average over a range has no matches of its own"
    assert found.f1["4"].value == pytest.approx(ours.localization["4"].f1 - theirs.localization["4"].f1)


def test_intervals_and_p_values_agree_with_scipy(two: dict[str, Report]) -> None:
    (found,) = compare(two)
    errors, points, matched = np.array(
        [
            [
                (abs(row.predicted - row.true), row.predicted + row.true, row.matched["4"])
                for row in report.rows
            ]
            for report in two.values()
        ],
        np.float64,
    ).transpose(2, 0, 1)

    def rmse_gap(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
        return float(np.sqrt((first**2).mean()) - np.sqrt((second**2).mean()))

    def f1_gap(first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]) -> float:
        of = [2 * matched.ravel()[chosen].sum() / points.ravel()[chosen].sum() for chosen in (first, second)]
        return float(of[0] - of[1])

    def mae_gap(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
        return float(first.mean() - second.mean())

    images = np.arange(40)
    for difference, data, gap in (
        (found.mae, errors, mae_gap),
        (found.rmse, errors, rmse_gap),
        (found.f1["4"], (images, images + 40), f1_gap),
    ):
        drawn = stats.bootstrap(
            tuple(data), gap, paired=True, vectorized=False, method="percentile", n_resamples=999,
            rng=np.random.default_rng(5),
        )  # fmt: skip
        width = difference.high - difference.low
        ends = (difference.low, difference.high)
        assert ends == pytest.approx(tuple(drawn.confidence_interval), abs=0.1 * width)
        swapped = stats.permutation_test(
            tuple(data), gap, permutation_type="samples", n_resamples=999, rng=np.random.default_rng(5)
        )
        assert difference.p_value == pytest.approx(swapped.pvalue, abs=0.04)
    assert found.wilcoxon == pytest.approx(stats.wilcoxon(*errors).pvalue)
    assert found.mae.p_value < 0.05 < found.f1["4"].p_value, "the comparison would be of nothing"


def test_few_images_use_all_permutations() -> None:
    rng = np.random.default_rng(3)
    pair = rng.normal(size=(2, 5, 3))
    found = permute_means(pair, resamples=32)
    ways = [
        [[pair[way[i] ^ side, i] for i in range(5)] for side in (0, 1)] for way in product((0, 1), repeat=5)
    ]
    expected = np.array(ways).mean(axis=2)  # (32, 2, C)
    assert found[:, 0] == pytest.approx(pair.mean(axis=1))
    order = np.argsort(expected[:, 0, 0]), np.argsort(found[0, :, 0])
    assert found[:, order[1]] == pytest.approx(expected[order[0]].transpose(1, 0, 2))
    assert permute_means(pair, resamples=31).shape == (2, 32, 3), "31 drawn, and none at all"


def test_a_system_that_is_always_better_has_the_least_p() -> None:
    (found,) = compare({"better": _report([0] * 5), "worse": _report([3] * 5)}, resamples=99)
    assert (found.mae.value, found.mae.low, found.mae.high) == (-3, -3, -3)
    assert found.mae.p_value == found.rmse.p_value == 2 / 2**5
    assert found.wilcoxon == 2 / 2**5


def test_rounding_does_not_decide_what_is_as_large() -> None:
    """Thirds and sevenths are not exact in float64; the p-value is that of whole numbers."""
    for first, second in (([2, 5, 3], [0, 4, 4]), ([4, 0, 5, 3, 2, 0, 4], [2, 1, 1, 1, 0, 3, 0])):
        gaps = np.array(first) - second
        signs = np.array(list(product((1, -1), repeat=len(gaps))))
        expected = np.mean(np.abs(signs @ gaps) >= abs(gaps.sum()))
        (found,) = compare({"a": _report(first), "b": _report(second)})
        assert found.mae.p_value == expected


def test_equal_systems_do_not_differ() -> None:
    report = _report([0, -2, 1])
    for found in compare({"a": report, "b": report, "c": report}, resamples=50):
        for difference in (found.mae, found.rmse, found.f1["4"]):
            assert difference.model_dump() == {"value": 0, "low": 0, "high": 0, "p_value": 1}
        assert found.wilcoxon == 1


def test_every_two_are_compared_and_the_order_of_images_does_not_matter() -> None:
    a, b = _report([0, -2, 1]), _report([4, 0, 0])
    backwards = b.model_copy(update={"rows": b.rows[::-1]})
    found = compare({"a": a, "b": b, "b again": backwards}, resamples=50)
    assert [(c.first, c.second) for c in found] == [("a", "b"), ("a", "b again"), ("b", "b again")]
    assert found[0].model_dump(exclude={"second"}) == found[1].model_dump(exclude={"second"})
    assert found[2].wilcoxon == 1
    assert compare({"a": a, "b": b}, resamples=50) == found[:1]


def test_images_without_points_have_no_f1() -> None:
    evaluator = Evaluator((4.0,), ())
    evaluator.update(Points.empty(), Points.empty(), name="1")
    (found,) = compare({"a": evaluator.compute(), "b": evaluator.compute()})
    assert found.f1["4"].model_dump() == {"value": 0, "low": 0, "high": 0, "p_value": 1}


def test_bootstrap_draws_with_replacement_for_all_systems_alike() -> None:
    tables = np.stack((np.eye(4), 2 * np.eye(4)))  # a column an image: the means are shares of it
    first, second = bootstrap_means(tables, 3000)
    assert np.array_equal(2 * first, second)
    assert np.array_equal(first * 4, np.round(first * 4))
    assert first.sum(axis=1) == pytest.approx(np.ones(3000))
    assert first.mean(axis=0) == pytest.approx(np.full(4, 0.25), abs=0.02)
    assert first.var(axis=0) == pytest.approx(np.full(4, 0.25 * 0.75 / 4), rel=0.1)


def test_wilcoxon_drops_equal_images() -> None:
    assert wilcoxon([1, 2, 3, 4], [1, 1, 1, 1]) == stats.wilcoxon([1, 2, 3]).pvalue
    assert wilcoxon([1, 2], [1, 2]) == 1


def test_reports_of_other_images_are_refused() -> None:
    report = _report([0, 1])
    with pytest.raises(
        ValueError, match="b: expected the 2 images of the first report, found 1, 1 in common"
    ):
        compare({"a": report, "b": _report([0])})
    twice = report.model_copy(update={"rows": report.rows[:1] * 2})
    with pytest.raises(ValueError, match="b: expected unique image names"):
        compare({"a": report, "b": twice})
