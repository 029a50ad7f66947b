"""The authors' checkpoint: their layout and their network, written out here from its published facts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from crowdpoint import checkpoint
from crowdpoint.config import load_recipe
from crowdpoint.errors import ModelError
from crowdpoint.points import FloatArray
from crowdpoint.predict import Predictor
from crowdpoint.predict.torch import TorchEngine
from crowdpoint.train.official import import_official

State = dict[str, Tensor]

# (pools before it, input channels, output channels) of the convolutions in the four parts of VGG16-BN.
BODIES = {
    1: ((0, 3, 64), (0, 64, 64), (1, 64, 128), (0, 128, 128)),
    2: ((1, 128, 256), (0, 256, 256), (0, 256, 256)),
    3: ((1, 256, 512), (0, 512, 512), (0, 512, 512)),
    4: ((1, 512, 512), (0, 512, 512), (0, 512, 512)),
}
BRANCHES = ("regression", "classification")


def official_state() -> State:
    """Random weights under the authors' names, those that their network never uses included."""
    generator = torch.Generator().manual_seed(7)
    state: State = {}

    def convolution(name: str, inputs: int, outputs: int, kernel: int) -> None:
        shape = (outputs, inputs, kernel, kernel)
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) * (2 / inputs / kernel**2) ** 0.5
        state[f"{name}.bias"] = torch.randn(outputs, generator=generator) * 0.1

    for body, layers in BODIES.items():
        index = 0
        for pools, inputs, outputs in layers:
            index += pools
            convolution(f"backbone.body{body}.{index}", inputs, outputs, 3)
            norm = f"backbone.body{body}.{index + 1}"
            state[f"{norm}.weight"] = torch.rand(outputs, generator=generator) + 0.5
            state[f"{norm}.bias"] = torch.randn(outputs, generator=generator) * 0.1
            state[f"{norm}.running_mean"] = torch.randn(outputs, generator=generator) * 0.1
            state[f"{norm}.running_var"] = torch.rand(outputs, generator=generator) + 0.5
            state[f"{norm}.num_batches_tracked"] = torch.tensor(9)
            index += 3
    for branch in BRANCHES:
        for number in (1, 2, 3, 4):
            convolution(f"{branch}.conv{number}", 256, 256, 3)
        convolution(f"{branch}.output", 256, 8, 3)
        state[f"{branch}.output.weight"] *= 0.1
    for level, inputs in ((5, 512), (4, 512), (3, 256)):
        convolution(f"fpn.P{level}_1", inputs, 256, 1)
        convolution(f"fpn.P{level}_2", 256, 256, 3)
    return state


def official_forward(state: State, image: FloatArray) -> tuple[Tensor, Tensor]:
    """Points and scores of their network on one image (H, W, 3) RGB, of the cells that lie on it."""
    height, width, _ = image.shape
    mean, std = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
    x = ((torch.from_numpy(image) / 255 - mean) / std).permute(2, 0, 1)[None]
    x = F.pad(x, (0, -width % 16, 0, -height % 16))

    def convolve(name: str, x: Tensor, padding: int = 1) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

    maps = {}
    for body, layers in BODIES.items():
        index = 0
        for pools, _, _ in layers:
            if pools:
                x = F.max_pool2d(x, 2)
            index += pools
            x = convolve(f"backbone.body{body}.{index}", x)
            norm = f"backbone.body{body}.{index + 1}"
            mean, var = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
            x = F.relu(F.batch_norm(x, mean, var, state[f"{norm}.weight"], state[f"{norm}.bias"]))
            index += 3
        maps[body] = x
    top = convolve("fpn.P5_1", maps[4], 0).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    merged = convolve("fpn.P4_2", top + convolve("fpn.P4_1", maps[3], 0))
    answers = {}
    for branch in BRANCHES:
        y = F.relu(convolve(f"{branch}.conv2", F.relu(convolve(f"{branch}.conv1", merged))))
        answers[branch] = convolve(f"{branch}.output", y)[0]  # (8, h, w)
    points, scores = [], []
    for row in range(-(-height // 8)):
        for column in range(-(-width // 8)):
            offsets = answers["regression"][:, row, column].view(4, 2)
            grid = [(8 * column + x, 8 * row + y) for y in (2, 6) for x in (2, 6)]
            points.append(torch.tensor(grid) + 100 * offsets)
            scores.append(answers["classification"][:, row, column].view(4, 2).softmax(1)[:, 1])
    return torch.cat(points), torch.cat(scores)


@pytest.fixture(scope="module")
def state() -> State:
    return official_state()


@pytest.fixture(scope="module")
def imported(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("official")
    torch.save({"model": state}, folder / "SHTechA.pth")
    import_official(folder / "SHTechA.pth", "p2pnet-vgg16", folder / "p2pnet-vgg16", "shanghaitech-a")
    return folder / "p2pnet-vgg16"


def test_the_layout_is_the_published_one(state: State, shared_data: Path) -> None:
    listing = shared_data.parent / "checkpoints" / "p2pnet_official_state_dict.txt"
    if not listing.is_file():
        pytest.skip(f"no list of the official names at {listing}: export CROWDPOINT_DATA=FOLDER/data")
    published = {}
    for line in listing.read_text().splitlines():
        name, _, shape = line.partition(" ")
        published[name] = tuple(int(side) for side in shape.strip("()").split(",") if side)
    assert {name: tuple(value.shape) for name, value in state.items()} == published


@pytest.mark.parametrize(("height", "width"), [(45, 67), (9, 120)])
def test_outputs_equal_the_official_ones(imported: Path, state: State, height: int, width: int) -> None:
    """The same scores, and the same points: the constant between their origin and ours is (0, 0)."""
    image = np.random.default_rng(5).uniform(0, 255, (height, width, 3)).astype(np.float32)
    with torch.inference_mode():
        points, scores = official_forward(state, image)
    found = TorchEngine.load(imported).run(image.transpose(2, 0, 1)[None])
    assert scores.std() > 0.1, "the comparison would be of nothing"
    assert points.std() > 10
    np.testing.assert_allclose(found["scores"][0], scores, atol=1e-4)
    np.testing.assert_allclose(found["points"][0], points, atol=1e-2, rtol=1e-4)


def test_is_a_model_like_any_other(imported: Path) -> None:
    predictor = Predictor.load(imported)
    assert predictor.info.config == load_recipe("p2pnet-shanghaitech-a").model
    assert predictor.info.training_data == "shanghaitech-a"
    assert predictor.info.parameters == 17_973_072
    found = predictor.predict(np.zeros((20, 30, 3), np.uint8))
    assert found.image_size == (30, 20)
    _, recipe = checkpoint.load(imported)
    assert recipe.run.calibrate is False


def refused(tmp_path: Path, content: object, complaint: str, name: str = "p2pnet-vgg16") -> None:
    path = tmp_path / "their.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ModelError, match=complaint):
        import_official(path, name, tmp_path / "out", "shanghaitech-a")
    assert not (tmp_path / "out").exists()


def test_rejects_other_checkpoints(state: State, tmp_path: Path) -> None:
    refused(tmp_path, b"not a checkpoint", r"their\.pth: not a torch checkpoint")
    refused(tmp_path, b"", r"their\.pth: not a torch checkpoint")
    refused(tmp_path, [1, 2], r"their\.pth: not a checkpoint: expected a dictionary, found list")
    refused(tmp_path, {"state_dict": state}, r'expected \{"model": state_dict\}.*; found state_dict')
    refused(tmp_path, {"model": {"backbone": {"nested": 1}}}, r'expected \{"model": state_dict\}')
    refused(tmp_path, {"model": {1: torch.zeros(1)}}, r'expected \{"model": state_dict\}.*; found model$')
    refused(tmp_path, {1: torch.zeros(1)}, r'expected \{"model": state_dict\}.*; found 1$')
    refused(tmp_path, dict.fromkeys("abcdef", 1), r"; found a, b, c, d, \.\.\.$")
    refused(tmp_path, {"model": state}, "p2pnet-vgg19: no official checkpoint of it is known", "p2pnet-vgg19")


def test_a_state_dict_alone(state: State, imported: Path, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "alone.pth")
    import_official(tmp_path / "alone.pth", "p2pnet-vgg16", tmp_path / "out", "shanghaitech-a")
    weights, _ = checkpoint.load(tmp_path / "out")
    for name, value in checkpoint.load(imported)[0].items():
        assert torch.equal(weights[name], value), name


def test_refuses_wrong_names_and_shapes(state: State, tmp_path: Path) -> None:
    lacking = {name: value for name, value in state.items() if name != "fpn.P4_2.bias"}
    refused(
        tmp_path,
        {"model": lacking},
        r"authors' P2PNet checkpoint.*their\.pth: 1 missing: pyramid\.merge\.bias",
    )
    more = {**state, "transformer.weight": torch.zeros(1)}
    refused(tmp_path, {"model": more}, r"1 unexpected: transformer\.weight")
    other = {**state, "regression.output.weight": torch.zeros(16, 256, 3, 3)}
    refused(
        tmp_path, {"model": other}, r"1 of another shape: regression\.4\.weight \(16, .* instead of \(8, "
    )


def test_runs_no_code_from_the_file(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (tmp_path / "sprung",))

    refused(tmp_path, {"model": Trap()}, "not a torch checkpoint")
    assert not (tmp_path / "sprung").exists()
