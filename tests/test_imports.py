"""Which module imports which: floors, no circles, and torch only on its side of the wall."""

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "crowdpoint"

TORCH_PACKAGES = {
    *("torch", "torchvision", "lightning", "lightning_fabric", "safetensors", "tensorboard", "onnxscript")
}
TORCH_SIDE = re.compile(
    r"crowdpoint\.(backbones|checkpoint|train|export|predict\.torch"
    r"|methods\.\w+\.(network|assignment|ssim|loss))(\.|$)"
)
"""Modules that may import torch; nobody else imports them when imported itself."""


BASE = {"filelock", "numpy", "pydantic", "typer", "yaml"}
"""Packages that are always installed, and quick to import."""

LAZY = {"PIL", "cv2", "onnxruntime", "resource", "rich", "scipy"}
"""Packages that functions import, beside the optional ones: slow to import, or missing on Windows."""


class Import(NamedTuple):
    """One import of a module.

    Attributes:
        target: full name of what is imported, a module or a package of it.
        at_start: whether it happens when the module is imported, and not in a function.
        typing: whether it is for type checkers alone.
    """

    target: str
    at_start: bool
    typing: bool


def module_name(path: Path) -> str:
    """`crowdpoint.predict.engine` of `src/crowdpoint/predict/engine.py`; a package has its folder's name."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def is_torch_side(path: Path) -> bool:
    """Whether a module may import torch."""
    return TORCH_SIDE.match(module_name(path)) is not None


def imports(path: Path) -> Iterator[Import]:
    """Every import of a module, wherever it stands."""
    yield from _imports(ast.parse(path.read_text(encoding="utf-8")), at_start=True, typing=False)


def _imports(node: ast.AST, *, at_start: bool, typing: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, at_start, typing) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            for alias in child.names:
                full = f"{child.module}.{alias.name}"
                yield Import(full if full in MODULES else child.module, at_start, typing)
        else:
            yield from _imports(
                child,
                at_start=at_start and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef),
                typing=typing or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)),
            )


def room(module: str) -> str:
    """The part of the package that a module belongs to."""
    return module.split(".")[1] if "." in module else "__init__"


def floors() -> dict[str, int]:
    """Room -> floor, from the table in CONTRIBUTING.md."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return {name: int(floor) for floor, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", page, re.MULTILINE)}


def test_the_table_has_every_room() -> None:
    assert floors().keys() == {room(module) for module in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_no_module_imports_from_its_own_floor_or_a_higher_one(module: str) -> None:
    """Its room's modules apart; in functions and for type checkers, too."""
    floor = floors()
    wrong = [
        found.target
        for found in imports(MODULES[module])
        if found.target.split(".")[0] == "crowdpoint"
        and room(found.target) != room(module)
        and floor[room(found.target)] >= floor[room(module)]
    ]
    assert wrong == []


def test_no_circles() -> None:
    graph = {
        module: {found.target for found in imports(path) if found.at_start and not found.typing} - {module}
        for module, path in MODULES.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("module", [name for name in MODULES if not TORCH_SIDE.match(name)])
def test_torch_stays_on_its_side(module: str) -> None:
    found = [one for one in imports(MODULES[module]) if not one.typing]
    assert [one.target for one in found if one.target.split(".")[0] in TORCH_PACKAGES] == []
    assert [one.target for one in found if one.at_start and TORCH_SIDE.match(one.target)] == []


def _needs_laziness(target: str) -> bool:
    """Whether an import loads a slow, optional or torch package, by itself or by what it imports."""
    if TORCH_SIDE.match(target):
        return True
    if target not in MODULES:
        package = target.split(".")[0]
        return package in LAZY or (package != "crowdpoint" and package not in BASE | sys.stdlib_module_names)
    pending, seen = [target], set()
    while pending:
        module = pending.pop()
        if module not in seen:
            seen.add(module)
            if (package := module.rpartition(".")[0]) in MODULES:  # is imported before it
                pending.append(package)
            found = {one.target for one in imports(MODULES[module]) if one.at_start and not one.typing}
            if any(_needs_laziness(one) for one in found - MODULES.keys()):
                return True
            pending += found & MODULES.keys()
    return False


@pytest.mark.parametrize("module", MODULES)
def test_functions_import_only_what_is_slow_or_optional(module: str) -> None:
    found = {one.target for one in imports(MODULES[module]) if not one.at_start and not one.typing}
    assert [target for target in found if not _needs_laziness(target)] == []
