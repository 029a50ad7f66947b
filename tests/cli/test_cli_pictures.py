"""`--save panel,proposals` and `--gt` of predict."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import crowdpoint
from PIL import Image
from tiny_models import write_tiny, write_tiny_map

from crowdpoint import formats, images
from crowdpoint.cli.pictures import GroundTruth
from crowdpoint.cli.sources import ImageLocation
from crowdpoint.errors import FormatError
from crowdpoint.estimate import Found
from crowdpoint.methods.density.config import DensityConfig
from crowdpoint.methods.fidtm.config import FIDTMConfig, MapConfig
from crowdpoint.opening import ImageSource
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.predict.engine import ModelInfo
from crowdpoint.predict.looks import Scales


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos of the same name in two folders, each with one bright dot."""
    for folder in ("x", "y"):
        pixels = np.zeros((64, 96, 3), np.uint8)
        pixels[20, 44] = 255
        (tmp_path / "photos" / folder).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / folder / "a.png")
    return tmp_path / "photos"


def _width(path: Path) -> int:
    return images.read_size(path)[0]


def test_panels_with_and_without_ground_truth(photos: Path, tmp_path: Path) -> None:
    model = write_tiny(tmp_path / "tiny.onnx")
    formats.write(tmp_path / "gt.csv", {"x/a.png": Points(np.ones((3, 2), np.float32))})
    out = tmp_path / "out"
    outcome = crowdpoint(
        "predict", photos, "--model", model, "--out", out, "--save", "panel", "--gt", tmp_path / "gt.csv"
    )
    assert (outcome.code, outcome.err) == (0, "")
    assert sorted(p.name for p in out.iterdir() if p.name[0] != ".") == ["panel"]
    true, plain = (_width(out / "panel" / f"{folder}/a.jpg") for folder in "xy")
    assert 3 * 480 < true < 4 * 480
    assert 2 * 480 < plain < 3 * 480


@pytest.mark.parametrize(("config", "cells"), [(FIDTMConfig(), 5), (DensityConfig(), 3)])
def test_panels_of_maps(photos: Path, tmp_path: Path, config: MapConfig, cells: int) -> None:
    model = write_tiny_map(tmp_path / "map.onnx", config)
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt" / "a.txt").write_text("44 20\n")
    photo = photos / "x" / "a.png"
    outcome = crowdpoint(
        *("predict", photo, "--model", model, "--out", tmp_path / "out"),
        *("--save", "panel", "--gt", tmp_path / "gt"),
    )
    assert (outcome.code, outcome.err) == (0, "")
    width = _width(tmp_path / "out" / "panel" / "a.jpg")
    assert cells * 480 < width < (cells + 1) * 480


def test_proposals_and_reference_points(photos: Path, tmp_path: Path) -> None:
    model = write_tiny(tmp_path / "tiny.onnx")
    outcome = crowdpoint(
        "predict", photos / "x", "--model", model, "--out", tmp_path / "out", "--save", "proposals"
    )
    assert (outcome.code, outcome.err) == (0, "")
    assert 3 * 480 < _width(tmp_path / "out" / "proposals" / "a.jpg") < 4 * 480


def test_proposals_change_nothing_else(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are at the image's own scale; counts, points and their interval are at the usual one."""
    search, seen = Predictor.search, []

    def note(self: Predictor, image: ImageSource, *rest: Any, **options: Any) -> tuple[Found, Scales]:
        seen.append((self._scale, options.get("threshold")))
        return search(self, image, *rest, **options)

    monkeypatch.setattr(ModelInfo, "adapts_scale", True)  # else a scale of 1 is `auto`
    monkeypatch.setattr(Predictor, "_adapts_scale", False)  # but the tiny model has no sizes
    monkeypatch.setattr(Predictor, "search", note)
    model = write_tiny(tmp_path / "tiny.onnx")
    command = ("predict", photos / "x", "--model", model, "--out", tmp_path / "out", "--save", "proposals")
    assert crowdpoint(*command).code == 0
    assert seen == [("auto", None), (1.0, 0.0)]
    for resized in (("--max-side", 50), ("--scale", 2)):
        outcome = crowdpoint(*command, *resized)
        assert outcome.code == 2
        assert "leave out --scale and --max-side" in " ".join(outcome.err.split())


def test_proposals_need_a_model_that_has_them(photos: Path, tmp_path: Path) -> None:
    model = write_tiny_map(tmp_path / "map.onnx", FIDTMConfig())
    outcome = crowdpoint(
        "predict", photos, "--model", model, "--out", tmp_path / "out", "--save", "proposals"
    )
    assert outcome.code == 2
    assert "expected a model with proposals, such as P2PNet's, tiny is fidtm" in " ".join(outcome.err.split())


def test_ground_truth_that_matches_no_image_is_reported(photos: Path, tmp_path: Path) -> None:
    model = write_tiny(tmp_path / "tiny.onnx")
    formats.write(tmp_path / "gt.csv", {name: Points.empty() for name in "bcde"})
    arguments = ("predict", photos, "--model", model, "--gt", tmp_path / "gt.csv")
    outcome = crowdpoint(*arguments, "--out", tmp_path / "out", "--save", "panel")
    assert outcome.code == 0
    assert f"--gt {tmp_path / 'gt.csv'} (it has b, c, d, ...) names none of these images" in outcome.err
    outcome = crowdpoint(*arguments, "--out", tmp_path / "out")
    assert outcome.code == 2
    assert "--gt needs --save panel" in " ".join(outcome.err.split())


def test_predictions_do_not_replace_the_ground_truth(photos: Path, tmp_path: Path) -> None:
    """As of those who correct the points of a first run in its folder, and draw them in a second."""
    model, out = write_tiny(tmp_path / "tiny.onnx"), tmp_path / "out"
    command = ("predict", photos / "x", "--model", model, "--out", out)
    assert crowdpoint(*command, "--save", "points").code == 0
    before = (out / "points.csv").read_text()
    for truth in (out / "points.csv", out):
        for tables in ("points", "counts"):
            if (truth, tables) != (out / "points.csv", "counts"):
                outcome = crowdpoint(*command, "--save", f"{tables},panel", "--gt", truth)
                assert outcome.code == 2
                assert f"{tables}.csv: is part of --gt {truth}, which stays as it is" in outcome.err
        assert crowdpoint(*command, "--save", "panel", "--gt", truth).code == 0
        assert [path.name for path in out.glob("*.csv")] == ["points.csv"]
        assert (out / "points.csv").read_text() == before


def test_truth_of_another_image_fails_for_that_image_alone(photos: Path, tmp_path: Path) -> None:
    model = write_tiny(tmp_path / "tiny.onnx")
    formats.write(tmp_path / "gt.csv", {"x/a": Points.empty((96, 64)), "y/a": Points.empty((64, 96))})
    outcome = crowdpoint(
        *("predict", photos, "--model", model, "--gt", tmp_path / "gt.csv"),
        *("--out", tmp_path / "out", "--save", "points,panel"),
    )
    assert outcome.code == 1
    assert "is about an image y/a.png of (64, 96) pixels, but " in outcome.err
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.glob("out/panel/*/*")] == ["out/panel/x/a.jpg"]
    assert list(formats.read(tmp_path / "out" / "points.csv")) == ["x/a.png", "y/a.png"]


def test_truth_is_found_by_path_then_by_name(tmp_path: Path) -> None:
    def heads(count: int) -> Points:
        return Points(np.zeros((count, 2), np.float32))

    formats.write(
        tmp_path / "gt.json", {"x/a.jpg": heads(1), "y/a.jpg": heads(2), "z/b.png": heads(3), "c": heads(0)}
    )
    images = ["x/a.jpg", "y/a.jpg", "z/b.png", "q/c.jpg", "w/b.png", "none.jpg"]
    truth = GroundTruth(tmp_path / "gt.json", images)

    def count(name: str) -> int | None:
        points = truth.find(ImageLocation(name, name, Path(name).stem), (9, 9))
        return None if points is None else len(points)

    assert [count(name) for name in images] == [1, 2, 3, 0, None, None]
    with pytest.raises(FormatError, match=r"gt\.json: x/a\.jpg and y/a\.jpg both match a;"):
        GroundTruth(tmp_path / "gt.json", ["a"])
    with pytest.raises(FormatError, match=r"none\.csv: no such file"):
        GroundTruth(tmp_path / "none.csv", images)
