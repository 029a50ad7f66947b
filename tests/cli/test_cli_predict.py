import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from command_line import crowdpoint
from PIL import Image
from tiny_models import info, write_tiny, write_tiny_map

from crowdpoint import formats, images
from crowdpoint.methods.fidtm.config import FIDTMConfig
from crowdpoint.methods.p2pnet.config import P2PNetConfig
from crowdpoint.outputs import lock_folder
from crowdpoint.predict import Predictor
from crowdpoint.predict.progress import Progress
from crowdpoint.recipe import IntervalConfig


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos with 1, 2 and 0 bright dots, one of them in a folder below."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name, dots in (("a.png", [(4, 4)]), ("b.png", [(4, 4), (40, 20)]), ("sub/a.png", [])):
        image = np.zeros((64, 96, 3), np.uint8)
        for x, y in dots:
            image[y, x] = 255
        Image.fromarray(image).save(folder / name)
    return folder


def _pixels(path: Path) -> npt.NDArray[np.uint8]:
    return images.read(path)


def test_json_lines(tiny: Path, photos: Path) -> None:
    outcome = crowdpoint("predict", photos, "--model", tiny, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    first, second, third = map(json.loads, outcome.out.splitlines())
    assert first == {
        "image": str(photos / "a.png"),
        "width": 96,
        "height": 64,
        "count": 1,
        "count_low": None,
        "count_high": None,
        "warning": None,
        "scale": 1.0,
        "model": "tiny",
        "points": [{"x": 4.0, "y": 4.0, "score": pytest.approx(1, abs=1e-3)}],
    }
    assert [(p["x"], p["y"]) for p in second["points"]] == [(4, 4), (44, 20)]
    assert (third["count"], third["points"]) == (0, [])


def test_plain_lines(tiny: Path, photos: Path) -> None:
    outcome = crowdpoint("predict", photos / "b.png", "--model", tiny)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"{photos / 'b.png'}: 2 (96x64, ")


def test_a_calibrated_model_has_intervals(tmp_path: Path, photos: Path) -> None:
    sure = P2PNetConfig(interval=IntervalConfig(below=1.2, above=2.5))
    model = write_tiny(tmp_path / "sure.onnx", info(sure).metadata())
    outcome = crowdpoint("predict", photos / "b.png", "--model", model)
    assert outcome.out.startswith(f"{photos / 'b.png'}: 2 [0, 5] (96x64, ")
    outcome = crowdpoint("predict", photos / "b.png", "--model", model, "--json")
    record = json.loads(outcome.out)
    assert (record["count"], record["count_low"], record["count_high"]) == (2, 0, 5)
    outcome = crowdpoint("predict", photos / "b.png", "--model", model, "--json", "--threshold", 0.9)
    assert json.loads(outcome.out)["count_low"] is None, "it was calibrated at another threshold"


def test_heads_of_unusual_sizes_cause_a_warning(tmp_path: Path, photos: Path) -> None:
    model = write_tiny_map(tmp_path / "map.onnx", FIDTMConfig(regressor="lite", predict_sizes=True))
    photo = photos / "b.png"
    outcome = crowdpoint("predict", photo, "--model", model, "--save", "counts", "--out", tmp_path / "out")
    warning = "some heads are larger than the model knows, up to "
    assert f"{photo}: {warning}" in outcome.err
    with (tmp_path / "out/counts.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["warning"].startswith(warning)
    outcome = crowdpoint("predict", photo, "--model", model, "--json")
    assert json.loads(outcome.out)["warning"] == row["warning"]


def test_a_table_on_a_terminal(tiny: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    monkeypatch.setenv("COLUMNS", "200")
    outcome = crowdpoint("predict", photos, "--model", tiny)
    assert outcome.code == 0
    assert "3 images" in outcome.out
    assert str(photos / "sub" / "a.png") in outcome.out
    assert "predicting" in outcome.err


def test_json_on_a_terminal_stays_on_stdout(
    tiny: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    outcome = crowdpoint("predict", photos, "--model", tiny, "--json")
    assert [json.loads(line)["count"] for line in outcome.out.splitlines()] == [1, 2, 0]


def test_files(tiny: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    outcome = crowdpoint(
        "predict",
        photos,
        "--model",
        tiny,
        "--out",
        out,
        "--save",
        "points,overlay,heatmap,blur",
        "--format",
        "json",
    )
    assert outcome.code == 0
    saved = formats.read(out / "points.json")
    assert {image: len(points) for image, points in saved.items()} == {
        "a.png": 1,
        "b.png": 2,
        "sub/a.png": 0,
    }
    for kind in ("overlay", "heatmap", "blur"):
        written = sorted(str(p.relative_to(out / kind)) for p in (out / kind).rglob("*.*"))
        assert written == ["a.jpg", "b.jpg", "sub/a.jpg"]
        assert _pixels(out / kind / "b.jpg").shape == (64, 96, 3)
    x, y = 4, 4
    assert _pixels(out / "overlay" / "a.jpg")[y, x].max() > 150


def test_points_and_overlay_are_the_default(tiny: Path, photos: Path, tmp_path: Path) -> None:
    crowdpoint("predict", photos / "a.png", "--model", tiny, "--out", tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").glob("[!.]*")) == ["overlay", "points.csv"]
    with (tmp_path / "out" / "points.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["image"], float(row["x"]), float(row["y"])) == ("a.png", 4, 4)


def test_same_names_do_not_overwrite_each_other(tiny: Path, photos: Path, tmp_path: Path) -> None:
    sources = (photos / "a.png", photos / "sub" / "a.png")
    crowdpoint("predict", *sources, "--model", tiny, "--out", tmp_path / "out")
    overlays = tmp_path / "out" / "overlay"
    assert sorted(overlays.rglob("*.jpg")) == [overlays / photos.name / "a.jpg", overlays / "sub" / "a.jpg"]
    assert list(formats.read(tmp_path / "out" / "points.csv")) == [f"{photos.name}/a.png", "sub/a.png"]


def test_outputs_inside_the_input_folder_are_not_predicted(tiny: Path, photos: Path) -> None:
    for _ in range(2):
        outcome = crowdpoint("predict", photos, "--model", tiny, "--out", photos / "out")
        assert len(outcome.out.splitlines()) == 3


def test_threshold(tiny: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8, 3), 100, np.uint8)).save(tmp_path / "grey.png")
    for threshold, count in ((0.3, 1), (0.5, 0)):
        outcome = crowdpoint(
            "predict", tmp_path / "grey.png", "--model", tiny, "--threshold", threshold, "--json"
        )
        assert json.loads(outcome.out)["count"] == count


def test_broken_files_are_reported_and_the_rest_is_done(tiny: Path, photos: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff garbage")
    outcome = crowdpoint("predict", photos / "none.jpg", photos, "--model", tiny, "--json")
    assert outcome.code == 1
    assert [json.loads(line)["count"] for line in outcome.out.splitlines()] == [1, 2, 0]
    missing, broken, closing = outcome.err.splitlines()
    assert missing == f"crowdpoint: {photos / 'none.jpg'}: not found"
    assert broken.startswith(f"crowdpoint: {photos / 'broken.jpg'}: ")
    assert closing == "crowdpoint: 5 images, 2 failed"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGALRM")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # the limit may strike in `open`
def test_an_image_that_takes_too_long_fails(tiny: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.new("RGB", (3000, 2000)).save(large)
    outcome = crowdpoint("predict", large, "--model", tiny, "--timeout", 0.001)
    assert outcome.code == 1
    assert f"crowdpoint: {large}: took longer than 0.001 s; --timeout sets the limit" in outcome.err


def test_secrets_of_urls_are_never_shown(tiny: Path, tmp_path: Path) -> None:
    """Port 1 refuses; the second protocol is unknown, which ends the command."""
    url = "http://user:hush@127.0.0.1:1/a.jpg?token=hush"
    run = ("--model", tiny, "--save", "counts", "--out", tmp_path, "--json")
    outcome = crowdpoint("predict", url, *run)
    assert outcome.code == 1
    assert "crowdpoint: http://***@127.0.0.1:1/a.jpg?token=***: download failed" in outcome.err
    assert "download failed" in (table := (tmp_path / "counts.csv").read_text())
    unknown = crowdpoint("predict", "nope://user:hush@host/a.jpg", *run)
    assert unknown.code == 2
    assert "hush" not in outcome.err + outcome.out + table + unknown.err


def test_the_table_counts_failures(tiny: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff garbage")
    outcome = crowdpoint("predict", photos, "--model", tiny)
    assert outcome.code == 1
    assert "4 images, 1 failed" in outcome.out


def test_counts_have_a_row_for_each_image(
    tiny: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff garbage")
    monkeypatch.chdir(tmp_path)
    command = ("predict", "none.jpg", photos, "--model", tiny, "--save")
    for extra, folder in ((("counts",), tmp_path), (("points,counts", "--out", "out"), tmp_path / "out")):
        outcome = crowdpoint(*command, *extra)
        assert outcome.code == 1
        with (folder / "counts.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = ["name", "width", "height", "count", "low", "high", "warning", "scale", "seconds", "error"]
        assert list(rows[0]) == columns
        assert {row["low"] + row["high"] for row in rows} == {""}, "the model has no interval"
        assert [row["name"] for row in rows] == ["none.jpg", "a.png", "b.png", "broken.jpg", "sub/a.png"]
        assert [row["count"] for row in rows] == ["", "1", "2", "", "0"]
        assert (rows[1]["width"], rows[1]["height"], rows[1]["error"]) == ("96", "64", "")
        assert [row["scale"] for row in rows] == ["", "1", "1", "", "1"]
        assert float(rows[1]["seconds"]) > 0
        assert rows[0]["error"] == "not found"
        assert rows[3]["error"].startswith("cannot be read as an image: ")
        assert sum(float(row["seconds"] or 0) for row in rows) < 60
    assert not (tmp_path / "points.csv").exists()


def test_counts_have_the_interval_of_the_model(
    tiny: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "interval", lambda _, points, scales: (0, len(points) + 3))
    crowdpoint("predict", photos, "--model", tiny, "--out", tmp_path / "out", "--save", "counts")
    with (tmp_path / "out" / "counts.csv").open(newline="") as file:
        assert [(row["low"], row["high"]) for row in csv.DictReader(file)] == [("0", v) for v in "453"]


def test_counts_replace_no_other_table(tiny: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as those of a video, which its documentation calls counts.csv, too."""
    monkeypatch.chdir(photos)
    command = ("predict", "a.png", "--model", tiny, "--save", "counts")
    for _ in range(2):
        assert crowdpoint(*command).code == 0
    Path("counts.csv").write_text("frame,seconds,count\n0,0,7\n")
    outcome = crowdpoint(*command)
    assert outcome.code == 2
    assert "counts.csv: was not written by predict, and would be replaced; give another --out" in outcome.err
    assert "0,0,7" in Path("counts.csv").read_text()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("points.csv", "image,x,y\na.png,1,2\n"),
        ("counts.csv", "frame,seconds,count\n0,0,7\n"),
        ("zones.csv", "name,area\ngate,12\n"),
    ],
)
def test_tables_in_the_output_folder_replace_no_others(
    tiny: Path, photos: Path, tmp_path: Path, name: str, content: str
) -> None:
    out, zones = tmp_path / "out", tmp_path / "zones.yaml"
    zones.write_text("zones: [{name: gate, polygon: [[0, 0], [96, 0], [96, 64]]}]")
    command = ("predict", photos / "a.png", "--model", tiny, "--out", out, "--save", "points,counts")
    for _ in range(2):
        assert crowdpoint(*command, "--zones", zones).code == 0, "a run replaces its own tables"
    before = {path: path.read_text() for path in out.glob("*.csv")}
    assert len(before) == 3
    before[out / name] = content
    (out / name).write_text(content)
    outcome = crowdpoint(*command, "--zones", zones)
    assert outcome.code == 2
    assert f"{name}: was not written by predict, and would be replaced" in outcome.err
    assert {path: path.read_text() for path in out.glob("*.csv")} == before


@pytest.mark.parametrize(
    "content", ["{}", "[]", '[{"data": {"image": "a.png"}}]', '[\n{"id": 1}\n]\n', "image,x,y,score\n"]
)
def test_a_json_file_of_another_kind_is_not_replaced(
    tiny: Path, photos: Path, tmp_path: Path, content: str
) -> None:
    points = tmp_path / "out" / "points.json"
    command = ("predict", photos / "a.png", "--model", tiny, "--out", tmp_path / "out", "--save", "points")
    for before in ("", "[\n\n]\n"):
        assert crowdpoint(*command, "--format", "json").code == 0, "a run replaces its own file"
        points.write_text(before)
    points.write_text(content)
    outcome = crowdpoint(*command, "--format", "json")
    assert (outcome.code, points.read_text()) == (2, content)
    assert "points.json: was not written by predict, and would be replaced; give another --" in outcome.err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
def test_a_full_disk_behind_the_output_is_one_line(tiny: Path, photos: Path) -> None:
    command = [sys.executable, "-m", "crowdpoint", "predict", str(photos), "--model", str(tiny), "--json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "crowdpoint: output: No space left on device\n"


def test_an_image_that_cannot_be_drawn_has_one_row(tiny: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "overlay").touch()
    command = ("predict", photos / "a.png", "--model", tiny, "--out", tmp_path / "out")
    assert crowdpoint(*command, "--save", "counts,overlay").code == 1
    with (tmp_path / "out" / "counts.csv").open(newline="") as file:
        assert [(row["name"], row["count"]) for row in csv.DictReader(file)] == [("a.png", "1")]


def test_a_folder_that_cannot_be_written_is_one_line(tiny: Path, photos: Path, tmp_path: Path) -> None:
    for name, found in (
        ("points.csv", "is a folder, but csv is one file"),
        ("counts.csv", "cannot be written"),
    ):
        (tmp_path / "out" / name / "inside").mkdir(parents=True)
        command = ("predict", photos, "--model", tiny, "--out", tmp_path / "out")
        outcome = crowdpoint(*command, "--save", name.removesuffix(".csv"))
        assert (outcome.code, outcome.out) == (1, "")
        (line,) = outcome.err.splitlines()
        assert line.startswith(f"crowdpoint: {tmp_path / 'out' / name}: {found}")


KILLED = """
import os, signal, sys
from crowdpoint.cli import main
from crowdpoint.predict import Predictor
whole, images, name = Predictor.search, [], sys.argv.pop()
def search(self, image, *others, **options):
    images.append(image)
    if len(images) == 3:
        os.kill(os.getpid(), getattr(signal, name))
    return whole(self, image, *others, **options)
Predictor.search = search
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("name", "format_"), [("SIGTERM", "csv"), ("SIGKILL", "json")])
def test_a_killed_run_keeps_finished_results(
    tiny: Path, photos: Path, tmp_path: Path, name: str, format_: str
) -> None:
    zones = tmp_path / "zones.yaml"
    zones.write_text("zones: [{name: all, polygon: [[0, 0], [96, 0], [96, 64]]}]")
    out = tmp_path / "out"
    arguments = ("predict", photos, "--model", tiny, "--out", out, "--save", "points,counts,overlay")
    command = [*arguments, "--zones", zones, "--format", format_, name]
    done = subprocess.run([sys.executable, "-c", KILLED, *map(str, command)], check=False)
    assert done.returncode == -getattr(signal, name)
    assert list(formats.read(out / f"points.{format_}")) == ["a.png", "b.png"]
    assert [line[:1] for line in (out / "counts.csv").read_text().splitlines()] == ["n", "a", "b"]
    assert [line[:1] for line in (out / "zones.csv").read_text().splitlines()] == ["i", "a", "b"]
    assert len(list((out / "overlay").iterdir())) == 2


def test_unwritable_pictures_do_not_affect_points(tiny: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "overlay").touch()
    outcome = crowdpoint("predict", photos, "--model", tiny, "--out", tmp_path / "out")
    assert outcome.code == 1
    *errors, closing = outcome.err.splitlines()
    assert [line.split(": ")[2][:12] for line in errors] == ["cannot be wr"] * 3
    assert closing == "crowdpoint: 3 images, 3 failed"
    assert list(formats.read(tmp_path / "out" / "points.csv")) == ["a.png", "b.png", "sub/a.png"]


def test_interrupted_runs_keep_finished_results(
    tiny: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Predictor.search
    calls = iter(range(3))

    def search(self: Predictor, image: npt.NDArray[np.uint8], progress: Progress) -> object:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return whole(self, image, progress)

    monkeypatch.setattr(Predictor, "search", search)
    monkeypatch.setenv("FORCE_COLOR", "1")  # a table, as on a terminal
    outcome = crowdpoint("predict", photos, "--model", tiny, "--out", tmp_path / "out")
    assert outcome.code == 130
    assert "2 images" in outcome.out, "not all three, which the total would seem to be of"
    assert list(formats.read(tmp_path / "out" / "points.csv")) == ["a.png", "b.png"]
    assert len(list((tmp_path / "out" / "overlay").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.jpg"], "no image to predict; none.jpg: not found"),
        ([], "Missing argument"),
        (["a.png", "--save", "points"], "--save needs --out"),
        (
            ["a.png", "--out", "x", "--save", "points,movie"],
            "expected a comma-separated list of points, counts, overlay",
        ),
        *(
            (["a.png", "--out", "x", "--save", value], "expected a comma-separated list")
            for value in ("", "counts,", ",counts", "points,,counts")
        ),
        *(
            (["a.png", "--format", value], "--format needs --out DIR; for JSON on stdout use --json")
            for value in ("csv", "json", "gpkg")
        ),
        (["a.png", "--out", "x", "--save", "counts", "--format", "gpkg"], "--format needs --save points"),
        (["a.png", "--out", "tiny.onnx"], "is a file"),
        (["a.png", "--threshold", "2"], "--threshold"),
        (["a.png", "--timeout", "inf"], "expected a finite number, found inf"),
        (["a.png", "--format", "xml"], "--format"),
    ],
)
def test_usage_errors(
    tiny: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tiny.parent)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("a.png")
    outcome = crowdpoint("predict", *arguments, "--model", tiny)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())
    assert outcome.out == ""


def test_a_folder_that_cannot_be_made_is_reported(tiny: Path, photos: Path) -> None:
    outcome = crowdpoint("predict", photos, "--model", tiny, "--out", tiny / "out")
    assert (outcome.code, outcome.out) == (1, "")
    assert f"{tiny / 'out'}: cannot be written" in outcome.err


def test_bad_model_is_one_line(photos: Path, tmp_path: Path) -> None:
    outcome = crowdpoint("predict", photos, "--model", "p2pnet-light", "--out", tmp_path / "new" / "out")
    assert (outcome.code, outcome.out) == (2, "")
    assert not (tmp_path / "new").exists()
    assert outcome.err == (
        "crowdpoint: p2pnet-light: no such model, file or folder; did you mean p2pnet-lite or p2pnet-vgg16?\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, names are text")
def test_a_file_name_that_is_not_utf_8_fails_alone(tiny: Path, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    content = (photos / "a.png").read_bytes()
    for name in (b"caf\xe9.png", b"ok.png"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(content)
    out = tmp_path / "out"
    outcome = crowdpoint("predict", folder, "--model", tiny, "--out", out)
    assert outcome.code == 0
    assert f"{folder}/caf%E9.png: " in outcome.out
    assert set(formats.read(out / "points.csv")) == {"caf%E9.png", "ok.png"}
    assert sorted(path.name for path in (out / "overlay").iterdir()) == ["caf%E9.jpg", "ok.jpg"]


def test_two_runs_do_not_write_into_one_folder(tiny: Path, photos: Path, tmp_path: Path) -> None:
    with lock_folder(tmp_path / "out"):
        outcome = crowdpoint("predict", photos / "a.png", "--model", tiny, "--out", tmp_path / "out")
    assert outcome.code == 1
    assert "another run is writing here" in outcome.err
    assert not (tmp_path / "out" / "points.csv").exists()


def test_names_with_characters_that_the_terminal_lacks(tiny: Path, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "人群.png"
    path.write_bytes((photos / "a.png").read_bytes())
    command = [
        sys.executable,
        "-c",
        "from crowdpoint.cli import main; main()",
        "predict",
        str(path),
        "--model",
        str(tiny),
    ]
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0
    assert rb"\u4eba\u7fa4.png: " in done.stdout
