"""Several processes through torchrun: one checkpoint, one log, and the gradients of a single process."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import tiny_recipe, write_shanghaitech
from torch import Tensor

from crowdpoint.train import checkpoint, loop

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this torch has no process groups"
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


def torchrun(code: str, folder: Path, *options: str) -> "subprocess.Popen[str]":
    script = folder / "script.py"
    script.write_text(code)
    paths = os.pathsep.join(map(str, (Path(__file__).parents[1], *sys.path)))
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *options, str(script)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


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
from crowdpoint.errors import ConfigError
from crowdpoint.train import loop

fit = loop._fit

def fit_and_tell(run, *rest):
    fit(run, *rest)
    torch.save(dict(run.network.named_parameters()), f"rank{{os.environ['RANK']}}.pt")

loop._fit = fit_and_tell
data = Path({str(data)!r})
loop.train(tiny_recipe(*{WITHOUT_NORMS!r}), data, Path("plain"), accelerator="cpu")
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
    assert len(list((tmp_path / "lite" / "tensorboard").iterdir())) == 2, "one for each of the two calls"
    assert output.count("step 3/3  classification") == 1
    own = [checkpoint.load_torch(tmp_path / f"rank{rank}.pt") for rank in (0, 1)]
    assert own[0].keys() <= weights.keys()
    assert all(torch.equal(value, own[1][name]) for name, value in own[0].items()), (
        "the processes drifted apart"
    )
    assert output.count("run.images: 3 images cannot be split over 2 processes") == 2

    loop.train(tiny_recipe(*WITHOUT_NORMS), data, tmp_path / "alone", accelerator="cpu")
    together, alone = gradients(tmp_path / "plain"), gradients(tmp_path / "alone")
    assert together.keys() == alone.keys()
    for number, gradient in alone.items():
        scale = float(gradient.abs().max())
        assert scale > 0
        torch.testing.assert_close(together[number], gradient, rtol=1e-3, atol=1e-4 * scale)


def test_two_nodes(tmp_path: Path) -> None:
    """torchrun says how many nodes there are; Fabric has to be told."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = """
import torch
from tiny_runs import tiny_recipe
from crowdpoint.train.loop import _fabric

fabric = _fabric(tiny_recipe(), "cpu", None)
total = fabric.all_reduce(torch.tensor(fabric.global_rank + 1.0), reduce_op="sum")
print(f"rank {fabric.global_rank} of {fabric.world_size}: {total.item()}")
"""
    where = ("--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", str(port))
    nodes = [torchrun(code, tmp_path, "--nnodes", "2", "--node-rank", str(rank), *where) for rank in (0, 1)]
    for rank, node in enumerate(nodes):
        output, _ = node.communicate(timeout=200)
        assert node.returncode == 0, output
        assert f"rank {rank} of 2: 3.0" in output
