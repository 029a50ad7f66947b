"""Runs every example on drawn input, as its first line says, and looks at what it leaves."""

import ast
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections import UserDict, UserList
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyogrio.raw
import pytest
from drawn_rasters import bands, write_raster
from drawn_videos import dots, read_video, write_video
from pages import DOCS, ROOT, blocks, prose
from PIL import Image
from tiny_models import write_tiny

import crowdpoint
from crowdpoint import formats, images, zoo
from crowdpoint.export import export_onnx
from crowdpoint.methods import METHODS
from crowdpoint.points import Points

EXAMPLES = ROOT / "examples"
ALL = sorted(path.name for path in EXAMPLES.glob("*.py"))
LEFT = [[0, 0], [32, 0], [32, 64], [0, 64]]
ZONES = f"""
ground: {{image: [[0, 0], [96, 0], [96, 64], [0, 64]], metres: [[0, 0], [12, 0], [12, 8], [0, 8]]}}
zones:
  - {{name: left, polygon: {LEFT}, alert: {{above: 1}}}}
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a photo of eight people, two photos in a folder, zones, and a tiny model."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name, people in (("photo.png", 8), ("photos/a.png", 3), ("photos/b.png", 0)):
        Image.fromarray(dots(people)).save(name)
    Path("zones.yaml").write_text(ZONES)
    write_tiny(Path("tiny.onnx"))
    return tmp_path


def _run(name: str, *arguments: str) -> None:
    """What a shell does for `python examples/NAME ARGUMENTS`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_count_photo(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run("count_photo.py", "photo.png", "--out", "out.jpg", "--model", "tiny.onnx")
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "photo.png: 8 people"
    assert re.fullmatch(
        r"  a head at \d+\.0 px from the left and \d+\.0 px from the top, score 1\.00", out[3]
    )
    assert images.read("out.jpg").shape == (64, 96, 3)


def test_count_folder(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/broken.jpg").write_bytes(b"\xff\xd8\xff garbage")
    _run("count_folder.py", "photos", "--model", "tiny.onnx")
    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["a.png: 3", "b.png: 0", "3 people on 2 photos: points.csv"]
    assert "broken.jpg" in shown.err
    assert {name: len(found) for name, found in formats.read("points.csv").items()} == {
        "a.png": 3,
        "b.png": 0,
    }


def test_map_people(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_raster(Path("mosaic.tif"), bands(dots(8)))
    _run("map_people.py", "mosaic.tif", "--model", "tiny.onnx")
    out = capsys.readouterr().out
    assert "8 people in EPSG:32632: people.gpkg" in out
    assert "500002.00 east, 5299998.00 north" in out  # half a metre a pixel
    assert len(pyogrio.raw.read(Path("people.gpkg"))[2]) == 8
    with pytest.raises(SystemExit, match="2"):
        _run("map_people.py", "photo.png", "--model", "tiny.onnx")


def test_watch_video(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(Path("street.mp4"), [dots(8), dots(8), dots(3)])
    _run("watch_video.py", "street.mp4", "zones.yaml", "--fps", "10", "--model", "tiny.onnx")
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == ["    0.0 s: 8 people; left 4", "ALERT raised: left has 4, limit 1"]
    assert out[3] == "    0.2 s: 3 people; left 4"  # the median
    assert len(read_video(Path("watched.mp4"))[0]) == 3


def test_photo_zones(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run("photo_zones.py", "photo.png", "zones.yaml", "--out", "out.png", "--model", "tiny.onnx")
    assert re.match(r"left: 4 of 8 people on 32 m²: 0\.1[23] per m²\n", capsys.readouterr().out)
    red = images.read("out.png")[60, :, 0]
    assert red[16] > red[64]  # the zone is tinted


@pytest.mark.skipif(
    not shutil.which("crowdpoint"),
    reason="the command crowdpoint is not on the PATH: pip install -e '.[dev]'",
)
def test_ask_server(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.png").write_text("nothing")
    _run("ask_server.py", "photo.png", "broken.png", "--model", "tiny.onnx")
    good, bad = capsys.readouterr().out.splitlines()
    assert good == "photo.png: 8"
    assert bad.startswith("broken.png: ")


@pytest.mark.skipif(
    not (zoo.WEIGHTS / "p2pnet-lite.onnx").is_file(),
    reason="p2pnet-lite is not embedded in this checkout: git checkout src/crowdpoint/weights",
)
def test_train_on_folder_and_export_model(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heads = Points(np.array([[4, 4], [20, 4], [36, 4]]), image_size=(96, 64))
    formats.write("photos/all.csv", {"a.png": heads, "b.png": Points.empty((96, 64))})
    small = ("augment.crop=64", "run.images=2", "run.workers=0", "run.precision=fp32")
    changes = [word for change in small for word in ("--set", change)]
    _run("train_on_folder.py", "photos", "--steps", "1", "--accelerator", "cpu", *changes)
    assert re.search(r"a: \d+ found, 3 annotated", capsys.readouterr().out)
    _run("export_model.py", "runs/mine/best", "photo.png")
    ours, theirs = capsys.readouterr().out.splitlines()[-2:]
    assert ours.removeprefix("crowdpoint") == theirs.removeprefix("ONNX Runtime")


def test_own_method(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        _run("own_method.py", "crowds", "--steps", "3", "--accelerator", "cpu")
        assert re.search(r"0: \d+ found, 15 annotated", capsys.readouterr().out)
        export_onnx(Path("runs/cells/best"), Path("cells.onnx"))
        image = images.read("crowds/0.png")
        found, wanted = (
            crowdpoint.load(model).candidates(image) for model in ("cells.onnx", "runs/cells/best")
        )
        assert len(found) > 100
        np.testing.assert_allclose(found.xy, wanted.xy, atol=1e-2)
        program = blocks(DOCS / "own-method.md", "python")[-1]
        Path("cells.py").write_text(f"from own_method import CellsMethod\n{program}")
        batch = (sys.executable, "cells.py", "batch", "photos", "counted", "--model", "cells.onnx")
        path = os.pathsep.join((str(EXAMPLES), *sys.path))
        done = subprocess.run(
            (*batch, "--workers", "1"),
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "2 of 2 images predicted" in done.stdout
    finally:
        METHODS.pop("cells", None)


def test_compare_models(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heads = Points(np.array([[10, 10], [30, 30], [50, 50]]))
    some = heads.select(np.array([True, True, False]))
    for name, found in (("truth", heads), ("first", heads), ("second", some)):
        formats.write(f"{name}.csv", {"1": found, "2": found})
    _run("compare_models.py", "truth.csv", "first.csv", "second.csv")
    first, second, gap = capsys.readouterr().out.splitlines()
    assert first == "first: MAE 0.00, RMSE 0.00, F1 100.00% within 8 pixels"
    assert second == "second: MAE 1.00, RMSE 1.00, F1 80.00% within 8 pixels"
    assert gap.startswith("first minus second: MAE -1.00 (95 % interval -1.00 to -1.00, p ")


def test_annotate_supervision(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run("annotate_supervision.py", "photo.png", "--model", "tiny.onnx")
    assert capsys.readouterr().out == "8 people, 5 of them on the left half: annotated.png\n"
    assert (images.read("annotated.png") != dots(8)).any()


def test_analyse_counts(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    three = Points(np.array([[1, 1], [2, 2], [3, 3]]), image_size=(1000, 500))
    formats.write("points.csv", {"a": three, "b": Points.empty((1000, 500))})
    _run("analyse_counts.py", "points.csv")
    assert "the most crowded images:" in capsys.readouterr().out
    counts = pd.read_csv("counts.csv", index_col="image")
    assert counts["people"].to_dict() == {"a": 3, "b": 0}
    assert counts["per_megapixel"].to_dict() == {"a": 6, "b": 0}


def test_batch_folder(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("batch_folder.py", "photos", "counted", "--workers", "1", "--model", "tiny.onnx")
    _run(*command)
    first, *parts, title, fullest, emptiest = capsys.readouterr().out.splitlines()
    assert first == "2 of 2 photos are left to do"
    assert sum(int(part.split()[3]) for part in parts) == 3
    assert title == "the most crowded of 2:"
    assert fullest == f"  3 on {desk / 'photos' / 'a.png'}"
    assert emptiest.startswith("  0 on ")
    _run(*command)
    assert capsys.readouterr().out.splitlines() == [
        "0 of 2 photos are left to do",
        title,
        fullest,
        emptiest,
    ]
    Path("broken").mkdir()
    Path("broken/a.png").touch()
    with pytest.raises(SystemExit, match="2"):
        _run("batch_folder.py", "broken", "none", *command[3:])


def test_compare_engines_with_openvino(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed: pip install -e '.[openvino]'")
    _run("compare_engines.py", "photo.png", "--runs", "1", "--model", "tiny.onnx")
    onnx, openvino, torch = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"onnx: 8 people in \d+ ms", onnx)
    assert re.fullmatch(r"openvino: 8 people in \d+ ms", openvino)
    assert torch.startswith("torch: left out: tiny.onnx: an .onnx file, but torch runs checkpoints")


def test_compare_engines_leaves_out_what_is_not_installed(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "crowdpoint.predict.openvino", raising=False)
    _run("compare_engines.py", "photo.png", "--runs", "1", "--model", "tiny.onnx")
    onnx, missing, _ = capsys.readouterr().out.splitlines()
    assert onnx.startswith("onnx: 8 people")
    assert missing.startswith("openvino: left out: ")
    assert "pip install 'crowdpoint[openvino]'" in missing


class Sample(UserDict[str, SimpleNamespace]):
    """A photo in the stand-in for FiftyOne."""

    def __init__(self, filepath: Path) -> None:
        super().__init__()
        self.filepath = str(filepath)


class Dataset(UserList[Sample]):
    """What the example uses of FiftyOne's: the package takes a gigabyte, and its datasets a database."""

    @classmethod
    def from_images_dir(cls, folder: str) -> "Dataset":
        return cls(Sample(path) for path in Path(folder).rglob("*.png"))

    def iter_samples(self, autosave: bool) -> "Dataset":
        assert autosave  # else nothing is kept
        return self

    def count(self, field: str) -> int:  # type: ignore[override]  # of a field, not of an item
        name, member = field.split(".")
        return sum(len(getattr(sample[name], member)) for sample in self)


def test_browse_fiftyone(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Dataset] = []

    def launch_app(dataset: Dataset) -> SimpleNamespace:
        return SimpleNamespace(wait=lambda: shown.append(dataset))

    members = {"Keypoint": SimpleNamespace, "Keypoints": SimpleNamespace, "Dataset": Dataset}
    monkeypatch.setitem(sys.modules, "fiftyone", SimpleNamespace(**members, launch_app=launch_app))
    _run("browse_fiftyone.py", "photos", "--model", "tiny.onnx")
    assert capsys.readouterr().out == "3 people on 2 photos\n"
    assert {Path(sample.filepath).name: len(sample["people"].keypoints) for sample in shown[0]} == {
        "a.png": 3,
        "b.png": 0,
    }


def test_every_example_has_a_test() -> None:
    tests = "".join(name for name in globals() if name.startswith("test_"))
    assert [name for name in ALL if name.removesuffix(".py") not in tests] == []


@pytest.mark.parametrize("name", ALL)
def test_examples_are_short_and_on_their_page(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= (175 if name == "own_method.py" else 60), "one is a whole method"
    first = (ast.get_docstring(ast.parse(text)) or "").splitlines()[0]
    command = re.search(rf"`(python examples/{name}[^`]*)`\.$", first)
    assert command
    assert f"| `{command[1]}` |" in prose(DOCS / "examples.md")
