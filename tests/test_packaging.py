"""What others see of the project: the wheel, its metadata, the citation, the container and the release."""

import re
import zipfile
from pathlib import Path

import pytest
import yaml
from pages import DOCS, ROOT, blocks

from crowdpoint.version import __version__

MIB = 2**20


def test_the_wheel_is_small_typed_and_has_the_weights_once(tmp_path: Path) -> None:
    wheels = pytest.importorskip(
        "hatchling.builders.wheel", reason="hatchling is not installed: pip install -e '.[dev]'"
    )
    (path,) = wheels.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        (metadata,) = (wheel.read(name).decode() for name in names if name.endswith("/METADATA"))
    assert Path(path).stat().st_size < 15 * MIB
    assert {"crowdpoint/py.typed", "crowdpoint/web/page/index.html"} <= set(names)
    weights = [name for name in names if name.startswith("crowdpoint/weights/")]
    assert sorted(weights) == ["crowdpoint/weights/fidtm-lite.onnx", "crowdpoint/weights/p2pnet-lite.onnx"]
    assert f"Version: {__version__}" in metadata
    assert "Classifier: Typing :: Typed" in metadata


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert (citation["version"], citation["license"]) == (__version__, "Apache-2.0")
    assert [paper["notes"] for paper in citation["references"]] == ["P2PNet", "FIDTM"]


def test_the_container_is_that_of_the_page() -> None:
    (block,) = blocks(DOCS / "deployment.md", "dockerfile")
    assert block.strip() == (ROOT / "Containerfile").read_text().strip()


def test_the_release_waits_for_its_checks() -> None:
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    jobs = release["jobs"]
    assert set(jobs["publish"]["needs"]) == jobs.keys() - {"publish"}
    steps = [step.get("run", "") + step.get("uses", "") for step in jobs["build"]["steps"]]
    for wanted in ("python -m build", "twine check", "attest-build-provenance"):
        assert any(wanted in step for step in steps)
    assert jobs["build"]["permissions"]["attestations"] == "write"


@pytest.mark.parametrize("name", ["bug", "count"])
def test_issue_forms_ask_for_something(name: str) -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text())
    assert any(field.get("validations", {}).get("required") for field in form["body"])
    for command in re.findall(r"`(crowdpoint [^`]+)`", str(form)):
        assert command.split()[1] in ("--version", "predict")
