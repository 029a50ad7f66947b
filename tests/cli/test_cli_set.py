"""`--set` of the commands that predict: FIDTM's local maxima, changed for one call."""

import json
from pathlib import Path

import cv2
import httpx2
import numpy as np
import pytest
from command_line import crowdpoint
from drawn_videos import write_video
from serving import served
from tiny_models import write_tiny, write_tiny_map
from tiny_runs import write_shanghaitech

from crowdpoint import images
from crowdpoint.methods.density.config import DensityConfig
from crowdpoint.methods.fidtm.config import FIDTMConfig, LMDSConfig


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Two bright dots three pixels apart, and a faint one far away."""
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[10, 10], pixels[10, 13], pixels[20, 30] = 250, 240, 40
    cv2.imwrite(str(tmp_path / "photo.png"), pixels)
    return tmp_path / "photo.png"


@pytest.fixture
def peaks(tmp_path: Path) -> Path:
    return write_tiny_map(tmp_path / "peaks.onnx", FIDTMConfig(threshold=0.4))


def count(photo: Path, model: Path, *options: str) -> int:
    outcome = crowdpoint("predict", photo, "--model", model, "--json", *options)
    assert (outcome.code, outcome.err) == (0, "")
    return int(json.loads(outcome.out)["count"])


def test_settings_hold_for_one_call(photo: Path, peaks: Path) -> None:
    assert count(photo, peaks) == 2
    assert count(photo, peaks, "--set", "kernel=7") == 1
    assert count(photo, peaks, "--threshold", "0.1", "--set", "kernel=7") == 2
    assert count(photo, peaks, "--set", "adaptive=false", "--threshold", "0.95") == 1
    assert count(photo, peaks, "--set", "negative_threshold=0.99") == 0
    assert count(photo, peaks) == 2


def test_a_file_has_settings_of_its_own(photo: Path, tmp_path: Path) -> None:
    config = FIDTMConfig(threshold=0.4, lmds=LMDSConfig(kernel=7))
    own = write_tiny_map(tmp_path / "own.onnx", config)
    assert count(photo, own) == 1
    assert count(photo, own, "--set", "kernel=3") == 2


def test_evaluates_with_settings(peaks: Path, tmp_path: Path) -> None:
    data = write_shanghaitech(tmp_path / "data", images=2, split="test")
    arguments = ("evaluate", peaks, "--data", data, "--dataset", "shanghaitech-a", "--json")
    plain, merged = crowdpoint(*arguments), crowdpoint(*arguments, "--set", "merge_plateaus=true")
    assert (plain.code, merged.code) == (0, 0), plain.err + merged.err
    flat, single = (json.loads(outcome.out)["mae"] for outcome in (plain, merged))
    assert single < flat, "each square is one plateau of 36 cells"


def test_batches_with_settings(photo: Path, peaks: Path, tmp_path: Path) -> None:
    arguments = ("batch", photo, tmp_path / "out", "--model", peaks, "--workers", 1, "--json")
    outcome = crowdpoint(*arguments, "--set", "kernel=7")
    assert (outcome.code, json.loads(outcome.out)["people"]) == (0, 1)
    other = crowdpoint(*arguments)
    assert other.code == 2
    assert "with settings kernel=7, expected settings none" in other.err


def test_counts_videos_with_settings(photo: Path, peaks: Path, tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", [images.read(photo)] * 3)
    for options, count in (((), 2), (("--set", "kernel=7"), 1)):
        outcome = crowdpoint("video", film, "--model", peaks, "--json", *options)
        assert outcome.code == 0, outcome.err
        assert json.loads(outcome.out.splitlines()[0])["count"] == count


def test_serves_with_settings(photo: Path, peaks: Path) -> None:
    with served("--model", peaks, "--workers", 1, "--set", "kernel=7", "--threshold", 0.1) as server:
        (result,) = httpx2.post(
            f"{server.url}/v1/predict", files={"image": photo.read_bytes()}, timeout=60
        ).json()["results"]
        (model,) = httpx2.get(f"{server.url}/v1/models", timeout=60).json()["models"]
    assert (result["count"], model["threshold"]) == (2, 0.1)


def test_a_density_map_is_counted(photo: Path, tmp_path: Path) -> None:
    """White is one head per 100 pixels."""
    pixels = np.full((50, 60, 3), 255, np.uint8)
    cv2.imwrite(str(photo), pixels)
    density = write_tiny_map(tmp_path / "density.onnx", DensityConfig())
    assert count(photo, density) == 30
    outcome = crowdpoint("predict", photo, "--model", density, "--json")
    assert json.loads(outcome.out)["points"] is None
    for options in (("--out", tmp_path / "out"), ("--out", tmp_path / "out", "--save", "heatmap")):
        outcome = crowdpoint("predict", photo, "--model", density, *options)
        assert outcome.code == 1
        assert "tiny: its method counts and does not locate; leave out --zones, and choose" in outcome.err
    kept = ("--out", tmp_path / "out", "--save", "counts,panel")
    assert crowdpoint("predict", photo, "--model", density, *kept).code == 0


@pytest.mark.parametrize(
    "command",
    [("serve", "--port", 0), ("batch", "photos", "out"), ("video", "street.mp4", "--csv", "counts.csv")],
)
def test_commands_that_need_points_refuse_a_density_map_at_once(
    command: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("street.mp4").touch()
    cv2.imwrite("photos/a.png", np.zeros((20, 30, 3), np.uint8))
    density = write_tiny_map(tmp_path / "density.onnx", DensityConfig())
    outcome = crowdpoint(*command, "--model", density)
    assert outcome.code == 2
    assert "its method counts and does not locate" in outcome.err
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "street.mp4", "density.onnx"}


def test_a_density_map_is_evaluated_by_its_count(tmp_path: Path) -> None:
    density = write_tiny_map(tmp_path / "density.onnx", DensityConfig())
    data = write_shanghaitech(tmp_path / "data", images=2, split="test")
    arguments = ("evaluate", density, "--data", data, "--dataset", "shanghaitech-a")
    outcome = crowdpoint(*arguments, "--json")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert report["mae"] > 0
    assert (report["localization"], report["nap"]) == ({}, None)
    assert "MAE" in crowdpoint(*arguments).out
    for options in (("--save", tmp_path / "points.csv"), ("--report", tmp_path / "page")):
        outcome = crowdpoint(*arguments, *options)
        assert outcome.code == 2
        assert "density: its method counts and does not locate" in outcome.err


def test_wrong_settings_are_wrong_usage(photo: Path, peaks: Path, tmp_path: Path) -> None:
    proposals = write_tiny(tmp_path / "tiny.onnx")
    for model, setting, complaint in (
        (
            peaks,
            "kernal=5",
            "no such setting: kernal; there are kernel, adaptive, negative_threshold, smooth",
        ),
        (peaks, "kernel=4", "kernel: Value error, expected an odd number"),
        (peaks, "kernel", "--set kernel: expected key=value"),
        (proposals, "kernel=5", "no such setting: kernel; there are radius, floor"),
    ):
        outcome = crowdpoint("predict", photo, "--model", model, "--set", setting)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith("crowdpoint: ")
        assert complaint in outcome.err
        assert outcome.err.count("\n") == 1
