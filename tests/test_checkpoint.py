"""Checkpoints: whole at any moment, and plain words where one is not."""

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import INFO, write_tiny
from tiny_runs import tiny_recipe
from torch import Tensor

from crowdpoint import checkpoint, zoo
from crowdpoint.errors import ConfigError, ModelError, StorageError
from crowdpoint.methods.fidtm.config import FIDTMRecipe
from crowdpoint.predict.torch import build

RECIPE = tiny_recipe()


def weights(value: float) -> dict[str, Tensor]:
    return {"layer.weight": torch.full((2, 3, 4, 4), value).to(memory_format=torch.channels_last)}


def value(folder: Path) -> float:
    return checkpoint.load(folder)[0]["layer.weight"].max().item()


def test_round_trip(tmp_path: Path) -> None:
    state = {"step": 3, "best": float("-inf"), "moments": {0: torch.arange(3)}}
    checkpoint.save(tmp_path / "runs" / "last", weights(1), RECIPE, state)
    found, recipe = checkpoint.load(tmp_path / "runs" / "last")
    assert found.keys() == {"layer.weight"}
    assert torch.equal(found["layer.weight"], torch.ones(2, 3, 4, 4))
    assert recipe == RECIPE
    again = checkpoint.load_state(tmp_path / "runs" / "last")
    assert (again["step"], again["best"]) == (3, float("-inf"))
    assert torch.equal(again["moments"][0], torch.arange(3))
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["last"]


def test_replaces_the_previous_checkpoint(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "last", weights(1), RECIPE, {"step": 1})
    checkpoint.save(tmp_path / "last", weights(2), RECIPE)
    assert value(tmp_path / "last") == 2
    with pytest.raises(ModelError, match=r"last: no state\.pt in it, so no run can resume from it"):
        checkpoint.load_state(tmp_path / "last")
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


@contextmanager
def room(size: int) -> Iterator[None]:
    """Files that grow beyond `size` bytes fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [100, 10_000])
def test_a_full_disk_keeps_the_previous_checkpoint(tmp_path: Path, size: int) -> None:
    """Full at the weights, and at the state behind them."""
    state = {"moments": torch.zeros(100_000)}
    with room(size), pytest.raises(StorageError, match=r"last: the checkpoint cannot be written \(.*\)$"):
        checkpoint.save(tmp_path / "last", weights(1), RECIPE, state)
    assert not list(tmp_path.iterdir())
    checkpoint.save(tmp_path / "last", weights(1), RECIPE, state)
    with room(size), pytest.raises(StorageError, match=r"\); the checkpoint before it is whole$"):
        checkpoint.save(tmp_path / "last", weights(2), RECIPE, state)
    assert value(tmp_path / "last") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


class Killed(BaseException):
    """Stands for a process that ends here."""


@pytest.mark.parametrize("survived", range(8))
@pytest.mark.parametrize("before", ["last", "last.old"])
def test_a_kill_at_any_moment_leaves_a_complete_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: int, before: str
) -> None:
    """Also where an earlier kill fell between the two renames, so that only NAME.old is there."""
    folder = tmp_path / "last"
    checkpoint.save(folder, weights(1), RECIPE, {"step": 1})
    folder.rename(tmp_path / before)
    left = survived

    def mortal(function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patched:
        for place, name in (
            (shutil, "rmtree"),
            (Path, "rename"),
            (Path, "mkdir"),
            (Path, "write_text"),
            (torch, "save"),
            (checkpoint, "save_file"),
        ):
            patched.setattr(place, name, mortal(getattr(place, name)))
        try:
            checkpoint.save(folder, weights(2), RECIPE, {"step": 2})
            died = False
        except Killed:
            died = True
    assert checkpoint.exists(folder)
    step = checkpoint.load_state(folder)["step"]
    assert value(folder) == step
    assert step == 2 if not died else step in (1, 2)
    checkpoint.save(folder, weights(3), RECIPE, {"step": 3})
    assert value(folder) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


def test_deletes_only_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "mine.jpg").write_bytes(b"precious")
    with pytest.raises(
        ModelError, match=r"photos: is in use, and not by a checkpoint; give the name of a new"
    ):
        checkpoint.save(photos, weights(1), RECIPE)
    monkeypatch.chdir(photos)
    with pytest.raises(ModelError, match="is in use"):
        checkpoint.save(Path(), weights(1), RECIPE)
    assert (photos / "mine.jpg").read_bytes() == b"precious"
    (tmp_path / "empty").mkdir()
    checkpoint.save(tmp_path / "empty", weights(1), RECIPE)
    assert value(tmp_path / "empty") == 1


@pytest.mark.parametrize("part", [checkpoint.WEIGHTS, checkpoint.CONFIG])
def test_missing_parts(tmp_path: Path, part: str) -> None:
    checkpoint.save(tmp_path / "last", weights(1), RECIPE)
    (tmp_path / "last" / part).unlink()
    with pytest.raises(ModelError, match=rf"last: no checkpoint there, {part} is missing"):
        checkpoint.load(tmp_path / "last")


def test_no_checkpoint(tmp_path: Path) -> None:
    assert not checkpoint.exists(tmp_path / "last")
    for load in (checkpoint.load, checkpoint.load_state):
        with pytest.raises(ModelError, match="last: no checkpoint there"):
            load(tmp_path / "last")


def test_broken_parts(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "last", weights(1), RECIPE, {"step": 1})
    (tmp_path / "last" / checkpoint.STATE).write_bytes(b"PK no")
    with pytest.raises(ModelError, match=r"state\.pt: not a torch checkpoint: .*; the run cannot be resumed"):
        checkpoint.load_state(tmp_path / "last")
    (tmp_path / "last" / checkpoint.WEIGHTS).write_bytes(b"no")
    with pytest.raises(ModelError, match=r"weights\.safetensors: not a safetensors file"):
        checkpoint.load(tmp_path / "last")
    checkpoint.save(tmp_path / "last", weights(1), RECIPE)
    (tmp_path / "last" / checkpoint.CONFIG).write_text("a: [")
    with pytest.raises(ConfigError, match=r"config\.yaml: not a YAML file"):
        checkpoint.load(tmp_path / "last")
    (tmp_path / "last" / checkpoint.CONFIG).write_text("model: {method: p2pnet, strides: 2}")
    with pytest.raises(ConfigError, match=r"config\.yaml: invalid configuration"):
        checkpoint.load(tmp_path / "last")


def test_state_runs_no_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (tmp_path / "sprung",))

    checkpoint.save(tmp_path / "last", weights(1), RECIPE, {"trap": Trap()})
    with pytest.raises(ModelError, match="not a torch checkpoint"):
        checkpoint.load_state(tmp_path / "last")
    assert not (tmp_path / "sprung").exists()


def test_an_embedded_file_is_a_checkpoint_with_every_weight() -> None:
    weights, recipe = checkpoint.load(zoo.find_checkpoint("fidtm-lite"))
    network = build(recipe.model)
    network.load_state_dict(weights)
    assert isinstance(recipe, FIDTMRecipe)
    for name, tensor in weights.items():
        if tensor.is_floating_point():
            assert torch.equal(tensor, tensor.half().float()), f"{name} is in half precision"


def test_other_onnx_files_are_no_checkpoints(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "tiny.onnx")
    with pytest.raises(ModelError, match=r"tiny\.onnx: holds no recipe; give a checkpoint folder"):
        checkpoint.load(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"tiny\.onnx: not an ONNX model"):
        checkpoint.load(path)
    held = INFO.metadata() | {checkpoint.RECIPE: ":", checkpoint.REST: "AAAA"}
    with pytest.raises(ModelError, match=r"held\.onnx: its weights or its recipe are damaged"):
        checkpoint.load(write_tiny(tmp_path / "held.onnx", held))


def test_a_folder_may_be_named_like_a_file(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "run.onnx", weights(1), RECIPE)
    assert checkpoint.load(zoo.find_checkpoint(tmp_path / "run.onnx"))[1] == RECIPE


def test_the_checkpoint_before_an_interrupted_rename_is_a_model(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "best.old", weights(1), RECIPE)
    assert zoo.find_checkpoint(str(tmp_path / "best")) == tmp_path / "best.old"
