"""Each skipped test says why and, unless it needs another system, the command that brings it."""

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMAND = re.compile(r": (pip install|apt-get install|export|git checkout|sysctl) ")
SYSTEM = re.compile(r"sys\.platform|os\.name|Linux|Windows")


def _skips() -> Iterator[tuple[str, str]]:
    """Where tests are skipped, and the source of the call with the constants that it names."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: ast.unparse(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "pytest.skip",
                "pytest.importorskip",
                "pytest.mark.skipif",
            ):
                names = [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
                text = [ast.unparse(node), *(constants.get(name, "") for name in names)]
                yield f"{path.relative_to(ROOT)}:{node.lineno}", " ".join(text)


@pytest.mark.parametrize(("place", "text"), list(_skips()))
def test_a_skipped_test_says_how_it_is_brought(place: str, text: str) -> None:
    assert COMMAND.search(text) or SYSTEM.search(text), place


@pytest.mark.parametrize("code", [0, 1])
def test_check_lists_at_its_end_what_was_skipped(tmp_path: Path, code: int) -> None:
    line = "SKIPPED [1] tests/test_a.py:3: no PostgreSQL: export CROWDPOINT_POSTGRES=..."
    stub = tmp_path / "python"
    stub.write_text(f"#!/bin/sh\necho '{line}'\necho '9 passed'\nexit {code}\n")
    stub.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [ROOT / "scripts" / "check", "tests"], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.endswith(f"9 passed\n== skipped tests\n{line}\n")
