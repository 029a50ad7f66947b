"""`crowdpoint check` on drawn datasets."""

import json
from pathlib import Path

import drawn_datasets as drawn
import pytest
from command_line import crowdpoint
from drawn_datasets import HEADS, save_mat

ARGUMENTS = ("check", "--dataset", "ucf-cc-50", "--data")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    drawn.ucf_cc_50(tmp_path)
    return tmp_path


def spoil(dataset: Path) -> None:
    (dataset / "2_ann.mat").unlink()
    save_mat(dataset / "3_ann.mat", annPoints=[*HEADS, [70.0, 5]])


def test_a_whole_dataset(dataset: Path) -> None:
    assert crowdpoint(*ARGUMENTS, dataset) == (0, "5 images, 15 heads: no faults\n", "")
    outcome = crowdpoint(*ARGUMENTS, dataset, "--json")
    assert (outcome.code, outcome.out) == (0, "")
    assert "no faults" in outcome.err


def test_faults_are_lines_with_their_place(dataset: Path) -> None:
    spoil(dataset)
    outcome = crowdpoint(*ARGUMENTS, dataset)
    assert outcome.code == 1
    missing, outside, summary = outcome.out.splitlines()
    assert missing == f"{dataset / '2_ann.mat'}: error: missing annotation: no such file; 2 needs it"
    assert outside.startswith(f"{dataset / '3_ann.mat'}: warning: head outside: head 4 at (70, 5) is outside")
    assert summary == "5 images, 13 heads: 1 missing annotation (error), 1 head outside (warning)"


def test_a_terminal_gets_a_table(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "300")
    spoil(dataset)
    outcome = crowdpoint(*ARGUMENTS, dataset)
    assert outcome.code == 1
    assert "┃" in outcome.out
    assert str(dataset / "2_ann.mat") in outcome.out


@pytest.mark.parametrize("terminal", [False, True])
def test_names_do_not_drive_the_terminal(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "300")
    (dataset / "\x1b[35mp\nx.jpg").write_bytes(b"no image")
    outcome = crowdpoint(*ARGUMENTS, dataset)
    assert outcome.code == 1
    assert "\x1b[35mp" not in outcome.out
    assert f"{dataset}/%1B[35mp%0Ax.jpg" in outcome.out
    assert "%1B[35mp%0Ax_ann.mat" in outcome.out


def test_names_in_warnings_do_not_drive_the_terminal(tmp_path: Path) -> None:
    for name in ("a.png", "\x1b[35m/b.png"):
        drawn.draw_image(tmp_path / name)
    (tmp_path / "a.txt").write_text("1 2\n")
    outcome = crowdpoint("check", "--dataset", "folder", "--data", tmp_path)
    assert "leaves out 1 image in subfolders without annotations: %1B[35m\n" in outcome.err


def test_json_has_an_object_for_each_fault(dataset: Path) -> None:
    spoil(dataset)
    outcome = crowdpoint(*ARGUMENTS, dataset, "--json", "--split", "train")
    assert outcome.code == 1
    missing, outside = map(json.loads, outcome.out.splitlines())
    assert missing == {
        "severity": "error",
        "kind": "missing annotation",
        "path": str(dataset / "2_ann.mat"),
        "line": None,
        "message": "no such file; 2 needs it",
        "image": str(dataset / "2.jpg"),
    }
    assert (outside["severity"], outside["image"]) == ("warning", str(dataset / "3.jpg"))
    assert "1 head outside (warning)" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", ".", "--dataset", "ucf"), "expected one of shanghaitech-a"),
        (("--data", ".", "--dataset", "ucf-qnrf", "--split", "val"), "expected one of train, test, all"),
        (("--data", "nowhere", "--dataset", "ucf-qnrf"), "'nowhere' does not exist"),
    ],
)
def test_usage_errors(arguments: tuple[str, ...], message: str) -> None:
    outcome = crowdpoint("check", *arguments)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.replace("│", " ").split())
