import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
from command_line import crowdpoint
from drawn_batches import draw_photos, images, rows
from drawn_rasters import noise, write_raster
from tiny_models import write_tiny_map

from crowdpoint import containers
from crowdpoint.batch.model import PortableModel
from crowdpoint.batch.parts import ChunkResult
from crowdpoint.batch.store import Store
from crowdpoint.methods.fidtm.config import FIDTMConfig
from crowdpoint.outputs import lock_folder
from crowdpoint.predict import Predictor
from crowdpoint.recipe import IntervalConfig

COMMAND = [sys.executable, "-c", "from crowdpoint.cli import main; main()", "batch"]


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    assert condition()


def test_two_tables(tiny: Path, tmp_path: Path) -> None:
    photos = draw_photos(tmp_path / "in", 12)
    bad = tmp_path / "in" / "bad.jpg"
    bad.write_text("no image")
    out = tmp_path / "out"
    outcome = crowdpoint("batch", tmp_path / "in", out, "--model", tiny, "--workers", 2, "--json")
    assert outcome.code == 1
    assert f"crowdpoint: {bad}: not a {containers.KINDS}\n" in outcome.err
    summary = json.loads(outcome.out)
    assert summary.pop("seconds") > 0
    assert summary == {
        "output": str(out),
        "model": "tiny",
        "threshold": 0.5,
        "images": 13,
        "predicted": 12,
        "failed": 1,
        "predicted_before": 0,
        "failed_before": 0,
        "missing": 0,
        "people": 12,
    }
    assert images(out) == Counter([*photos, str(bad)])
    row = next(row for row in rows(out, "points") if row["image"] == photos[-1])
    assert row == {
        "image": photos[-1],
        "width": 96,
        "height": 64,
        "count": 2,
        "count_low": None,
        "count_high": None,
        "warning": None,
        "scale": 1,
        "model": "tiny",
        "threshold": 0.5,
        "x": [4.0, 44.0],
        "y": [4.0, 4.0],
        "score": [pytest.approx(1, abs=1e-3)] * 2,
    }
    assert rows(out, "failures") == [{"image": str(bad), "error": f"not a {containers.KINDS}"}]


def test_rows_have_the_interval_and_the_warning_that_predict_prints(tmp_path: Path) -> None:
    interval = IntervalConfig(below=1, above=2.5)
    config = FIDTMConfig(regressor="lite", predict_sizes=True, interval=interval)
    model = write_tiny_map(tmp_path / "sizes.onnx", config)
    draw_photos(tmp_path / "in", 2)
    outcome = crowdpoint("batch", tmp_path / "in", tmp_path / "out", "--model", model, "--workers", 1)
    assert outcome.code == 0, outcome.err
    printed = crowdpoint("predict", tmp_path / "in", "--model", model, "--json").out
    expected = {record["image"]: record for record in map(json.loads, printed.splitlines())}
    found = rows(tmp_path / "out", "points")
    assert len(found) == 2
    assert any(row["warning"] for row in found)
    for row in found:
        record = expected[str(row["image"])]
        for key in ("count", "count_low", "count_high", "warning"):
            assert row[key] == record[key], key
        assert row["count_high"] is not None
        assert round(float(str(row["scale"])), 4) == record["scale"]


def test_rasters_are_read_as_predict_does(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    picture = np.zeros((5, 64, 96))
    picture[:, 20, 40] = picture[:, 50, 90] = 255
    kinds = (("deep", 3, np.uint16), ("float", 1, np.float32), ("five", 5, np.uint8))
    for name, count, kind in kinds:
        write_raster(folder / f"{name}.tif", picture[:count].astype(kind))
    rasters = sorted(folder.iterdir())
    rasterio.shutil.copy(folder / "five.tif", folder / "virtual.vrt", driver="VRT")
    broken = write_raster(folder / "broken.tif", noise(64, 64)[None, ..., 0], compress="deflate")
    broken.write_bytes(broken.read_bytes()[:-1000])
    outcome = crowdpoint("batch", folder, tmp_path / "out", "--model", tiny, "--workers", 1)
    assert outcome.code == 1
    found = {row["image"]: (row["x"], row["y"]) for row in rows(tmp_path / "out", "points")}
    assert found == {str(path): ([44, 92], [20, 52]) for path in rasters}
    failures = {row["image"]: str(row["error"]) for row in rows(tmp_path / "out", "failures")}
    assert list(failures) == [str(broken)]  # a folder does not stand for virtual rasters
    assert failures[str(broken)].startswith("cannot read window")
    again = crowdpoint("batch", folder, tmp_path / "out", "--model", tiny, "--workers", 1, "--allow-vrt")
    assert again.code == 1
    found = {row["image"]: (row["x"], row["y"]) for row in rows(tmp_path / "out", "points")}
    assert found[str(folder / "virtual.vrt")] == ([44, 92], [20, 52])


def test_a_scale(tiny: Path, tmp_path: Path) -> None:
    (photo,) = draw_photos(tmp_path / "in", 2)[1:]
    options = ("--model", tiny, "--workers", 1, "--threshold", 0.3, "--scale", 2)
    assert crowdpoint("batch", photo, tmp_path / "out", *options).code == 0
    (row,) = rows(tmp_path / "out", "points")
    expected = Predictor.load(tiny, threshold=0.3, scale=2).predict(photo)
    assert (row["x"], row["y"]) == tuple(expected.xy.T.tolist())
    assert expected != Predictor.load(tiny, threshold=0.3).predict(photo)


def test_a_rerun_predicts_new_images_and_on_request_failures(tiny: Path, tmp_path: Path) -> None:
    photos = draw_photos(tmp_path / "in", 3)
    bad = tmp_path / "in" / "bad.png"
    bad.write_text("no image")
    command = ("batch", tmp_path / "in", tmp_path / "out", "--model", tiny, "--workers", 1)
    assert crowdpoint(*command).code == 1
    before = sorted((tmp_path / "out" / "points").iterdir())
    bad.write_bytes(Path(photos[0]).read_bytes())
    new = tmp_path / "in" / "new.png"
    new.write_bytes(Path(photos[0]).read_bytes())
    outcome = crowdpoint(*command)
    assert outcome.code == 1
    assert "1 of 5 images predicted, 0 people; 0 failed, 3 were there before, 1 failed before" in outcome.out
    assert "--retry-failures" in outcome.out
    assert images(tmp_path / "out", "failures") == Counter([str(bad)])
    assert crowdpoint(*command, "--retry-failures").code == 0
    assert images(tmp_path / "out", "points") == Counter([*photos, str(bad), str(new)])
    assert not images(tmp_path / "out", "failures")
    assert set(before) < set((tmp_path / "out" / "points").iterdir())
    assert crowdpoint(*command).code == 0


def test_many_failures_are_not_all_printed(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(20):
        (tmp_path / "in" / f"{number}.jpg").touch()
    outcome = crowdpoint("batch", tmp_path / "in", tmp_path / "out", "--model", tiny, "--workers", 1)
    assert outcome.code == 1
    assert outcome.err.count("the file is empty") == 10
    assert outcome.err.count("more images failed; the table `failures` has them all\n") == 1


def test_an_output_in_another_store(tiny: Path, tmp_path: Path) -> None:
    import fsspec

    draw_photos(tmp_path / "in", 3)
    store = fsspec.filesystem("memory")
    command = ("batch", f"file://{tmp_path}/in", "memory://cli/out", "--model", tiny, "--workers", 1)
    assert crowdpoint(*command).code == 0
    assert len(store.glob("memory://cli/out/points/*.parquet")) == 3
    assert "3 were there before" in crowdpoint(*command).out
    store.rm("memory://cli", recursive=True)


def test_ctrl_c_keeps_finished_results(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = draw_photos(tmp_path / "in", 12)
    write = Store.write

    def interrupted(store: Store, part: ChunkResult) -> None:
        if images(tmp_path / "out"):
            raise KeyboardInterrupt
        write(store, part)

    command = ("batch", tmp_path / "in", tmp_path / "out", "--model", tiny, "--workers", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", interrupted)
        outcome = crowdpoint(*command)
    assert outcome.code == 130
    assert "stopped; run the same command again to resume" in outcome.err
    assert images(tmp_path / "out").total() == 3
    assert crowdpoint(*command).code == 0
    assert images(tmp_path / "out") == Counter(photos)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_kill_9_of_the_command_and_of_a_worker(tiny: Path, tmp_path: Path) -> None:
    photos = draw_photos(tmp_path / "in", 120)
    out = tmp_path / "out"
    options = [tmp_path / "in", out, "--model", tiny, "--workers", 2, "--chunk", 4]
    process = subprocess.Popen([*COMMAND, *map(str, options)], stdout=subprocess.PIPE)
    try:
        wait_for(lambda: images(out))
        workers = _workers(process.pid)
        os.kill(workers[0], signal.SIGKILL)
        wait_for(lambda: set(_workers(process.pid)) - set(workers) or process.poll() is not None)
        workers += _workers(process.pid)
    finally:
        process.kill()
        process.communicate()
    done = images(out, "points")
    assert 0 < done.total() < len(photos)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    outcome = crowdpoint("batch", *options)
    assert outcome.code == 0
    assert f"{len(photos) - done.total()} of 120 images predicted" in outcome.out
    assert images(out, "points") == Counter(photos)
    assert not images(out, "failures")


def _workers(parent: int) -> list[int]:
    """The processes that `parent` has spawned to predict."""
    children = Path(f"/proc/{parent}/task").glob("*/children")
    found = [int(pid) for path in children for pid in path.read_text().split()]
    return [pid for pid in found if b"spawn_main" in _command_line(pid)]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:  # it has ended meanwhile
        return b""


def test_plain_progress(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_photos(tmp_path / "in", 3)
    monkeypatch.setattr("crowdpoint.console.LINE_SECONDS", 0.0)
    outcome = crowdpoint("batch", tmp_path / "in", tmp_path / "out", "--model", tiny, "--workers", 1)
    assert "predicting: 3 of 3 images, " in outcome.err


def test_a_bar_on_a_terminal(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_photos(tmp_path / "in", 3)
    monkeypatch.setenv("FORCE_COLOR", "1")
    outcome = crowdpoint(
        "batch", tmp_path / "in", tmp_path / "out", "--model", tiny, "--workers", 1, "--json"
    )
    assert "predicting" in outcome.err
    assert json.loads(outcome.out)["predicted"] == 3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["{in}", "{out}", "--threshold", "0.25"], "threshold 0.5, expected threshold 0.25"),
        (["{in}", "{out}", "--scale", "2"], "scale auto, expected scale 2.0"),
        (["{in}", "{out}", "--scale", "0"], "expected auto or a factor above 0, found 0"),
        (["{in}", "{model}"], "cannot be created"),
        (["{in}", "no-such://out"], "Protocol not known: no-such"),
        (["{in}/nope", "{out}"], "no image to predict; "),
        (["{in}"], "Missing argument"),
        (["{in}", "{out}", "--engine", "abacus"], "abacus"),
        (["{in}", "{out}", "--workers", "0"], "workers"),
        (["{in}", "{out}", "--model", "p2pnet-light"], "did you mean p2pnet-lite"),
    ],
)
def test_wrong_usage(tiny: Path, tmp_path: Path, arguments: list[str], expected: str) -> None:
    draw_photos(tmp_path / "in", 1)
    Store(str(tmp_path / "out"), PortableModel.inspect(str(tiny)))
    command = ["batch", "--model", str(tiny), "--workers", "1"]
    places = {"in": tmp_path / "in", "out": tmp_path / "out", "model": tiny}
    outcome = crowdpoint(*command, *(argument.format(**places) for argument in arguments))
    assert outcome.code == 2
    assert expected in outcome.err


def test_missing_inputs_are_reported_and_the_rest_is_predicted(tiny: Path, tmp_path: Path) -> None:
    draw_photos(tmp_path / "in", 1)
    outcome = crowdpoint(
        "batch", tmp_path / "in", tmp_path / "nope", tmp_path / "out", "--model", tiny, "--workers", 1
    )
    assert outcome.code == 1
    assert f"{tmp_path}/nope: no such file" in outcome.err
    assert images(tmp_path / "out").total() == 1


def test_left_out_photos_and_videos_are_reported(tiny: Path, tmp_path: Path) -> None:
    draw_photos(tmp_path / "in", 1)
    for name in ("raw/a.DNG", "street.mp4", "notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    outcome = crowdpoint("batch", tmp_path / "in", tmp_path / "out", "--model", tiny, "--workers", "1")
    assert outcome.code == 0
    assert "2 files are left out: 1 .dng, 1 .mp4 (save photos as JPEG to count them; crow" in outcome.err
    outcome = crowdpoint("batch", tmp_path / "in" / "raw", tmp_path / "raw", "--model", tiny)
    assert outcome.code == 2
    assert "1 file is left out: 1 .dng" in " ".join(outcome.err.split())


def test_a_video_names_its_command(tiny: Path, tmp_path: Path) -> None:
    draw_photos(tmp_path / "in", 1)
    video = tmp_path / "street.MP4"
    video.touch()
    told = f"{video}: is a video; count the people in it with: crowdpoint video {video}"
    outcome = crowdpoint("batch", tmp_path / "in", video, tmp_path / "out", "--model", tiny, "--workers", 1)
    assert outcome.code == 1
    assert f"crowdpoint: {told}\n" in outcome.err
    assert images(tmp_path / "out").total() == 1
    outcome = crowdpoint("batch", video, tmp_path / "none", "--model", tiny)
    assert outcome.code == 2
    assert told in " ".join(outcome.err.split())


@pytest.mark.parametrize(("package", "extra"), [("fsspec", "batch"), ("ray", "ray")])
def test_a_missing_extra(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, extra: str
) -> None:
    draw_photos(tmp_path / "in", 1)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "crowdpoint.batch.cluster", raising=False)
    outcome = crowdpoint("batch", tmp_path / "in", tmp_path / "out", "--model", tiny, "--ray", "auto")
    assert outcome.code == 2
    assert f"pip install 'crowdpoint[{extra}]'" in outcome.err


def test_two_runs_do_not_write_into_one_folder(tiny: Path, tmp_path: Path) -> None:
    draw_photos(tmp_path / "in", 1)
    with lock_folder(tmp_path / "out"):
        outcome = crowdpoint("batch", tmp_path / "in", tmp_path / "out", "--model", tiny, "--workers", 1)
    assert outcome.code == 1
    assert "another run is writing here" in outcome.err
    assert not list((tmp_path / "out" / "points").iterdir())
