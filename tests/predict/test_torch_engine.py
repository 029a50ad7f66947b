"""The torch engine: what it says of a network, and that it leaves one in training as it was."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from crowdpoint import checkpoint
from crowdpoint.backbones.framing import ImageModel
from crowdpoint.config import load_recipe
from crowdpoint.errors import ConfigError, ModelError
from crowdpoint.predict.torch import TorchEngine, _use_precision, build, describe, load_network
from crowdpoint.recipe import DataConfig, Recipe
from crowdpoint.version import __version__
from crowdpoint.zoo import DeviceName, PrecisionName

SMALL = ("pyramid_channels=8", "head_channels=8", "threshold=0.4")


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe("p2pnet-lite", [f"model.{setting}" for setting in SMALL])


def test_describes_a_network(recipe: Recipe) -> None:
    network = build(recipe.model)
    info = describe(network, recipe, "small")
    assert (info.method.name, info.name, info.config, info.threshold) == (
        "p2pnet",
        "small",
        recipe.model,
        0.4,
    )
    assert info.training_data.startswith("shanghaitech-a, shanghaitech-b, photos, classrooms, ")
    assert info.crowdpoint_version == __version__
    assert info.parameters == sum(p.numel() for p in network.parameters())
    sides = tuple(
        DataConfig(name="folder", path=path, max_side=side) for path, side in (("a", 700), ("b", 900))
    )
    limited = recipe.model_copy(update={"data": sides})
    assert describe(network, limited, "small").max_sides == {"a": 700, "b": 900}


@pytest.mark.parametrize("name", ["p2pnet-lite", "p2pnet-shanghaitech-a"])
def test_counts_macs_as_torch_does(name: str) -> None:
    recipe = load_recipe(name, ["model.head_channels=16"])
    network = build(recipe.model).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 64, 96))
    assert describe(network, recipe, "any").macs_per_pixel == counter.get_total_flops() / 2 / (64 * 96)


def test_counts_transposed_convolutions() -> None:
    class Up(ImageModel):
        def __init__(self) -> None:
            super().__init__(alignment=8)
            self.down = torch.nn.Conv2d(3, 6, 3, stride=2, padding=1)
            self.up = torch.nn.ConvTranspose2d(6, 4, 4, stride=2, padding=1, groups=2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raised: torch.Tensor = self.up(self.down(self.frame(images)))
            return raised

    # Per pixel: a quarter of the 6 x 3 x 3 x 3 weights, and a quarter of the 6 x 2 x 4 x 4.
    assert describe(Up(), load_recipe("p2pnet-lite"), "up").macs_per_pixel == 162 / 4 + 192 / 4


def test_a_run_keeps_the_mode_of_a_network(recipe: Recipe) -> None:
    network = build(recipe.model).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    engine = TorchEngine(network, describe(network, recipe, "small"))
    outputs = engine.run(np.random.default_rng(0).uniform(0, 255, (1, 3, 40, 40)).astype(np.float32))
    assert outputs["points"].shape == (1, 100, 2)
    assert outputs["scores"].shape == (1, 100)
    assert all(module.training for module in network.modules())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("name", ["p2pnet-lite", "fidtm-lite"])
def test_half_precision_returns_float32(name: str) -> None:
    """Of coordinates near 4096, bfloat16 would leave steps of 16 to 32 pixels."""
    torch.manual_seed(0)
    recipe = load_recipe(name)
    network = build(recipe.model).eval()
    layer = network.get_submodule("pyramid.merge")
    seen: list[torch.dtype] = []
    layer.register_forward_hook(lambda *call: seen.append(call[-1].dtype))
    info = describe(network, recipe, name)
    image = np.random.default_rng(0).uniform(0, 255, (1, 3, 32, 4100)).astype(np.float32)
    wanted = TorchEngine(network, info).run(image)
    seen.clear()
    found = TorchEngine(network, info, "bf16").run(image)
    assert seen == [torch.bfloat16]
    for output, values in wanted.items():
        assert found[output].dtype == np.float32
        np.testing.assert_allclose(found[output], values, rtol=0, atol=0.02 if output == "points" else 1e-2)
    if "points" in wanted:
        assert wanted["points"][..., 0].max() > 4090


@pytest.fixture
def small(recipe: Recipe, tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "small", build(recipe.model).state_dict(), recipe)
    return tmp_path / "small"


def test_device_and_precision_are_those_requested(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (TorchEngine.load(small).device, TorchEngine.load(small).precision) == ("cpu", "fp32")
    halved = TorchEngine.load(small, precision="bf16")
    assert halved.precision == "bf16"
    seen: list[bool] = []
    halved._network.register_forward_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    halved.run(np.zeros((1, 3, 32, 32), np.float32))
    assert seen == [True]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="small: expected a GPU for the device cuda, found none"):
        TorchEngine.load(small, device="cuda")


@pytest.mark.parametrize(
    ("asked", "placed"),
    [
        ((None, None), ("cuda", "fp16")),
        ((None, "fp32"), ("cuda", "fp32")),
        (("cuda", "bf16"), ("cuda", "bf16")),
        (("cpu", None), ("cpu", "fp32")),
    ],
)
def test_defaults_with_a_gpu(
    asked: tuple[DeviceName | None, PrecisionName | None],
    placed: tuple[DeviceName, PrecisionName],
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def to(network: ImageModel, device: str, **_: object) -> ImageModel:
        moved.append(device)
        return network

    monkeypatch.setattr(ImageModel, "to", to)
    engine = TorchEngine.place(build(recipe.model), recipe, "small", None, *asked)
    assert (moved[0], engine.precision) == placed


def test_fp32_on_a_gpu_is_not_tf32() -> None:
    cudnn = torch.backends.cudnn
    assert cudnn.allow_tf32, "torch's default"
    for device, precision, allowed in (("cuda", "fp32", False), ("cpu", "fp32", True), ("cpu", "bf16", True)):
        with _use_precision(device, precision):  # type: ignore[arg-type]
            assert cudnn.allow_tf32 == allowed
            assert cudnn.enabled
    assert cudnn.allow_tf32


def test_loads_a_checkpoint(small: Path) -> None:
    network, recipe = load_network(small)
    engine = TorchEngine.load(small, threads=torch.get_num_threads())
    assert engine.info == describe(network, recipe, "small")
    image = np.random.default_rng(0).uniform(0, 255, (1, 3, 40, 33)).astype(np.float32)
    with torch.inference_mode():
        points, scores, _ = network(torch.from_numpy(image))
    found = engine.run(image)
    np.testing.assert_allclose(found["points"], points, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found["scores"], scores, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="threads: expected at least 1, found 0"):
        TorchEngine.load(small, threads=0)


@pytest.mark.parametrize("setting", ["float16", "float64", "meta", "autocast"])
def test_the_programs_settings_of_torch_change_no_result(setting: str, small: Path) -> None:
    image = np.random.default_rng(0).uniform(0, 255, (1, 3, 40, 33)).astype(np.float32)
    expected, state = TorchEngine.load(small).run(image), torch.get_rng_state()
    try:
        if setting == "meta":
            torch.set_default_device("meta")
        elif setting != "autocast":
            torch.set_default_dtype(getattr(torch, setting))
        before = torch.get_default_dtype(), torch.get_default_device()
        with torch.autocast("cpu", torch.bfloat16, enabled=setting == "autocast"):
            found = TorchEngine.load(small).run(image)
        assert (torch.get_default_dtype(), torch.get_default_device()) == before
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), state)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_the_threads_of_a_model_are_those_of_its_runs(small: Path) -> None:
    before = torch.get_num_threads()
    engine = TorchEngine.load(small, threads=before + 1)
    seen: list[int] = []
    engine._network.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    engine.run(np.zeros((1, 3, 32, 32), np.float32))
    assert (seen, torch.get_num_threads()) == ([before + 1], before)


def test_a_checkpoint_with_a_version_in_its_name(small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "crowd-v1.5")
    assert TorchEngine.load(folder).info.name == "crowd-v1.5"


def test_refuses_weights_of_another_network(recipe: Recipe, tmp_path: Path) -> None:
    wider = load_recipe("p2pnet-lite", ["model.pyramid_channels=16", "model.head_channels=8"])
    checkpoint.save(tmp_path / "mixed", build(recipe.model).state_dict(), wider)
    with pytest.raises(ModelError, match=r"mixed: the weights of a checkpoint.*of another shape"):
        load_network(tmp_path / "mixed")
    (tmp_path / "mixed" / "config.yaml").write_text("model: {method: magic}")
    with pytest.raises(
        ConfigError, match=r"config\.yaml: model\.method: expected one of p2pnet, fidtm, density, found magic"
    ):
        load_network(tmp_path / "mixed")


def test_evaluate_knows_the_limit_that_all_folders_share(recipe: Recipe) -> None:
    parts = tuple(DataConfig(name="folder", path=path, max_side=700) for path in ("a", "b"))
    network = build(recipe.model)
    info = describe(network, recipe.model_copy(update={"data": parts}), "small")
    assert info.max_sides == {"a": 700, "b": 700, "folder": 700}
