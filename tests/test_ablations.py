"""The papers' ablation tables: every row is a recipe, and changes what the paper says."""

import numpy as np
import pytest

from crowdpoint.ablations import TABLES, find, get_figure
from crowdpoint.config import load_recipe
from crowdpoint.errors import ConfigError
from crowdpoint.methods.p2pnet.config import P2PNetConfig
from crowdpoint.metrics import Evaluator
from crowdpoint.points import Points


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
    networks: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for table in TABLES.values():
        for row in table.rows:
            networks.setdefault((table.recipe, row.run), set()).add(row.overrides)
    assert all(len(overrides) == 1 for overrides in networks.values())
    assert networks["fidtm-shanghaitech-a", "paper"] == {()}
    assert ("fidtm-shanghaitech-a", "alpha-0.01_beta-0.65") in networks
    assert len(networks) == (1 + 3 + 2 + 2) + 8 + (1 + 1 + 2 + 4)


def test_table_5_keeps_the_number_of_reference_points() -> None:
    """P2PNet, Sec. 4.3: "the total reference points the same"."""
    models = [load_recipe(TABLES["5"].recipe, row.overrides).model for row in TABLES["5"].rows]
    assert all(isinstance(model, P2PNetConfig) for model in models)
    shares = {model.points_per_cell / model.stride**2 for model in models if isinstance(model, P2PNetConfig)}
    assert shares == {1 / 16}


def test_table_12_is_one_training() -> None:
    rows = TABLES["XII"].rows
    assert {row.run for row in rows} == {"paper"}
    assert [row.threshold for row in rows if not row.settings] == [90 / 255, 100 / 255, 110 / 255]
    assert {row.settings for row in rows[:5]} == {("adaptive=false",)}


def test_figures_of_a_report() -> None:
    evaluator = Evaluator()
    truth = Points(np.array([[3, 3], [30, 30]], np.float32), image_size=(60, 60))
    evaluator.update(truth.select(np.array([True, False])), truth)
    report = evaluator.compute()
    figures = ("mae", "rmse", "precision 8", "recall 8", "f1 8")
    assert [get_figure(report, figure) for figure in figures] == [1, 1, 1, 0.5, pytest.approx(2 / 3)]
    assert get_figure(report, "nap mean") is None
    assert get_figure(report, "f1 l") is None, "without boxes"


def test_find() -> None:
    assert find("xii") is TABLES["XII"]
    with pytest.raises(ConfigError, match=r"^7: no such table; expected one of: IX \(alpha and beta"):
        find("7")
