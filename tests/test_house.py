"""What must hold of the project as a whole."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import config_reference
import pytest
from test_imports import MODULES, ROOT, imports, is_torch_side, module_name, room

from crowdpoint import datasets, folders, formats
from crowdpoint.version import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PROVIDERS = importlib.metadata.packages_distributions()
EXTRAS = {
    "batch": ("batch", "ray"),
    "containers": ("heif",),
    "counts": ("video",),
    "formats": ("geo", "mat"),
    "gdal": ("geo",),
    "integrations": ("fiftyone", "integrations", "video"),
    "opening": ("batch",),
    "predict": ("openvino",),
    "rasters": ("geo",),
    "report": ("report",),
    "train": ("mlflow", "wandb"),
    "video": ("video",),
    "web": ("serve",),
    "zones": ("zones",),
    "zoo": ("hub",),
}
"""Room -> the extras whose packages it may import."""
TEXTS = [
    ROOT / name
    for name in (
        "NOTICE",
        "pyproject.toml",
        "mkdocs.yml",
        ".pre-commit-config.yaml",
        "scripts/check",
        ".ci/run",
    )
]
TEXTS += sorted(ROOT.glob("*.md"))
for folder in ("src", "tests", "scripts", "benchmarks", "docs", "examples"):
    TEXTS += sorted(path for suffix in ("py", "md", "yaml") for path in (ROOT / folder).rglob(f"*.{suffix}"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES.values(), ids=_name)
def test_what_is_imported_is_declared(path: Path) -> None:
    declared = list(PROJECT["dependencies"])
    torch_side = ("train",) if is_torch_side(path) else ()
    for extra in (*torch_side, *EXTRAS.get(room(module_name(path)), ())):
        declared += PROJECT["optional-dependencies"][extra]
    known = {_normal(re.split(r"[<>=;\[ ]", requirement)[0]) for requirement in declared}
    for name in {found.target.partition(".")[0] for found in imports(path) if not found.typing}:
        if name not in sys.stdlib_module_names | {"crowdpoint"}:
            assert known & {_normal(distribution) for distribution in (name, *PROVIDERS.get(name, ()))}, name


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


@pytest.mark.parametrize("path", MODULES.values(), ids=_name)
def test_files_are_short_and_have_a_purpose(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text))
    assert path.stem not in ("utils", "helpers", "common", "misc")


def test_test_files_have_names_of_their_own() -> None:
    names = Counter(path.name for path in (ROOT / "tests").rglob("*.py"))
    assert [name for name, count in names.items() if count > 1] == []


# The brackets keep these two lines from finding themselves.
FORBIDDEN = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|f[a]rms?)\b|(?<![\w.])/(work|home|Users|root)/\w")
FORBIDDEN_IN_PROSE = re.compile(r"\b(s[e]ssion|i[s]sue|h[e]lper)s?\b|state-of-the-art|blazing|seamless", re.I)


@pytest.mark.parametrize("path", TEXTS, ids=_name)
def test_the_project_speaks_of_its_subject_alone(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [found.group() for found in FORBIDDEN.finditer(text)] == []
    if path.suffix == ".md":
        assert [found.group() for found in FORBIDDEN_IN_PROSE.finditer(text)] == []


def test_the_changelog_knows_the_version() -> None:
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_configuration_reference_is_up_to_date() -> None:
    page = config_reference.PAGE.read_text(encoding="utf-8")
    assert config_reference.updated(page) == page, "run `python scripts/config_reference.py`"


def test_the_configuration_reference_wants_its_place() -> None:
    with pytest.raises(ValueError, match="generated: recipes"):
        config_reference.updated("# Training\n")


def test_the_formats_page_names_every_format() -> None:
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    for known in formats.FORMATS.values():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{known.name}` |"))
        assert all(f"`{suffix}`" in row for suffix in known.suffixes)
    for name in (*datasets.DATASETS, *folders.IMAGE_SUFFIXES):
        assert f"`{name}`" in page


@pytest.mark.parametrize("script", ["scripts/check", ".ci/run"])
def test_scripts_are_valid_and_can_be_run(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111 == 0o111
    subprocess.run(["bash", "-n", script], cwd=ROOT, check=True)


def test_check_refuses_unknown_parts() -> None:
    done = subprocess.run([ROOT / "scripts" / "check", "luck"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "luck" in done.stderr
