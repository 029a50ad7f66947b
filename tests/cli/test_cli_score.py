"""`crowdpoint score` on files of points."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import crowdpoint
from PIL import Image

from crowdpoint import formats
from crowdpoint.points import Points

TRUTH = "1 2 10 10 4 9 0 50 50 2 3 1\n2 1 7 7 5 6 0\n3 0\n"
PREDICTED = "1 2 10 15 50 53\n2 0\n3 1 4 4\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    pred, gt = tmp_path / "pred.txt", tmp_path / "gt.txt"
    pred.write_text(PREDICTED)
    gt.write_text(TRUTH)
    return pred, gt


def test_json_has_the_metrics_by_sigma(files: tuple[Path, Path]) -> None:
    pred, gt = files
    outcome = crowdpoint("score", "--pred", pred, "--gt", gt, "--json")
    assert outcome.code == 0
    report = json.loads(outcome.out)
    assert report.pop("seconds") > 0
    assert report == {
        "images": 3,
        "mae": pytest.approx(2 / 3),
        "rmse": pytest.approx((2 / 3) ** 0.5),
        "nae": 0.5,
        "localization": {
            "4": {
                "precision": pytest.approx(1 / 3),
                "recall": pytest.approx(1 / 3),
                "f1": pytest.approx(1 / 3),
            },
            "8": {
                "precision": pytest.approx(2 / 3),
                "recall": pytest.approx(2 / 3),
                "f1": pytest.approx(2 / 3),
            },
        },
        "nap": None,
    }


def test_sigmas_are_distances_ranges_or_the_files_own(files: tuple[Path, Path]) -> None:
    pred, gt = files
    outcome = crowdpoint(
        *("score", "--pred", pred, "--gt", gt, "--json"),
        *("--sigma", "3", "--sigma", "file", "--sigma", "1:5", "--sigma", "2.5"),
    )
    found = {key: score["recall"] * 3 for key, score in json.loads(outcome.out)["localization"].items()}
    assert found == pytest.approx({"3": 1, "2.5": 0, "1:5": (0 + 0 + 1 + 1 + 2) / 5, "s": 0, "l": 2})


def test_boxes_give_the_sigmas_of_other_formats(tmp_path: Path) -> None:
    heads = Points(np.array([(10.0, 10), (40.0, 40)]), sizes=np.array([(6.0, 8), (20.0, 4)]))
    formats.write(tmp_path / "gt.csv", {"a": heads, "b": Points.empty()})
    formats.write(tmp_path / "pred.json", {"a": Points(heads.xy + np.float32(2)), "b": Points.empty()})
    files = ("--pred", tmp_path / "pred.json", "--gt", tmp_path / "gt.csv")
    outcome = crowdpoint("score", *files, "--json", "--sigma", "file")
    recall = {key: score["recall"] for key, score in json.loads(outcome.out)["localization"].items()}
    assert recall == {"s": 0.5, "l": 1}

    formats.write(tmp_path / "gt.csv", {"a": Points(heads.xy), "b": Points.empty()})
    outcome = crowdpoint("score", *files, "--sigma", "file")
    assert outcome.code == 1
    assert "gt.csv: --sigma file needs a box for every head, image a has none" in outcome.err


def test_nap_comes_with_scores(tmp_path: Path) -> None:
    heads = Points(np.array([(10.0, 10), (40.0, 40)]))
    formats.write(tmp_path / "gt.csv", {"a": heads})
    formats.write(tmp_path / "pred.csv", {"a": Points(heads.xy, np.array([0.9, 0.5]))})
    files = ("--pred", tmp_path / "pred.csv", "--gt", tmp_path / "gt.csv")
    assert json.loads(crowdpoint("score", *files, "--json").out)["nap"] == {
        "0.05": 1, "0.25": 1, "0.5": 1, "mean": 1,
    }  # fmt: skip
    table = crowdpoint("score", *files).out
    for text in ("MAE", "RMSE", "nAP, mean", "100.00 %"):
        assert text in table


def test_files_without_scores_are_scored_without_importing_scipy(files: tuple[Path, Path]) -> None:
    """Its import takes longer than a small dataset."""
    program = (
        "import sys; from crowdpoint.cli import app; "
        f"app(['score', '--pred', {str(files[0])!r}, '--gt', {str(files[1])!r}, '--json'], "
        "standalone_mode=False); print('scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_both_files_hold_the_same_images(files: tuple[Path, Path]) -> None:
    pred, gt = files
    pred.write_text("1 1 5 5\n2 0\n")
    outcome = crowdpoint("score", "--pred", pred, "--gt", gt)
    assert outcome.code == 1
    assert f"{pred}: lacks 1 of the other file's images (3)" in outcome.err
    pred.write_text("".join(f"{image} 1 5 5\n" for image in range(1, 12)))
    outcome = crowdpoint("score", "--pred", pred, "--gt", gt)
    assert f"{gt}: lacks 8 of the other file's images (10, 11, 4, 5, 6, ...)" in outcome.err


def test_names_may_lack_folders_and_endings(tmp_path: Path) -> None:
    points = Points(np.array([[5, 5]]), image_size=(9, 9))
    truth = {"a.jpg": points, "b.jpg": Points.empty((9, 9))}
    formats.write(tmp_path / "gt.json", truth)
    formats.write(tmp_path / "pred.json", {"photos/b.jpg": Points.empty((9, 9)), "photos/a.jpg": points})
    command = ("score", "--pred", tmp_path / "pred.json", "--gt", tmp_path / "gt.json", "--json")
    assert json.loads(crowdpoint(*command).out)["localization"]["4"]["f1"] == 1
    formats.write(tmp_path / "gt.json", {**truth, "b.png": points})
    outcome = crowdpoint(*command)
    assert outcome.code == 1, "the other b has no prediction"
    assert "lacks 1 of the other file's images (b.png), the nearest to the first is b.jpg;" in outcome.err


def test_files_without_images_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("image,x,y\n")
    outcome = crowdpoint("score", "--pred", empty, "--gt", empty)
    assert outcome.code == 1
    assert "empty.csv: holds no image" in outcome.err


@pytest.fixture
def systems(tmp_path: Path) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    truth = {f"{name}.png": Points(rng.uniform(0, 50, (9, 2)).astype(np.float32)) for name in "abcdef"}
    paths = {name: tmp_path / f"{name}.csv" for name in ("gt", "near", "far")}
    formats.write(paths["gt"], truth)
    for name, distance in (("near", 1), ("far", 6)):
        moved = {
            image: Points(heads.xy[: 8 - distance] + np.float32(distance)) for image, heads in truth.items()
        }
        formats.write(paths[name], moved)
    return paths


def test_several_systems_are_compared(systems: dict[str, Path]) -> None:
    files = ("--pred", systems["near"], "--pred", systems["far"], "--gt", systems["gt"])
    near, far, comparison = map(json.loads, crowdpoint("score", *files, "--json").out.splitlines())
    for found in (near, far):
        alone = crowdpoint("score", "--pred", systems[found["system"]], "--gt", systems["gt"], "--json")
        assert found == {"system": found["system"], **json.loads(alone.out), "seconds": found["seconds"]}
    assert (near["system"], far["system"]) == ("near", "far")
    assert (comparison["first"], comparison["second"], comparison["images"]) == ("near", "far", 6)
    assert comparison["mae"] == {"value": -5, "low": -5, "high": -5, "p_value": 2 / 2**6}
    assert comparison["f1"]["4"]["value"] == near["localization"]["4"]["f1"] - far["localization"]["4"]["f1"]
    table = crowdpoint("score", *files).out
    for text in ("near minus far", "−5.00", "−5.00 to −5.00", "0.0312", "Wilcoxon"):
        assert text in table.replace("\u00a0", " ")


def test_report_with_pictures(systems: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "photos" / "night").mkdir(parents=True)
    for name in "abc":
        Image.new("RGB", (60, 60)).save(tmp_path / "photos" / "night" / f"{name}.png")
    files = ("--pred", systems["near"], "--gt", systems["gt"], "--report", tmp_path / "page")
    outcome = crowdpoint("score", *files, "--images", tmp_path / "photos")
    page = tmp_path / "page" / "index.html"
    assert (outcome.code, outcome.err) == (0, f"report: {page}\n")
    text = page.read_text(encoding="utf-8")
    assert "near" in text
    assert 0 < text.count("data:image/jpeg") <= 3

    outcome = crowdpoint("score", *files, "--images", tmp_path / "photos" / "night" / "*.jpg")
    assert outcome.code == 1
    assert "--images: " in outcome.err
    (tmp_path / "other").mkdir()
    Image.new("RGB", (60, 60)).save(tmp_path / "other" / "z.png")
    outcome = crowdpoint("score", *files, "--images", tmp_path / "other")
    assert outcome.code == 1
    assert "none of the 1 images is called as an image of --gt, such as a.png, found z" in outcome.err


def test_systems_need_different_names_and_images_need_a_report(
    systems: dict[str, Path], tmp_path: Path
) -> None:
    gt = systems["gt"]
    outcome = crowdpoint("score", "--pred", gt, "--pred", gt, "--gt", gt)
    assert outcome.code == 2
    assert "expected files that differ" in outcome.err
    (tmp_path / "more").mkdir()
    copy = shutil.copy(gt, tmp_path / "more" / "gt.csv")
    outcome = crowdpoint("score", "--pred", gt, "--pred", copy, "--gt", gt, "--json")
    names = [json.loads(line).get("system") for line in outcome.out.splitlines()]
    assert names[:2] == [f"{gt.parent.name}/gt", "more/gt"]
    outcome = crowdpoint("score", "--pred", gt, "--gt", gt, "--images", tmp_path)
    assert outcome.code == 2
    assert "give --report" in outcome.err


@pytest.mark.parametrize("sigma", ["four", "-1", "8:4", "1:", "nan", ""])
def test_a_bad_sigma_is_a_usage_error(files: tuple[Path, Path], sigma: str) -> None:
    pred, gt = files
    outcome = crowdpoint("score", "--pred", pred, "--gt", gt, f"--sigma={sigma}")
    assert outcome.code == 2
    assert "expected pixels such as 4" in outcome.err


def test_sizes_of_images_must_agree(tmp_path: Path) -> None:
    heads = np.array([(10.0, 10), (40.0, 40)], np.float32)
    formats.write(tmp_path / "gt.csv", {"a": Points(heads, image_size=(120, 100))})
    formats.write(tmp_path / "pred.csv", {"a": Points(heads / np.float32(2), image_size=(60, 50))})
    outcome = crowdpoint("score", "--pred", tmp_path / "pred.csv", "--gt", tmp_path / "gt.csv")
    assert (outcome.code, outcome.out) == (1, "")
    assert "pred.csv: image a: states (60, 50) pixels, but " in outcome.err


def test_a_system_that_finds_nothing_has_no_average_precision(tmp_path: Path) -> None:
    formats.write(tmp_path / "gt.csv", {"a": Points(np.array([(10, 10)], np.float32))})
    formats.write(tmp_path / "pred.csv", {"a": Points.empty()})
    files = ("--pred", tmp_path / "pred.csv", "--gt", tmp_path / "gt.csv", "--json")
    for more in ((), ("--report", tmp_path / "report")):
        assert json.loads(crowdpoint("score", *files, *more).out)["nap"]["mean"] == 0
