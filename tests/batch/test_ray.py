"""A batch on a Ray cluster of this machine, of which a worker process is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from drawn_batches import images
from PIL import Image
from tiny_models import write_tiny

from crowdpoint import containers

PATIENCE = 900
"""Seconds that a busy machine may take for what takes a quiet one half a minute."""


@pytest.mark.timeout(PATIENCE + 60)
@pytest.mark.skipif(not find_spec("ray"), reason="Ray is not installed: pip install -e '.[ray]'")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_a_killed_worker_loses_and_duplicates_no_image(tmp_path: Path) -> None:
    photos = _large_photos(tmp_path / "in", 45)
    bad = tmp_path / "in" / "bad.jpg"
    bad.write_text("no image")
    out = tmp_path / "out"
    command = [sys.executable, "-c", "from crowdpoint.cli import main; main()", "batch"]
    options = [tmp_path / "in", out, "--model", write_tiny(tmp_path / "tiny.onnx")]
    cluster = ["--ray", "local", "--workers", 2, "--chunk", 3, "--json"]
    process = subprocess.Popen(
        [*command, *map(str, [*options, *cluster])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"},
    )
    try:
        until = time.monotonic() + PATIENCE
        while not images(out) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        killed = _actors_below(process.pid)[0]
        os.kill(killed, signal.SIGKILL)
        done = images(out).total()
        stdout, stderr = process.communicate(timeout=PATIENCE)
    finally:
        process.terminate()  # not kill: its cluster ends with it
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream
            stream.close()
    assert 0 < done < len(photos)
    assert process.returncode == 1, stderr
    assert images(out, "points") == Counter(photos)
    assert images(out, "failures") == Counter([str(bad)])
    assert json.loads(stdout)["predicted"] == len(photos)
    assert f"crowdpoint: {bad}: not a {containers.KINDS}" in stderr


def _large_photos(folder: Path, count: int) -> list[str]:
    """Photos that take a while, all with the same content."""
    folder.mkdir()
    first = folder / "0.png"
    Image.fromarray(np.zeros((1600, 2000, 3), np.uint8)).save(first)
    for number in range(1, count):
        (folder / f"{number}.png").hardlink_to(first)
    return [str(folder / f"{number}.png") for number in range(count)]


def _actors_below(ancestor: int) -> list[int]:
    """The processes of a cluster that run our actors, by the titles that Ray gives them."""
    children: dict[int, list[int]] = {}
    titles: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            titles[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:
            continue  # it has ended meanwhile
        children.setdefault(parent, []).append(int(folder.name))
    found, generation = [], [ancestor]
    while generation:
        generation = [child for parent in generation for child in children.get(parent, [])]
        found += [pid for pid in generation if titles[pid].startswith("ray::MapWorker")]
    return found
