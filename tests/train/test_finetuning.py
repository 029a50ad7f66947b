"""The recipe of a fine-tune, and the size at which it sees large photos."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from tiny_models import info
from tiny_runs import tiny_recipe, write_folder

from crowdpoint import checkpoint, datasets
from crowdpoint.config import load_recipe
from crowdpoint.errors import ConfigError
from crowdpoint.methods.p2pnet.config import P2PNetConfig
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.predict.interval import FEWEST
from crowdpoint.predict.torch import build
from crowdpoint.train.finetuning import HEAD_SIDE, SHORTEST, choose_longest_side, load_plan, plan


class Seeing:
    """A model that finds what it is told, with or without sizes."""

    def __init__(self, found: Points, *, sizes: bool = True) -> None:
        self.info = info(P2PNetConfig(predict_sizes=sizes))
        self._found = found

    def predict(self, image: Any) -> Points:
        return self._found


def seeing(side: float, size: tuple[int, int] = (4000, 3000), *, sizes: bool = True) -> Predictor:
    xy = np.full((3, 2), 50, np.float32)
    found = Points(xy, sizes=np.full((3, 2), side, np.float32), image_size=size)
    return cast(Predictor, Seeing(found, sizes=sizes))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("photos"), images=21)


def test_the_backbone_is_frozen_and_the_recipe_kept(photos: Path) -> None:
    model = tiny_recipe("model.threshold=0.37", "run.protocol=paper", "run.epochs=9", "data.0.max_side=900")
    recipe = plan(model, seeing(20), "folder", photos, ["run.steps=40"])
    assert recipe.optimizer.frozen == ("backbone",)
    assert (recipe.model, recipe.augment) == (model.model, model.augment)
    assert [(part.name, part.max_side) for part in recipe.data] == [("folder", None)]
    assert (recipe.run.steps, recipe.run.validate_every, recipe.run.protocol) == (40, 40, "held-out")


def test_every_pretrained_part_of_hrnet_is_frozen(photos: Path) -> None:
    model = load_recipe("fidtm-shanghaitech-a")
    recipe = plan(model, seeing(20, sizes=False), "folder", photos)
    assert "last_layer" not in recipe.optimizer.frozen
    assert {"conv1", "bn1", "stage4"} <= set(recipe.optimizer.frozen)


def test_few_photos_keep_the_threshold(photos: Path) -> None:
    """Of 21 photos 5 judge."""
    assert not plan(tiny_recipe(), seeing(20), "folder", photos).run.calibrate
    many = f"run.held_out={FEWEST / 21}"
    assert plan(tiny_recipe(), seeing(20), "folder", photos, [many]).run.calibrate
    assert not plan(tiny_recipe(), seeing(20), "folder", photos, [many, "run.calibrate=false"]).run.calibrate


def test_what_a_replaced_section_does_not_name_is_chosen(photos: Path) -> None:
    """Only the very key of an override is the user's."""
    shrunk = round(4000 * HEAD_SIDE / 96)
    recipe = plan(tiny_recipe(), seeing(96), "folder", photos, ["data=[{name: folder}]", "run={steps: 100}"])
    assert recipe.data[0].max_side == shrunk
    assert (recipe.run.calibrate, recipe.run.validate_every) == (False, 100)
    changes = ["data=[{name: folder, max_side: 900}]", "run={steps: 100, calibrate: true}"]
    recipe = plan(tiny_recipe(), seeing(96), "folder", photos, changes)
    assert (recipe.data[0].max_side, recipe.run.calibrate) == (900, True)
    assert (
        plan(tiny_recipe(), seeing(96), "folder", photos, ["data.0.max_side=null"]).data[0].max_side is None
    )


def test_epochs_have_a_last_step(photos: Path) -> None:
    recipe = plan(tiny_recipe(), seeing(20), "folder", photos, ["run.steps=0", "run.epochs=3"])
    assert (recipe.run.steps, recipe.run.validate_every) == (6, 6), "17 photos in batches of 8"


def test_trackers_of_the_model_do_not_record_its_fine_tuning(photos: Path) -> None:
    model = tiny_recipe("run.loggers=[wandb]")
    assert plan(model, seeing(20), "folder", photos).run.loggers == ()
    assert plan(model, seeing(20), "folder", photos, ["run.loggers=[mlflow]"]).run.loggers == ("mlflow",)


def test_a_fine_tune_is_resumed_from_its_own_model(tmp_path: Path) -> None:
    """Whose frozen backbone it has."""
    recipe = tiny_recipe("optimizer.frozen=[backbone]")
    networks = [build(recipe.model) for _ in range(2)]
    for name, network in zip(("model", "other"), networks, strict=True):
        checkpoint.save(tmp_path / name, network.state_dict(), tiny_recipe())
    tuned = {
        name: value if name.startswith("backbone.") else value + 1
        for name, value in networks[0].state_dict().items()
    }
    checkpoint.save(tmp_path / "run" / "last", tuned, recipe)
    assert load_plan(tmp_path / "run", tmp_path / "model") == recipe
    density = load_recipe("fidtm-lite", ["model={method: density, regressor: lite}", "loss={}"])
    checkpoint.save(tmp_path / "density", networks[0].state_dict(), density)
    for name in ("other", "density"):
        with pytest.raises(ConfigError, match=f"run: cannot resume, it was not fine-tuned from .*{name}; "):
            load_plan(tmp_path / "run", tmp_path / name)


@pytest.mark.parametrize(
    ("side", "size", "expected"),
    [
        (30, (4000, 3000), None),
        (96, (4000, 3000), round(4000 * HEAD_SIDE / 96)),
        (96, (3000, 4000), round(4000 * HEAD_SIDE / 96)),
        (900, (4000, 3000), SHORTEST),
    ],
)
def test_photos_are_shrunk_by_the_sizes_of_heads(
    photos: Path, side: float, size: tuple[int, int], expected: int | None
) -> None:
    samples = datasets.load("folder", photos)
    assert choose_longest_side(seeing(side, size), samples) == expected
    assert choose_longest_side(seeing(side, size, sizes=False), samples) is None


def test_boxes_scale_crops_instead(tmp_path: Path) -> None:
    samples = datasets.load("folder", write_folder(tmp_path, images=2, boxes=True))
    assert choose_longest_side(seeing(96), samples) is None


def test_photos_without_heads_are_not_shrunk(photos: Path) -> None:
    nobody = cast(Predictor, Seeing(Points.empty((4000, 3000))))
    assert choose_longest_side(nobody, datasets.load("folder", photos)) is None
