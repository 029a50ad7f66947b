"""Runs what the README says on drawn pictures."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import cv2
import draw_crowd
import numpy as np
import numpy.typing as npt
import pytest
from command_line import crowdpoint
from drawn_rasters import bands, write_raster
from drawn_videos import write_video
from pages import DOCS, README, ROOT, blocks, commands, steps
from scipy.io import savemat

from crowdpoint import formats, zoo
from crowdpoint.points import Points

EMBEDDED = any(model.embedded for model in zoo.list_models() if model.name == "p2pnet-lite")
NO_MODEL = "p2pnet-lite is not embedded in this checkout: git checkout src/crowdpoint/weights"

QUICK = {
    "train": "--accelerator cpu --set run.steps=1 --set run.images=2 --set run.workers=0 "
    "--set run.precision=fp32 --set augment.crop=64",
    "bench": "--size 96x64 --runs 1",
}
"""What makes a command quick enough for a test, added to its end."""


def test_the_two_commands_are_what_ci_runs() -> None:
    install, develop = (block.strip().split(" && ") for block in blocks(README, "bash")[:2])
    environment = ["python3 -m venv .venv", ". .venv/bin/activate"]
    assert install == [*environment, "pip install .", "crowdpoint predict photo.jpg"]
    assert develop[:2] == environment
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line in develop[2:]] == develop[2:]
    others = [step for step in steps(README) if not step.startswith("crowdpoint ")]
    assert set(others) == {*install[:-1], *develop}


def test_the_results_table_is_well_formed() -> None:
    table = README.read_text(encoding="utf-8").partition("| model | data |")[2].partition("\n\n")[0]
    rows = table.splitlines()[2:]
    assert rows
    cards = (DOCS / "models.md").read_text(encoding="utf-8")
    for row in rows:
        model, data, *figures, command = (cell.strip() for cell in row.strip("|").split("|"))
        assert model
        assert data
        assert re.fullmatch(r"`crowdpoint (evaluate|score) [^`]+`", command)
        assert len(figures) == 5
        assert all(re.fullmatch(r"\d+\.\d\d", figure) for figure in figures[:2])
        assert all(re.fullmatch(r"\d\d\.\d\d %|–", figure) for figure in figures[2:])
        if model.startswith("`"):
            card = cards.partition(f"\n## {model.strip('`')}\n")[2].partition(f"\n| {data}, test |")[2]
            assert set(figures) <= {figure.strip() for figure in card.partition("\n")[0].split("|")}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the README's commands name, all of them drawn."""
    folder = tmp_path_factory.mktemp("readme")
    picture, heads = draw_crowd.draw(240, 160, people=30)
    for name in ("photo", "photos/1", "photos/2", "my-crowds/1", "my-crowds/2", "UCF_CC_50/1"):
        _write(folder / f"{name}.jpg", picture)
    write_raster(folder / "mosaic.tif", bands(picture))
    for part in ("part_A", "part_B"):
        for split in ("train_data", "test_data"):
            for name in ("IMG_1", "IMG_2"):
                root = folder / "ShanghaiTech" / part / split
                _write(root / "images" / f"{name}.jpg", picture)
                _write_shanghaitech(root / "ground-truth" / f"GT_{name}.mat", heads)
    savemat(folder / "UCF_CC_50" / "1_ann.mat", {"annPoints": heads.xy})
    formats.write(folder / "my-crowds" / "all.csv", {"1.jpg": heads, "2.jpg": heads})
    for name in ("predicted", "others", "annotated"):
        formats.write(folder / f"{name}.csv", {"1": heads, "2": heads})
    write_video(folder / "street.mp4", [picture] * 3)
    polygon = [[10, 10], [200, 10], [200, 150], [10, 150]]
    (folder / "zones.yaml").write_text(f"zones: [{{name: all, polygon: {polygon}}}]")
    for part in ("A", "B"):
        (folder / f"{part}_pred_fidt.txt").write_text("1 2 10 10 20 20\n")
        (folder / f"{part}_gt.txt").write_text("1 1 10 10 4 6 0\n")
    return folder


def _write(path: Path, picture: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture[..., ::-1])


def _write_shanghaitech(path: Path, heads: Points) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    info = np.empty((1, 1), object)
    info[0, 0] = {"location": heads.xy, "number": len(heads)}
    savemat(path, {"image_info": info})


def _run(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    words = shlex.split(command)[1:]
    outcome = crowdpoint(*words, *shlex.split(QUICK.get(words[0], "")))
    assert outcome.code == 0, outcome.err
    assert outcome.out or words[0] == "train"


COMMANDS = [command for command in commands(README) if ".pth" not in command]  # those files are the authors'
COMMANDS = [command for command in COMMANDS if command != "crowdpoint serve"]  # never ends; tests/web has it
CHAIN = [command for command in COMMANDS if re.search(r" train |runs/|my-model", command)]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in CHAIN])
def test_command(command: str, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not EMBEDDED and shlex.split(command)[1] in ("predict", "batch", "evaluate", "bench", "video"):
        pytest.skip(NO_MODEL)
    _run(command, workspace, monkeypatch)


def test_training_commands_one_after_the_other(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verbs = [shlex.split(command)[1] for command in CHAIN]
    assert {("train", "train"), ("export", "predict")} <= set(pairwise(verbs))
    for command in CHAIN:
        _run(command, workspace, monkeypatch)


@pytest.mark.skipif(not EMBEDDED, reason=NO_MODEL)
def test_python(workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(workspace)
    (code,) = blocks(README, "python")
    exec(code, {})
    assert re.match(r"\d+ \[", capsys.readouterr().out)
