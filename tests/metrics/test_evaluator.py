"""The evaluator's report: its JSON, its rows, and the digits that FIDTM's official evaluation prints."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pages import README

from crowdpoint import formats
from crowdpoint.estimate import Estimate
from crowdpoint.metrics import Evaluator, find_true_positives, precision_recall
from crowdpoint.points import Points

OFFICIAL = {
    "A": {
        "mae": 57.0109890110,
        "rmse": 103.3568979394,
        "nae": 0.1235820127,
        "4": 0.5869420981,
        "8": 0.7760099012,
    },
    "B": {
        "mae": 7.0253164557,
        "rmse": 11.9129224592,
        "nae": 0.0565366617,
        "4": 0.6465042400,
        "8": 0.8353956908,
    },
}


@pytest.mark.parametrize("part", OFFICIAL)
def test_fidtm_points_give_the_official_digits(shared_data: Path, part: str) -> None:
    predictions = formats.read(shared_data / "fidtm_points" / f"{part}_pred_fidt.txt")
    truth = formats.read(shared_data / "fidtm_points" / f"{part}_gt.txt")
    evaluator = Evaluator()
    for image, heads in truth.items():
        evaluator.update(predictions[image], heads)
    report = evaluator.compute()
    found = {"mae": report.mae, "rmse": report.rmse, "nae": report.nae}
    found |= {sigma: score.f1 for sigma, score in report.localization.items()}
    assert found == pytest.approx(OFFICIAL[part], abs=1e-6, rel=0)
    assert report.nap is None  # these predictions have no scores
    figures = f"{report.mae:.2f} | {report.rmse:.2f} | {found['4']:.2%} | {found['8']:.2%} | – |".replace(
        "%", " %"
    )
    row = f"| FIDTM, its authors' points | ShanghaiTech {part} | {figures} `crowdpoint score "
    assert row in README.read_text(encoding="utf-8")


def test_the_json_has_exactly_the_published_keys() -> None:
    truth = Points(np.array([(10.0, 10), (30.0, 10), (10.0, 30), (60.0, 60)]))
    candidates = Points(truth.xy + np.float32(3), np.array([0.9, 0.8, 0.6, 0.3]))
    evaluator = Evaluator()
    evaluator.update(candidates.threshold(0.5), truth, candidates, name="IMG_1")
    report = evaluator.compute(seconds=2.5)
    exact = {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    near = {"precision": 1.0, "recall": 0.75, "f1": 6 / 7}
    # All are 4.24 px off, and d_kNN is 36.9, 35.5, 35.5 and 62.4 px: at delta 0.10 only the last head is
    # near enough, for the fourth prediction (AP 1/4 x 1/4), and from 0.15 on all of them.
    nap = {"0.05": 0.0, "0.25": 1.0, "0.5": 1.0, "mean": pytest.approx((1 / 16 + 8) / 10)}
    assert report.model_dump(mode="json") == {
        "images": 1,
        "mae": 1.0,
        "rmse": 1.0,
        "nae": 0.25,
        "localization": {"4": exact, "8": near},
        "nap": nap,
        "seconds": 2.5,
    }
    (row,) = report.rows
    assert (row.name, row.predicted, row.true, row.matched) == ("IMG_1", 3, 4, {"4": 0, "8": 3})


def test_counting_and_f1_see_the_selected_points_only() -> None:
    truth = Points(np.array([(10.0, 10), (40.0, 10)]))
    candidates = Points(np.array([(10.0, 10), (40.0, 10), (90.0, 90)]), np.array([0.9, 0.4, 0.2]))
    evaluator = Evaluator(deltas=(0.5,))
    evaluator.update(candidates.threshold(0.5), truth, candidates)
    report = evaluator.compute()
    assert report.mae == 1
    assert report.localization["4"].precision == 1
    assert report.nap == {"0.5": 1, "mean": 1}


def test_optional_metrics_are_in_the_json_if_present() -> None:
    """Boxes of 6 x 8 give sigma_s 3 and sigma_l 5 (FIDTM, Eq. 9 and 10), and the areas 48 and 200."""
    truth = Points(
        np.array([(10.0, 10), (50.0, 50)]), sizes=np.array([(6.0, 8), (10.0, 20)]), image_size=(100, 60)
    )
    predictions = Points(np.array([(14.0, 10), (90.0, 50), (91.0, 50)]), np.array([0.9, 0.8, 0.7]))
    evaluator = Evaluator((4.0,), deltas=(), boxes=True, grid=True)
    evaluator.update(predictions, truth, groups={"scene_level": "S1", "luminance": "L2"})
    evaluator.update(Points.empty(), Points.empty((100, 60)), groups={"scene_level": "S0"})
    report = evaluator.compute().model_dump(mode="json")
    assert {key: score["recall"] for key, score in report["localization"].items()} == {
        "4": 0.5,
        "s": 0,
        "l": 0.5,
    }
    assert report["recall_by_head_size"] == {"A1": 1, "A2": 0}
    # Of cells 50 x 30, 25 x 15 and 12.5 x 7.5 the second head's also has the two predictions, not any more,
    # and then the first head's loses its own.
    assert report["game"] == {"0": 0.5, "1": 0.5, "2": 1.5, "3": 2.5}
    assert report["groups"] == {
        "scene_level": {
            "S0": {"images": 1, "mae": 0, "rmse": 0},
            "S1": {"images": 1, "mae": 1, "rmse": 1},
            "average": {"images": 2, "mae": 0.5, "rmse": 0.5},
        },
        "luminance": {
            "L2": {"images": 1, "mae": 1, "rmse": 1},
            "average": {"images": 1, "mae": 1, "rmse": 1},
        },
    }


def test_a_box_of_4_2_pixels_gives_a_sigma_of_2_1() -> None:
    truth = Points(np.array([(10.0, 10)]), sizes=np.array([(4.2, 4.2)]))
    evaluator = Evaluator((2.1,), deltas=(), boxes=True)
    row = evaluator.update(Points(np.array([(12.1, 10)])), truth)
    assert row.matched == {"2.1": 1, "s": 1, "l": 1}


def test_every_head_needs_a_box() -> None:
    evaluator = Evaluator(boxes=True)
    with pytest.raises(ValueError, match="a box for every head"):
        evaluator.update(Points.empty(), Points(np.zeros((1, 2), np.float32)))


def test_a_refused_image_adds_nothing() -> None:
    head = Points(np.full((1, 2), 5.0), sizes=np.full((1, 2), 3.0), image_size=(10, 10))
    once, tried = (Evaluator(boxes=True, grid=True, curves=True) for _ in range(2))
    refused: list[tuple[Points, dict[str, npt.NDArray[np.float64]]]] = [
        (Points(head.xy, image_size=(10, 10)), {}),
        (Points(head.xy, sizes=head.sizes), {}),
        (head, {"own": np.ones(2)}),
        (head, {"own": -np.ones(1)}),
    ]
    for evaluator in (once, tried):
        for truth, own in refused if evaluator is tried else ():
            with pytest.raises(ValueError, match=r"a box|image_size|radius"):
                evaluator.update(head, truth, head_sigmas=own, groups={"level": "S1"}, name="refused")
        evaluator.update(head, head, name="0")
        if evaluator is tried:
            with pytest.raises(ValueError, match="as before"):
                evaluator.update(head, head, head_sigmas={"own": np.ones(1)}, groups={"level": "S1"})
        evaluator.update(Points(head.xy + 3, np.full(1, 0.5)), head, name="1")
    assert tried.compute() == once.compute()


def test_metrics_that_do_not_apply_are_none() -> None:
    evaluator = Evaluator(sigmas=(range(1, 4),), deltas=())
    evaluator.update(Points(np.zeros((2, 2), np.float32), np.array([0.1, 0.9])), Points.empty())
    report = evaluator.compute()
    assert (report.nae, report.nap, report.seconds) == (None, None, None)
    assert list(report.localization) == ["1:3"]


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        Evaluator().compute()


def test_curves_are_of_the_same_matching_as_the_table() -> None:
    """Candidates of any score count: those that a chart would leave out can claim a head, too."""
    rng = np.random.default_rng(3)
    evaluator, scores, hits, heads = Evaluator(curves=True), [], [], 0
    for image in range(4):
        truth = Points(rng.uniform(0, 60, (12, 2)).astype(np.float32))
        ranks = (rng.integers(0, 30, 90) / 100).astype(np.float32)
        candidates = Points(rng.uniform(0, 60, (90, 2)).astype(np.float32), ranks)
        evaluator.update(candidates.threshold(0.2), truth, candidates, name=f"{image}")
        scores.append(candidates.scores)
        hits.append(find_true_positives(candidates, truth, [0.5])[0])
        heads += len(truth)
    report = evaluator.compute()
    assert report.curves is not None
    assert report.nap is not None
    assert report.curves.nap is not None
    assert np.mean([*report.curves.nap.values()]) == pytest.approx(report.nap["mean"])
    assert report.curves.nap[0.05] == report.nap["0.05"]
    precision, recall = precision_recall(np.concatenate(scores), np.concatenate(hits), heads)
    rises = np.diff(recall, prepend=0) > 0
    assert report.curves.precision == tuple(precision[rises])
    assert report.curves.recall == tuple(recall[rises])
    for sigma in (4, 8):
        matched = sum(row.matched[f"{sigma}"] for row in report.rows)
        points = sum(row.predicted + row.true for row in report.rows)
        assert 2 * matched / points == report.localization[f"{sigma}"].f1
    assert report.localization.keys() == {"4", "8"}
    assert {f"{sigma}" for sigma in range(1, 21)} <= report.rows[0].matched.keys()
    assert "curves" not in report.model_dump()


def test_predictions_of_one_score_have_one_point_of_the_curve() -> None:
    truth = Points(np.array([(10.0, 10), (30.0, 10)]))
    evaluator = Evaluator(curves=True)
    evaluator.update(Points(np.array([(11.0, 10), (50.0, 50), (29.0, 10)])), truth)
    curves = evaluator.compute().curves
    assert curves is not None
    assert (curves.precision, curves.recall, curves.nap) == ((2 / 3,), (1,), None)


def test_curves_need_their_delta() -> None:
    with pytest.raises(ValueError, match=r"deltas: expected 0\.5 among them"):
        Evaluator(deltas=(), curves=True)


def test_merged_evaluators_equal_one_over_all_images() -> None:
    rng = np.random.default_rng(3)
    parts = [Evaluator(boxes=True, grid=True, curves=True) for _ in range(3)]
    whole, merged = (Evaluator(boxes=True, grid=True, curves=True) for _ in range(2))
    for number, count in enumerate((5, 0, 8, 3, 12)):
        xy = rng.uniform(0, 100, (count + 3, 2)).astype(np.float32)
        sizes = rng.uniform(4, 20, (count, 2)).astype(np.float32)
        truth = Points(xy[:count], sizes=sizes, image_size=(100, 100))
        moved = xy + rng.normal(0, 3, xy.shape).astype(np.float32)
        candidates = Points(moved, rng.uniform(0, 1, len(xy)).astype(np.float32))
        for evaluator in (parts[number % 2], whole):
            evaluator.update(
                candidates.threshold(0.3),
                truth,
                candidates,
                groups={"level": f"S{number % 3}"},
                name=str(number),
            )
    for part in parts:  # the last one is empty
        merged.merge(part)
    once, again = whole.compute(), merged.compute()
    rows = {row.name: row for row in once.rows}
    assert {row.name: row for row in again.rows} == rows
    assert again.curves == once.curves
    found, expected = again.model_dump(), once.model_dump()
    for key in ("images", "localization", "nap", "recall_by_head_size"):
        assert found[key] == expected[key]
    for key in ("mae", "rmse", "nae", "game"):  # sums in another order
        assert found[key] == pytest.approx(expected[key])
    for group, errors in expected["groups"]["level"].items():
        assert found["groups"]["level"][group] == pytest.approx(errors)


def test_a_merged_estimate_has_no_points_to_locate() -> None:
    head = Points(np.full((1, 2), 4, np.float32))
    count = Evaluator()
    count.update(Estimate(np.full((1, 2), 4, np.float32), np.ones(1), (8, 8)), head)
    evaluator = Evaluator()
    evaluator.update(head, head)
    evaluator.merge(count)
    report = evaluator.compute()
    assert (report.images, report.localization, report.nap) == (2, {}, None)
