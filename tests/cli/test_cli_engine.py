"""`--engine` is the same option wherever a model is run."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import crowdpoint
from PIL import Image
from tiny_runs import tiny_recipe, write_shanghaitech

from crowdpoint import cli
from crowdpoint.predict import Predictor


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", (16, 16), "white").save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def _checkpoint(folder: Path) -> Path:
    from crowdpoint import checkpoint
    from crowdpoint.predict.torch import build

    recipe = tiny_recipe()
    checkpoint.save(folder / "run", build(recipe.model).state_dict(), recipe)
    return folder / "run"


@pytest.mark.parametrize("name", ["engine", "device", "precision"])
@pytest.mark.parametrize("command", ["predict", "batch", "evaluate", "video", "serve", "bench"])
def test_every_command_that_runs_a_model_has_it(command: str, name: str) -> None:
    (option,) = (each for each in cli.load_command(command).params if each.name == name)
    assert (option.opts, option.default) == ([f"--{name}"], None)


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_predict(engine: str, tiny: Path, photo: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed: pip install -e '.[openvino]'")
    outcome = crowdpoint("predict", photo, "--model", tiny, "--engine", engine, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert json.loads(outcome.out)["count"] == 4


def test_evaluate_of_an_openvino_file(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed: pip install -e '.[openvino]'")
    from crowdpoint.predict.openvino import convert

    convert(tiny.read_bytes(), tmp_path / "own.xml")
    data = write_shanghaitech(tmp_path / "data", 2, "test")
    common = ("--data", data, "--dataset", "shanghaitech-a", "--json")
    by_onnx, by_openvino, own = (
        json.loads(crowdpoint("evaluate", *model, *common).out) | {"seconds": 0}
        for model in ((tiny,), (tiny, "--engine", "openvino"), (tmp_path / "own.xml",))
    )
    assert by_onnx == by_openvino == own
    assert by_onnx["images"] == 2


def test_torch_runs_checkpoints(tiny: Path, photo: Path, tmp_path: Path) -> None:
    outcome = crowdpoint("predict", photo, "--model", _checkpoint(tmp_path), "--engine", "torch", "--json")
    assert (outcome.code, json.loads(outcome.out)["model"]) == (0, "run")
    folder = (tmp_path / "run").rename(tmp_path / "my run")
    refused = crowdpoint("predict", photo, "--model", folder, "--engine", "onnx")
    assert refused.code == 2
    assert (
        "my run: a checkpoint folder, but onnx runs .onnx files; write one with "
        f"`crowdpoint export '{folder}' --to" in refused.err
    )
    refused = crowdpoint("predict", photo, "--model", tiny, "--engine", "torch")
    assert refused.code == 2
    assert "tiny.onnx: an .onnx file, but torch runs checkpoints; give the checkpoint folder" in refused.err


@pytest.mark.parametrize("command", ["crossvalidate", "ablate"])
def test_training_commands_evaluate_on_the_device_of_the_training(command: str) -> None:
    options = {option for each in cli.load_command(command).params for option in each.opts}
    assert "--accelerator" in options
    assert "--device" not in options


def test_evaluate_reports_device_and_precision(tiny: Path, tmp_path: Path) -> None:
    run = _checkpoint(tmp_path)
    data = write_shanghaitech(tmp_path / "data", 2, "test")
    common = ("--data", data, "--dataset", "shanghaitech-a", "--device", "cpu")
    for model, options, precision in (
        (tiny, (), "fp32"),
        (run, (), "fp32"),
        (run, ("--precision", "bf16"), "bf16"),
    ):
        report = json.loads(crowdpoint("evaluate", model, *common, *options, "--json").out)
        assert (report["device"], report["precision"]) == ("cpu", precision)
    table = crowdpoint("evaluate", run, *common, "--precision", "bf16").out
    assert "Inference" in table
    assert "bf16" in table


@pytest.mark.parametrize("command", ["predict", "batch", "evaluate", "video", "serve"])
@pytest.mark.parametrize(
    ("options", "found"), [(("--device", "cuda"), "cuda"), (("--precision", "bf16"), "bf16")]
)
def test_only_torch_has_other_devices_and_precisions(
    command: str, options: tuple[str, str], found: str, tiny: Path, photo: Path, tmp_path: Path
) -> None:
    outcome = crowdpoint(*_running(command, tiny, photo, tmp_path), *options)
    assert outcome.code == 2
    assert f"tiny.onnx: onnx runs it on the CPU in fp32, found {found}; the engine torch" in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["predict", "batch", "evaluate", "video", "serve"])
def test_without_a_gpu(command: str, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    outcome = crowdpoint(*_running(command, _checkpoint(tmp_path), photo, tmp_path), "--device", "cuda")
    assert outcome.code == 2
    assert "run: expected a GPU for the device cuda, found none" in outcome.err
    assert "choose cpu, or install a CUDA build of torch" in outcome.err
    assert not (tmp_path / "out").exists()


def _running(command: str, model: Path, photo: Path, folder: Path) -> tuple[str | Path, ...]:
    """Return the arguments that let a command run a model."""
    if command == "evaluate":
        data = write_shanghaitech(folder / "data", 2, "test")
        return command, model, "--data", data, "--dataset", "shanghaitech-a"
    sources = (photo,) if command in ("predict", "video") else (photo, folder / "out")
    return command, *(() if command == "serve" else sources), "--model", model


def test_a_batch_loads_its_model_in_its_precision_everywhere(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="PyArrow is not installed: pip install -e '.[batch]'")
    from crowdpoint.batch.model import PortableModel

    run = str(_checkpoint(tmp_path))
    model = PortableModel.inspect(run, device="cpu", precision="bf16")
    loaded = model.load(threads=1)
    assert (loaded.device, loaded.precision) == ("cpu", "bf16")
    assert not model.uses_gpus
    assert PortableModel.inspect(run).uses_gpus
    assert PortableModel.inspect("p2pnet-lite", "torch").uses_gpus
    assert not PortableModel.inspect("p2pnet-lite", "torch", device="cpu").uses_gpus
    assert not PortableModel.inspect("p2pnet-lite").uses_gpus


def test_a_batch_records_its_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow", reason="PyArrow is not installed: pip install -e '.[batch]'")
    from torch import nn

    from crowdpoint.batch.model import PortableModel
    from crowdpoint.predict.torch import TorchEngine

    run = str(_checkpoint(tmp_path))
    assert PortableModel.inspect(run).to_record()["precision"] == "fp32"
    assert PortableModel.inspect(run, precision="bf16").to_record()["precision"] == "bf16"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(nn.Module, "to", lambda self, *place, **options: self)  # there is no GPU
    assert isinstance(Predictor.load(run)._engine, TorchEngine)
    model = PortableModel.inspect(run)
    assert model.to_record()["precision"] == model.load(threads=1).precision == "fp16"


def test_predict_in_another_precision(photo: Path, tmp_path: Path) -> None:
    run = _checkpoint(tmp_path)
    common = ("predict", photo, "--model", run, "--threshold", 0, "--device", "cpu", "--json")
    full, same, rounded = (
        json.loads(crowdpoint(*common, *options).out)["points"]
        for options in ((), ("--precision", "fp32"), ("--precision", "bf16"))
    )
    assert full == same
    assert full != rounded


@pytest.mark.parametrize("choice", [{"device": "tpu"}, {"precision": "int8"}])
def test_an_unknown_device_or_precision(choice: dict[str, Any]) -> None:
    (name,) = choice
    with pytest.raises(ValueError, match=f"{name}: expected one of .*, found '{choice[name]}'"):
        Predictor.load("p2pnet-lite", **choice)


def test_an_unknown_engine(tiny: Path, photo: Path) -> None:
    outcome = crowdpoint("predict", photo, "--model", tiny, "--engine", "tensorrt")
    assert outcome.code == 2
    assert "'tensorrt' is not one of 'onnx', 'openvino', 'torch'" in " ".join(outcome.err.split())


def test_without_openvino(tiny: Path, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "crowdpoint.predict.openvino", raising=False)
    outcome = crowdpoint("predict", photo, "--model", tiny, "--engine", "openvino")
    assert outcome.code == 2
    assert "needs an optional dependency: pip install 'crowdpoint[openvino]'" in outcome.err
