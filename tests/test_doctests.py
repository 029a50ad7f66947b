"""The examples in docstrings print what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import crowdpoint

ROOT = Path(crowdpoint.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_docstring_examples(path: Path) -> None:
    failed, attempted = doctest.testmod(importlib.import_module(_name(path)))
    assert attempted
    assert not failed
