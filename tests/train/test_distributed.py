"""Several processes: one checkpoint, one log, and the gradients of a single process."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import TINY, tiny_recipe, write_shanghaitech
from torch import Tensor

from crowdpoint import checkpoint
from crowdpoint.config import load_recipe
from crowdpoint.recipe import Recipe
from crowdpoint.train import loop
from crowdpoint.train.data import AnnotatedImages, Budget, CropBatches, split

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this torch has no process groups: pip install torch==2.13.0"
)

WITHOUT_NORMS = (
    "model.backbone=vgg16",
    "model.stride=8",
    "optimizer.ema=null",
    "optimizer.clip=null",
    "augment.crop=32",
    "run.steps=1",
)
"""A network whose gradients over a batch are sums over its images: batch norms look at each process's own."""


FIDTM = (
    *(override for override in TINY if not override.startswith(("model.", "loss."))),
    "model.regressor=csrnet",
    "loss.mse_weight=0",
    "optimizer.weight_decay=0",
    "augment.crop=32",
    "run.sampling=random",
    "run.steps=1",
)
"""For the paper's recipe: a network without batch norms, too, and the one term that depends on the heads."""


def python(code: str, folder: Path, *options: str) -> "subprocess.Popen[str]":
    """A script, started with options of Python; its output has both streams."""
    script = folder / "script.py"
    script.write_text(code)
    paths = os.pathsep.join(map(str, (Path(__file__).parents[1], *sys.path)))
    return subprocess.Popen(
        [sys.executable, *options, str(script)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def torchrun(code: str, folder: Path, *options: str) -> "subprocess.Popen[str]":
    return python(code, folder, "-m", "torch.distributed.run", *options)


def heads_by_image(recipe: Recipe, data: Path) -> list[int]:
    """The heads that the first step sees of each image of its batch."""
    kept, _ = split(recipe.data[0], data, recipe.run)
    source = AnnotatedImages(kept, recipe.data[0], Budget(0))
    parts = [CropBatches([source], recipe, rank, recipe.run.images) for rank in range(recipe.run.images)]
    return [sum(part[0].counts) for part in parts]


def assert_same_gradients(together: dict[int, Tensor], alone: dict[int, Tensor]) -> None:
    assert together.keys() == alone.keys()
    for number, gradient in alone.items():
        scale = float(gradient.abs().max())
        assert scale > 0
        torch.testing.assert_close(together[number], gradient, rtol=1e-3, atol=1e-4 * scale)


def gradients(out: Path) -> dict[int, Tensor]:
    """Adam's first moments after one step: a tenth of the gradients."""
    state: dict[int, dict[str, Any]] = checkpoint.load_state(out / "last")["optimizer"]["state"]
    return {number: moments["exp_avg"] for number, moments in state.items()}


def test_two_processes(tmp_path: Path) -> None:
    data = write_shanghaitech(tmp_path / "data")
    code = f"""
import os
import torch
from pathlib import Path
from tiny_runs import tiny_recipe
from crowdpoint.config import load_recipe
from crowdpoint.errors import ConfigError
from crowdpoint.train import loop
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")

fit = loop._fit

def fit_and_tell(run, *rest):
    fit(run, *rest)
    torch.save(dict(run.network.named_parameters()), f"rank{{os.environ['RANK']}}.pt")

loop._fit = fit_and_tell
data = Path({str(data)!r})
loop.train(tiny_recipe(*{WITHOUT_NORMS!r}), data, Path("plain"), accelerator="cpu")
loop.train(load_recipe("fidtm-shanghaitech-a", {FIDTM!r}), data, Path("fidtm"), accelerator="cpu")
loop.train(tiny_recipe("run.steps=3", "run.workers=1"), data, Path("lite"), accelerator="cpu")
loop.train(tiny_recipe("run.steps=3", "run.workers=1"), data, Path("lite"), accelerator="cpu", resume=True)
try:
    loop.train(tiny_recipe("run.images=3"), data, Path("odd"), accelerator="cpu")
except ConfigError as error:
    print(error)
"""
    process = torchrun(code, tmp_path, "--standalone", "--nproc-per-node", "2")
    output, _ = process.communicate(timeout=280)
    assert process.returncode == 0, output

    weights, _ = checkpoint.load(tmp_path / "lite" / "last")
    assert checkpoint.load_state(tmp_path / "lite" / "last")["step"] == 3
    assert {path.name for path in (tmp_path / "lite").iterdir()} == {"last", "best", "log.csv", "tensorboard"}
    assert len(list((tmp_path / "lite" / "tensorboard").iterdir())) == 1, "none for a call without a step"
    assert output.count("step 3/3  classification") == 1
    own = [checkpoint.load_torch(tmp_path / f"rank{rank}.pt") for rank in (0, 1)]
    assert own[0].keys() <= weights.keys()
    assert all(torch.equal(value, own[1][name]) for name, value in own[0].items()), (
        "the processes drifted apart"
    )
    assert output.count("run.images: 3 images cannot be split over 2 processes") == 2

    for name, recipe in (
        ("plain", tiny_recipe(*WITHOUT_NORMS)),
        ("fidtm", load_recipe("fidtm-shanghaitech-a", FIDTM)),
    ):
        assert len(set(heads_by_image(recipe, data))) == 2, "a process has more heads than the other"
        loop.train(recipe, data, tmp_path / "alone" / name, accelerator="cpu")
        assert_same_gradients(gradients(tmp_path / name), gradients(tmp_path / "alone" / name))


def test_all_stop_and_save_when_one_is_interrupted(tmp_path: Path) -> None:
    """Started by `devices`, which has to be asked how many share a machine's memory."""
    data = write_shanghaitech(tmp_path / "data")
    code = f"""
import os
import signal
from pathlib import Path
from tiny_runs import tiny_recipe
from crowdpoint.train import loop
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
from crowdpoint.train.journal import Journal

step, sources = Journal.step, loop._create_sources

def pressed(self, number, *rest):
    step(self, number, *rest)
    if number == 1 and os.environ["LOCAL_RANK"] == "1":
        os.kill(os.getpid(), signal.SIGINT)

def told(recipe, parts, processes):
    print(f"sharing with {{processes}}", flush=True)
    return sources(recipe, parts, processes)

Journal.step, loop._create_sources = pressed, told
try:
    loop.train(tiny_recipe("run.steps=3"), Path({str(data)!r}), Path("run"), accelerator="cpu", devices=2)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
    process = python(code, tmp_path)
    output, _ = process.communicate(timeout=280)
    assert process.returncode == 0, output
    assert (output.count("sharing with 2"), output.count("stopped")) == (2, 2), output
    assert checkpoint.load_state(tmp_path / "run" / "last")["step"] == 1


def test_two_nodes(tmp_path: Path) -> None:
    """torchrun says how many nodes there are; Fabric has to be told."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = """
import atexit
import torch

atexit.register(lambda: print(f"threads are left: {torch.distributed.is_initialized()}"))  # the last to run

from tiny_runs import tiny_recipe
from crowdpoint.train.loop import _launch

fabric = _launch(tiny_recipe(), "cpu", None)
total = fabric.all_reduce(torch.tensor(fabric.global_rank + 1.0), reduce_op="sum")
print(f"rank {fabric.global_rank} of {fabric.world_size}: {total.item()}")
"""
    where = ("--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", str(port))
    nodes = [torchrun(code, tmp_path, "--nnodes", "2", "--node-rank", str(rank), *where) for rank in (0, 1)]
    for rank, node in enumerate(nodes):
        output, _ = node.communicate(timeout=200)
        assert node.returncode == 0, output
        assert f"rank {rank} of 2: 3.0" in output
        assert "threads are left: False" in output
