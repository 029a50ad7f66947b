import dataclasses
import json
from pathlib import Path

import pytest
from command_line import crowdpoint
from tiny_models import INFO, write_tiny, write_tiny_map

from crowdpoint.methods.density.config import DensityConfig


def test_json(tiny: Path) -> None:
    outcome = crowdpoint("bench", tiny, "--size", "64x32", "--runs", 3, "--threads", 1, "--json")
    assert outcome.code == 0
    figures = json.loads(outcome.out)
    assert figures["model"] == "tiny"
    assert (figures["width"], figures["height"], figures["runs"]) == (64, 32, 3)
    assert figures["parameters"] == INFO.parameters
    assert figures["macs"] == 9 * 64 * 32
    assert (figures["device"], figures["precision"]) == ("cpu", "fp32")
    assert 0 < figures["milliseconds_min"] <= figures["milliseconds"] <= figures["milliseconds_max"]
    slowest, fastest = 1000 / figures["milliseconds_max"], 1000 / figures["milliseconds_min"]
    assert slowest * 0.9 <= figures["images_per_second"] <= fastest * 1.1
    assert figures["peak_memory_mb"] is None or 20 < figures["peak_memory_mb"] < 100_000


def test_the_table_marks_unrecorded_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    bare = dataclasses.replace(INFO, parameters=None, macs_per_pixel=None)
    path = write_tiny(tmp_path / "bare.onnx", bare.metadata())
    outcome = crowdpoint("bench", path, "--size", "16x16", "--runs", 1)
    assert outcome.code == 0
    assert "16x16 pixels, median of 1 runs" in outcome.out
    assert outcome.out.count("not recorded") == 2


def test_a_method_that_counts_is_timed_too(tmp_path: Path) -> None:
    path = write_tiny_map(tmp_path / "density.onnx", DensityConfig())
    outcome = crowdpoint("bench", path, "--size", "32x32", "--runs", 1, "--json")
    assert json.loads(outcome.out)["milliseconds"] > 0


def test_several_models_have_a_row_each(tiny: Path) -> None:
    command = ("bench", tiny, "fidtm-csrnet", "--size", "32x16", "--runs", 1, "--device", "cpu")
    outcome = crowdpoint(*command, "--json")
    assert outcome.code == 0, outcome.err
    small, large = map(json.loads, outcome.out.splitlines())
    assert (small["model"], large["model"]) == ("tiny", "fidtm-csrnet")
    assert large["parameters"] == 16_263_489, "without weights there still is a network"
    if small["peak_memory_mb"] is not None:
        assert small["peak_memory_mb"] < large["peak_memory_mb"] - 60, (
            "the large network adds 65 MB of weights"
        )
    table = crowdpoint(*command).out
    assert all(word in table for word in ("MACs (G)", "FPS", "tiny", "16.26", "fp32, cpu"))


@pytest.mark.parametrize("size", ["1024", "0x8", "8x", "axb", "-8x8", "8x8x8"])
def test_bad_size(tiny: Path, size: str) -> None:
    outcome = crowdpoint("bench", tiny, "--size", size)
    assert outcome.code == 2
    assert "expected width x height" in outcome.err


def test_a_missing_extra_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino" / "__init__.py").write_text(
        'raise ModuleNotFoundError(name="openvino")\n', "utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)  # which the process that measures inherits
    outcome = crowdpoint("bench", "p2pnet-lite", "--engine", "openvino", "--size", "32x32", "--runs", 1)
    assert outcome.code == 2
    assert "pip install 'crowdpoint[openvino]'" in outcome.err


def test_a_dying_process_is_reported(tmp_path: Path) -> None:
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino" / "__init__.py").write_text("import os\nos._exit(9)\n", "utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(tmp_path)
        outcome = crowdpoint("bench", "p2pnet-lite", "--engine", "openvino", "--size", "32x32", "--runs", 1)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        "crowdpoint: p2pnet-lite: its process died, probably for lack of memory; choose a smaller --size\n"
    )


def test_unknown_model() -> None:
    outcome = crowdpoint("bench", "p2pnet-lit")
    assert outcome.code == 2
    assert "did you mean p2pnet-lite" in outcome.err


def test_names_are_checked_before_the_work_and_finished_rows_are_printed(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    command = ("bench", tiny, tmp_path / "broken.onnx", "--size", "16x16", "--runs", 1)
    outcome = crowdpoint(*command)
    assert outcome.code == 2
    assert "median of 1 runs" in outcome.out
    assert "broken.onnx" in outcome.err
    outcome = crowdpoint(*command, "nosuch")
    assert (outcome.code, outcome.out) == (2, "")
    assert "nosuch: no such model" in outcome.err
