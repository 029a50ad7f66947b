import itertools
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest

from crowdpoint import zoo
from crowdpoint.config import load_recipe
from crowdpoint.errors import ModelError
from crowdpoint.methods import METHODS
from crowdpoint.methods.fidtm.config import FIDTMConfig

NAMES = [model.name for model in zoo.list_models()]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that ships weights for p2pnet-lite alone."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "p2pnet-lite.onnx").touch()
    monkeypatch.setattr(zoo, "WEIGHTS", folder)
    return folder


def test_names(weights: Path) -> None:
    regressors = ("hrnet-w48", "csrnet", "csrnet-fpn", "bl", "bl-fpn")
    assert ["p2pnet-lite", "fidtm-lite", "p2pnet-vgg16", *(f"fidtm-{name}" for name in regressors)] == NAMES
    assert [model.name for model in zoo.list_models() if model.embedded] == ["p2pnet-lite"]


def test_an_embedded_name(weights: Path) -> None:
    assert zoo.resolve("p2pnet-lite") == weights / "p2pnet-lite.onnx"


@pytest.mark.parametrize("name", NAMES)
def test_names_without_weights_say_how_to_get_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    with pytest.raises(ModelError, match=f"{name}: no weights are embedded; train it with `crowdpoint train"):
        zoo.resolve(name)


def test_paths(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.onnx"
    model.touch()
    checkpoint = tmp_path / "p2pnet-lite"
    checkpoint.mkdir()
    for name in ("weights.safetensors", "config.yaml"):
        (checkpoint / name).touch()
    assert zoo.resolve(model) == zoo.resolve(str(model)) == model
    monkeypatch.chdir(tmp_path)
    assert zoo.resolve("p2pnet-lite") == weights / "p2pnet-lite.onnx"
    assert zoo.resolve(Path("p2pnet-lite")) == Path("p2pnet-lite")
    assert zoo.resolve("./p2pnet-lite") == Path("p2pnet-lite")
    (tmp_path / "p2pnet-lite" / "model.onnx").touch()
    assert zoo.resolve("./p2pnet-lite") == Path("p2pnet-lite"), "a checkpoint goes first"
    assert zoo.resolve(tmp_path) == model, "the only file of a folder"
    (tmp_path / "other.onnx").touch()
    with pytest.raises(ModelError, match="not a checkpoint"):
        zoo.resolve(tmp_path)


def test_other_paths_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").touch()
    with pytest.raises(ModelError, match=r"not a checkpoint; expected a folder with .* and config\.yaml"):
        zoo.resolve(tmp_path)
    (tmp_path / "model.pth").touch()
    with pytest.raises(
        ModelError, match=r"model\.pth: not a model; expected an \.onnx or \.xml file, or a ch"
    ):
        zoo.resolve(tmp_path / "model.pth")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("p2pnet-light", "did you mean p2pnet-lite"),
        ("yolo", "known names: p2pnet-lite, fidtm-lite, p2pnet-vgg16"),
        ("runs/none.onnx", "known names"),
    ],
)
def test_unknown_names(name: str, hint: str) -> None:
    with pytest.raises(ModelError, match=f"{name}: no such model, file or folder; {hint}"):
        zoo.resolve(name)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a model of every kind, empty."""
    for name in ("model.onnx", "model.xml"):
        (tmp_path / name).touch()
    (tmp_path / "run").mkdir()
    for name in ("weights.safetensors", "config.yaml"):
        (tmp_path / "run" / name).touch()
    return tmp_path


RUNS = {"model.onnx": ("onnx", "openvino"), "model.xml": ("openvino",), "run": ("torch",)}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("engine", get_args(zoo.EngineName))
def test_engines_of_each_file(name: str, engine: zoo.EngineName, files: Path) -> None:
    path = files / name
    assert zoo.list_engines(path) == RUNS[name]
    assert zoo.resolve(path) == path
    if engine in RUNS[name]:
        assert zoo.resolve(path, engine) == path
        return
    export = f"`crowdpoint export .* --to {engine} --out model\\.(onnx|xml)`$"
    advice = "give the checkpoint folder that the file was" if engine == "torch" else export
    with pytest.raises(ModelError, match=f"{name}: an? .*, but {engine} runs .*; .*{advice}"):
        zoo.resolve(path, engine)


def test_an_embedded_model_has_a_checkpoint_for_torch() -> None:
    file = zoo.WEIGHTS / "fidtm-lite.onnx"
    assert zoo.resolve("fidtm-lite", "onnx") == zoo.resolve("fidtm-lite", "openvino") == file
    assert zoo.resolve("fidtm-lite", "torch") == zoo.find_checkpoint("fidtm-lite") == file


def test_a_version_in_the_name_of_a_folder_is_no_extension(tmp_path: Path) -> None:
    (tmp_path / "crowd-v1.5").mkdir()
    assert zoo.name_weights(tmp_path / "crowd-v1.5") == "crowd-v1.5"
    assert zoo.name_weights(tmp_path / "crowd-v1.5.onnx") == "crowd-v1.5"


def test_an_unknown_engine() -> None:
    with pytest.raises(ValueError, match="engine: expected one of onnx, openvino, torch, found 'tensorrt'"):
        zoo.resolve("p2pnet-lite", "tensorrt")  # type: ignore[arg-type]


def test_parameters_are_those_of_the_networks() -> None:
    import torch

    from crowdpoint.predict.torch import build

    for model in zoo.list_models():
        with torch.device("meta"):
            network = build(load_recipe(model.recipe, model.overrides).model)
        assert sum(parameter.numel() for parameter in network.parameters()) == model.parameters, model.name


def test_advice_has_a_complete_training_command() -> None:
    """The command's overrides are those that make the network; it is parsed as the command line does."""
    for model in zoo.list_models():
        words = shlex.split(re.findall("`crowdpoint train ([^`]*)`", model.advice)[0])
        assert words[:3] == [model.recipe, "--data", "DIR"]
        overrides = [word for option, word in itertools.pairwise(words) if option == "--set"]
        recipe = load_recipe(words[0], overrides)
        assert recipe == load_recipe(model.recipe, model.overrides)
        assert recipe.model.method == model.method
        if isinstance(recipe.model, FIDTMConfig):
            assert model.name == f"fidtm-{recipe.model.regressor}"


def test_importable_models_are_those_with_official_weights() -> None:
    known = {method.official.model for method in METHODS.values() if method.official}
    assert {model.name for model in zoo.list_models() if model.importable} == known
