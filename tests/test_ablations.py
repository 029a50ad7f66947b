"""The papers' ablation tables: every row is a recipe, and changes what the paper says."""

import numpy as np
import pytest

from crowdpoint.ablations import TABLES, find, get_figure, plan
from crowdpoint.config import load_recipe
from crowdpoint.errors import ConfigError
from crowdpoint.methods.density.config import DensityConfig, DensityLossConfig
from crowdpoint.methods.fidtm.config import FIDTMConfig, FIDTMLossConfig
from crowdpoint.methods.p2pnet.config import P2PNetConfig
from crowdpoint.metrics import Evaluator
from crowdpoint.points import Points
from crowdpoint.recipe import Recipe


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_all_figures(name: str) -> None:
    table = TABLES[name]
    for row in table.rows:
        assert len(row.labels) == len(table.columns)
        assert len(row.published) == len(table.figures)
        load_recipe(table.recipe, row.overrides)
    recipes = [(load_recipe(table.recipe, row.overrides), row.settings, row.threshold) for row in table.rows]
    assert all(one != other for i, one in enumerate(recipes) for other in recipes[:i]), "rows that are alike"


def test_a_network_has_one_folder_in_all_tables() -> None:
    """So that it is trained once; and no two networks share one."""
    networks: dict[tuple[str, str], Recipe] = {}
    for table in TABLES.values():
        for _, recipe, run in plan(table, table.recipe):
            assert networks.setdefault((table.recipe, run), recipe) == recipe
    assert networks["fidtm-shanghaitech-a", "unchanged"] == load_recipe("fidtm-shanghaitech-a")
    assert ("fidtm-shanghaitech-a", "alpha-0.01_beta-0.65") in networks
    assert len(networks) == (1 + 3 + 2 + 2) + 8 + (1 + 1 + 2 + 4)


def test_table_5_keeps_the_number_of_reference_points() -> None:
    """P2PNet, Sec. 4.3: "the total reference points the same"."""
    models = [load_recipe(TABLES["5"].recipe, row.overrides).model for row in TABLES["5"].rows]
    assert all(isinstance(model, P2PNetConfig) for model in models)
    shares = {model.points_per_cell / model.stride**2 for model in models if isinstance(model, P2PNetConfig)}
    assert shares == {1 / 16}


@pytest.mark.parametrize("recipe", ["p2pnet-lite", "fidtm-lite"])
def test_settings_that_the_decoder_lacks_show_before_the_training(recipe: str) -> None:
    overrides = ["model={method: density, regressor: lite}", "loss={}"] if recipe == "fidtm-lite" else []
    with pytest.raises(ConfigError, match=f"^FIDTM, Table XII on {recipe}: no such setting: adaptive; "):
        plan(TABLES["XII"], recipe, overrides)


def test_table_12_is_one_training() -> None:
    plans = plan(TABLES["XII"], "fidtm-shanghaitech-a")
    assert {run for _, _, run in plans} == {"unchanged"}
    rows = [row for row, _, _ in plans]
    assert [row.threshold for row in rows[5:]] == [90 / 255, 100 / 255, 110 / 255]
    assert [row.settings for row in rows] == [("adaptive=false",)] * 5 + [("adaptive=true",)] * 3


@pytest.mark.parametrize(
    ("table", "recipe", "overrides"),
    [
        *(("5", "p2pnet-lite", []), ("6", "p2pnet-lite", []), ("6", "p2pnet-ucf-qnrf", [])),
        ("6", "p2pnet-shanghaitech-a", ["model.points_per_cell=16"]),
        ("X", "fidtm-lite", ["loss.independent_weight=0"]),
        ("XI", "fidtm-lite", ["loss.independent_weight=0"]),
        *(
            (table, recipe, [])
            for table in ("X", "XI", "XIV")
            for recipe in ("fidtm-lite-9", "fidtm-ucf-qnrf")
        ),
        ("XIV", "p2pnet-lite-8", []),
        ("XIV", "fidtm-lite", ["model={method: density, regressor: lite, sigma: 4}", "loss={}"]),
    ],
)
def test_rows_are_what_their_labels_say_on_any_recipe(table: str, recipe: str, overrides: list[str]) -> None:
    plans = plan(TABLES[table], recipe, overrides)
    assert len({run for _, _, run in plans}) == len(plans)
    for number, (_, changed, _) in enumerate(plans):
        model, loss = changed.model, getattr(changed, "loss", None)
        if isinstance(model, P2PNetConfig):
            if table == "5":
                assert model.stride == (4, 8, 16)[number]
            assert model.points_per_cell == {"5": (1, 4, 16), "6": (1, 4, 8, 12, 16)}[table][number]
        elif table == "XIV":
            kinds = (DensityConfig, FIDTMConfig)
            regressor = ("csrnet", "csrnet-fpn", "bl", "bl-fpn")[number // 2]
            assert model == kinds[number % 2].model_validate({"regressor": regressor})
            assert changed.optimizer.frozen == ()
            only = {"ssim_weight": 0, "independent_weight": 0}
            assert loss == (FIDTMLossConfig.model_validate(only) if number % 2 else DensityLossConfig())
        else:
            assert isinstance(loss, FIDTMLossConfig)
            assert (loss.peak_weight, loss.size_weight) == (0, 0)
            weights = [(0, 0), (1, 0), (0, 1)] if table == "X" else [(0, 1)] * 3
            assert (loss.ssim_weight, loss.independent_weight) == weights[number]
            assert table == "X" or loss.window == (20, 30, 40)[number]


def test_table_4_needs_several_reference_points() -> None:
    with pytest.raises(
        ConfigError, match=r"^P2PNet, Table 4 on p2pnet-lite: expected model\.points_per_cell above"
    ):
        plan(TABLES["4"], "p2pnet-lite")
    assert len({run for _, _, run in plan(TABLES["4"], "p2pnet-lite", ["model.points_per_cell=4"])}) == 2


def test_figures_of_a_report() -> None:
    evaluator = Evaluator()
    truth = Points(np.array([[3, 3], [30, 30]], np.float32), image_size=(60, 60))
    evaluator.update(truth.select(np.array([True, False])), truth)
    report = evaluator.compute()
    figures = ("mae", "rmse", "precision 8", "recall 8", "f1 8")
    assert [get_figure(report, figure) for figure in figures] == [1, 1, 1, 0.5, pytest.approx(2 / 3)]
    assert get_figure(report, "nap mean") is None
    report = evaluator.compute(device="cpu", precision="fp32")
    assert get_figure(report, "f1 l") is get_figure(report, "precision l") is None, "without boxes"


def test_find() -> None:
    assert find("xii") is TABLES["XII"]
    with pytest.raises(ConfigError, match=r"^7: no such table; expected one of: IX \(alpha and beta"):
        find("7")
