"""config: recipes, overrides, and complaints that name the key."""

import math
import re
from pathlib import Path
from unittest import mock

import pytest
import yaml

from crowdpoint.config import RECIPES, find_recipe, load_recipe
from crowdpoint.errors import ConfigError
from crowdpoint.methods.density.config import DensityConfig, DensityRecipe
from crowdpoint.methods.fidtm.config import FIDTMRecipe, LMDSConfig
from crowdpoint.methods.p2pnet.config import P2PNetRecipe

SHIPPED = sorted(path.stem for path in RECIPES.glob("*.yaml"))
PAPER = [name for name in SHIPPED if name.startswith("p2pnet-") and "-lite" not in name]


def test_p2pnets_datasets_have_recipes() -> None:
    datasets = ("nwpu-crowd", "shanghaitech-a", "shanghaitech-b", "ucf-cc-50", "ucf-qnrf")
    assert {f"p2pnet-{name}" for name in (*datasets, "lite")} <= set(SHIPPED)
    assert len(PAPER) == len(datasets)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_loads_and_survives_a_checkpoint(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    again = tmp_path / "config.yaml"
    again.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    assert load_recipe(again) == recipe


@pytest.mark.parametrize("name", PAPER)
def test_paper_recipes_have_the_papers_values(name: str) -> None:
    """P2PNet, Sec. 4.1, and the published defaults for what it leaves open."""
    recipe = load_recipe(name)
    assert isinstance(recipe, P2PNetRecipe)
    model, loss, optimizer, augment = recipe.model, recipe.loss, recipe.optimizer, recipe.augment
    assert (model.backbone, model.stride, model.reference_points) == ("vgg16-bn", 8, "grid")
    assert model.points_per_cell == (8 if name == "p2pnet-ucf-qnrf" else 4)
    assert (model.offset_scale, model.threshold, model.gather.radius) == (100, 0.5, 0)
    assert (recipe.assignment.strategy, recipe.assignment.distance_weight) == ("one-to-one", 5e-2)
    assert (loss.background_weight, loss.point_weight, loss.point_norm) == (0.5, 2e-4, "squared")
    assert (optimizer.name, optimizer.rate, optimizer.backbone_rate) == ("adam", 1e-4, 1e-5)
    assert (optimizer.schedule, optimizer.warmup, optimizer.clip) == ("constant", 0, 0.1)
    assert (optimizer.weight_decay, optimizer.ema) == (0, None)
    assert (augment.crop, augment.crops_per_image, augment.scale, augment.flip) == (128, 4, (0.7, 1.3), 0.5)
    assert (augment.dense, augment.color, augment.gray) == (0, 0, 0)
    assert (recipe.run.images, recipe.run.calibrate, recipe.run.precision) == (8, False, "fp32")
    assert [data.name for data in recipe.data] == [name.removeprefix("p2pnet-")]
    cap = {"p2pnet-ucf-qnrf": 1408, "p2pnet-nwpu-crowd": 1920}.get(name)
    assert recipe.data[0].max_side == cap


FIDTM = [name for name in SHIPPED if name.startswith("fidtm-") and "-lite" not in name]


def test_fidtms_datasets_have_recipes() -> None:
    """FIDTM, Sec. IV-B: six of crowds, and one of vehicles."""
    crowds = ("nwpu-crowd", "jhu-crowd++", "ucf-qnrf", "shanghaitech-a", "shanghaitech-b", "ucf-cc-50")
    assert set(FIDTM) == {f"fidtm-{name}" for name in (*crowds, "trancos")}


@pytest.mark.parametrize("name", FIDTM)
def test_fidtms_recipes_have_the_papers_values(name: str) -> None:
    """FIDTM, Sec. IV, and the released code for what it leaves open."""
    recipe = load_recipe(name)
    assert isinstance(recipe, FIDTMRecipe)
    model, loss, optimizer, augment = recipe.model, recipe.loss, recipe.optimizer, recipe.augment
    assert (model.regressor, model.alpha, model.beta) == ("hrnet-w48", 0.02, 0.75)
    assert model.threshold == 100 / 255
    assert model.lmds == LMDSConfig(smooth=name == "fidtm-ucf-qnrf")
    assert (loss.mse_weight, loss.ssim_weight, loss.independent_weight, loss.window) == (1, 0, 1, 30)
    assert (optimizer.name, optimizer.rate, optimizer.backbone_rate) == ("adam", 1e-4, 1e-4)
    assert (optimizer.clip, optimizer.schedule) == (None, "constant")
    crop = 256 if "shanghaitech" in name else 512
    # The authors' 5e-4 stands beside a sum over all pixels of a batch; Adam sees only the ratio.
    assert optimizer.weight_decay * 16 * crop**2 == pytest.approx(5e-4, rel=0.02)
    assert (augment.crop, augment.crops_per_image, augment.scale, augment.flip) == (crop, 1, (1, 1), 0.5)
    assert (recipe.run.images, recipe.run.calibrate) == (16, False)
    dataset = name.removeprefix("fidtm-")
    assert [data.name for data in recipe.data] == [dataset]
    capped = dataset in ("nwpu-crowd", "jhu-crowd++", "ucf-qnrf")
    assert recipe.data[0].max_side == (2048 if capped else None)
    images = {"shanghaitech-a": 270, "shanghaitech-b": 360, "ucf-cc-50": 36, "ucf-qnrf": 1080}
    images |= {"jhu-crowd++": 2272, "nwpu-crowd": 3109, "trancos": 403}
    assert recipe.run.sampling == "passes"
    assert recipe.resolve_steps(images[dataset]).run.steps == math.ceil(3000 * images[dataset] / 16)


def test_steps_come_before_epochs() -> None:
    recipe = load_recipe("p2pnet-shanghaitech-a")
    assert recipe.resolve_steps(300).run.steps == 3500 * 300 // 8
    assert load_recipe("p2pnet-shanghaitech-a", ["run.steps=7"]).resolve_steps(300).run.steps == 7


@pytest.mark.parametrize("name", [*FIDTM, "fidtm-lite"])
def test_a_recipe_of_fidtm_regresses_density_by_one_override(name: str, tmp_path: Path) -> None:
    """Also one with all fields, as checkpoints have; it takes the place of all that the model was."""
    full = tmp_path / "config.yaml"
    full.write_text(yaml.safe_dump(load_recipe(name).model_dump(mode="json")))
    override = "model={method: density, regressor: lite}"
    recipe = load_recipe(name, [override, "model.adaptive=true", "loss={}"])
    assert isinstance(recipe, DensityRecipe)
    assert recipe.model == DensityConfig(regressor="lite", adaptive=True)
    assert (recipe.run, recipe.data) == (load_recipe(name).run, load_recipe(name).data)
    assert load_recipe(full, [override, "loss={}"]).model == DensityConfig(regressor="lite")
    with pytest.raises(ConfigError, match=r"model\.lmds: Extra inputs are not permitted"):
        load_recipe(full, ["model.method=density", "loss={}"])


def test_algorithm_1_can_be_changed_in_a_recipe() -> None:
    recipe = load_recipe("fidtm-shanghaitech-a", ["model.lmds.kernel=5", "model.lmds.adaptive=false"])
    assert isinstance(recipe, FIDTMRecipe)
    assert recipe.model.lmds == LMDSConfig(kernel=5, adaptive=False)
    with pytest.raises(ConfigError, match=r"model\.lmds\.kernel: .*expected an odd number"):
        load_recipe("fidtm-shanghaitech-a", ["model.lmds.kernel=6"])


def test_finds_recipes_by_path_and_by_name(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("data: [{name: folder}]\nmodel: {method: p2pnet}\nrun: {steps: 1}\n")
    assert load_recipe(own).data[0].name == "folder"
    assert find_recipe("p2pnet-lite") == find_recipe("p2pnet-lite.yaml") == RECIPES / "p2pnet-lite.yaml"
    with pytest.raises(
        ConfigError, match=r"^p2pnet-light: no such recipe; give a YAML file or one of: .*p2pnet-lite"
    ):
        load_recipe("p2pnet-light")


@pytest.mark.parametrize(
    "name", ["nowhere/fidtm-lite.yaml", "runs/fidtm-lite", "./fidtm-lite", "fidtm-lite/"]
)
def test_a_path_is_no_name_of_a_shipped_recipe(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as the folder of a run, which has the name of its recipe."""
    (tmp_path / "runs" / "fidtm-lite").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"^{re.escape(name)}: no such recipe; give a YAML file or one of"):
        find_recipe(name)


def test_overrides() -> None:
    recipe = load_recipe(
        "p2pnet-lite",
        [
            "data.1.weight=2",
            "optimizer.rate=1e-4",
            "augment.scale=[0.5, 2]",
            "optimizer.ema=null",
            "model.reference_points=center",
            "assignment.strategy=nearest-head",
        ],
    )
    assert isinstance(recipe, P2PNetRecipe)
    assert recipe.data[1].weight == 2
    assert recipe.data[0] == load_recipe("p2pnet-lite").data[0]
    assert recipe.optimizer.rate == 1e-4, "YAML 1.1 takes 1e-4 for text"
    assert recipe.augment.scale == (0.5, 2)
    assert recipe.optimizer.ema is None
    assert recipe.model.reference_points == "center"
    assert recipe.assignment.strategy == "nearest-head", "a section that the recipe does not mention"


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("run.stepz=3", r"run\.stepz: Extra inputs are not permitted"),
        ("runs.steps=3", r"runs: Extra inputs are not permitted"),
        ("model.stride=5", r"model\.stride: .*4, 8 or 16"),
        ("run.steps=0", r"run: .*expected steps or epochs above 0"),
        ("run.steps=many", r"run\.steps: .*integer"),
        ("augment.flip=1.5", r"augment\.flip: "),
        ("augment.scale=[1.3, 0.7]", r"augment: .*expected 0 < low <= high"),
        ("optimizer.rate=.inf", r"optimizer\.rate: .*finite"),
        ("data=[]", r"data: "),
        ("data.0.fold=6", r"data\.0: .*fold: expected at most 5, as there are folds, found 6"),
        ("data.0.fold=0", r"data\.0\.fold: .*greater than or equal to 1"),
        ("data.9.weight=2", r"^--set data\.9\.weight=2: expected an index from 0 to 8, found 9"),
        ("data.first.weight=2", r"^--set .*expected an index from 0 to 8, found first"),
        ("run.steps.x=1", r"^--set run\.steps\.x=1: steps is a value, not a section"),
        ("run.steps", r"^--set run\.steps: expected key=value"),
        ("=3", r"expected key=value"),
        ("run.steps=[", r"^--set run\.steps=\[: the value is not YAML"),
        ("run.steps=2026-02-30", r"^--set run\.steps=2026-02-30: the value is not YAML"),
    ],
)
def test_bad_overrides(override: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_recipe("p2pnet-lite", [override])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"a: [", r"not a YAML file"),
        (b"\xff\xfe\x00", r"not a YAML file"),
        (b"[" * 5000, r"not a YAML file"),
        (b"a: 2026-02-30", r"not a YAML file"),
        (b"model: {method: []}", r"model\.method: expected one of .*, found \[\]"),
        (b"- 1", r"expected a mapping of sections, found list"),
        (b"", r"expected a mapping of sections, found NoneType"),
        (
            b"run: {steps: 1}\nmodel: {method: p2pnet, strid: 8}",
            r"model\.strid: Extra.*; data: Field required",
        ),
    ],
)
def test_bad_files(tmp_path: Path, text: bytes, complaint: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=complaint) as error:
        load_recipe(path)
    assert str(error.value).startswith(str(path))


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "recipe.yaml"
    path.touch()
    monkeypatch.setattr(Path, "read_text", mock.Mock(side_effect=PermissionError(13, "Permission denied")))
    with pytest.raises(ConfigError, match=r"recipe\.yaml: cannot be read \(Permission denied\)"):
        load_recipe(path)


def test_recipes_are_immutable() -> None:
    recipe = load_recipe("p2pnet-lite")
    with pytest.raises(ValueError, match="frozen"):
        recipe.run.steps = 3  # type: ignore[misc]


def test_folders_have_different_names_in_reports() -> None:
    parts = "data=[{name: folder, path: a/photos}, {name: folder, path: b/photos}]"
    with pytest.raises(ConfigError, match=r"a/photos and b/photos are both called photos in reports"):
        load_recipe("p2pnet-lite", [parts])


def test_one_folder_has_one_name_in_reports() -> None:
    parts = "data=[{name: folder, path: photos}, {name: folder, path: ./photos/, weight: 2}]"
    assert [part.label for part in load_recipe("p2pnet-lite", [parts]).data] == ["photos", "photos"]


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_is_one_of_torch(seed: int) -> None:
    with pytest.raises(ConfigError, match=r"run\.seed"):
        load_recipe("p2pnet-lite", [f"run.seed={seed}"])
