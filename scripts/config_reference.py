"""Writes the generated parts of docs/training.md: the shipped recipes, and every field of a recipe.

A test compares; after a change of the configuration run `python scripts/config_reference.py`.
"""

import json
from collections.abc import Container, Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from crowdpoint.config import RECIPES
from crowdpoint.methods import METHODS
from crowdpoint.recipe import ModelConfig, Recipe
from crowdpoint.sections import Section

PAGE = Path(__file__).parents[1] / "docs" / "training.md"

BOUNDS = {Ge: "at least {0.ge:g}", Gt: "above {0.gt:g}", Le: "at most {0.le:g}", Lt: "below {0.lt:g}"}


def updated(page: str) -> str:
    """The page with its generated parts as they should be."""
    shared = {below for kind in (Recipe, ModelConfig) for below in _below(kind)} - {ModelConfig}
    parts = [("recipes", _recipes()), ("fields of every recipe", _fields(Recipe))]
    parts += [(f"fields of {name}", _fields(method.recipe, known=shared)) for name, method in METHODS.items()]
    for name, lines in parts:
        begin, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"{PAGE}: expected a part from {begin.strip()} to {end}")
        page = f"{before}{begin}\n" + "\n".join(lines).strip() + f"\n\n{end}{after}"
    return page


def _recipes() -> Iterator[str]:
    yield "| recipe | what it is |"
    yield "|---|---|"
    for path in sorted(RECIPES.glob("*.yaml")):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        yield f"| `{path.stem}` | {first.removeprefix('#').strip()} |"


def _fields(section: type[Section], prefix: str = "", known: Container[object] = ()) -> Iterator[str]:
    """A table of a section's own values, then one part for each section below it that is not known."""
    own = {name: field for name, field in section.model_fields.items() if not _sections(field.annotation)}
    if own:
        yield "| key | values | default | meaning |"
        yield "|---|---|---|---|"
    for name, field in own.items():
        meaning = " ".join((field.description or "").split())
        yield f"| `{prefix}{name}` | {_values(field)} | {_default(field)} | {meaning} |"
    for name, field in section.model_fields.items():
        key = f"{prefix}{name}" + (".0" if get_origin(field.annotation) is tuple else "")
        for below in _sections(field.annotation):
            if below not in known:
                yield from ("", f"#### `{key}`", "", (below.__doc__ or "").strip(), "")
                yield from _fields(below, f"{key}.", known)


def _below(section: type[Section]) -> list[type[Section]]:
    return [one for field in section.model_fields.values() for one in _sections(field.annotation)]


def _sections(annotation: Any) -> list[type[Section]]:
    """The sections that a value of this type is or holds."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections(part)]


def _values(field: FieldInfo) -> str:
    bounds = [BOUNDS[type(bound)].format(bound) for bound in field.metadata if type(bound) in BOUNDS]
    choice = get_args(field.annotation)
    kind = choice[0] if NoneType in choice else field.annotation
    text = f"{_type(kind)} {' and '.join(bounds)}".strip()
    return f"{text}, or `null`" if NoneType in choice else text


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        items = ("…" if item is ... else _type(item) for item in get_args(annotation))
        return f"[{', '.join(items)}]"
    return str(annotation.__name__)


def _default(field: FieldInfo) -> str:
    return "required" if field.is_required() else f"`{json.dumps(field.default)}`"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
