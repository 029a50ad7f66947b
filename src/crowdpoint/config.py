"""Load recipes from YAML and validate them with the configuration of their method."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from crowdpoint.errors import ConfigError
from crowdpoint.methods import METHODS
from crowdpoint.overrides import apply
from crowdpoint.recipe import Recipe
from crowdpoint.sections import read_values, validate

RECIPES = Path(__file__).parent / "recipes"


def find_recipe(name: str | Path) -> Path:
    """Find the file of a recipe, given its path or the name of a shipped one with or without `.yaml`.

    Raises:
        ConfigError: if there is no such file, with the names of the shipped ones.
    """
    path = Path(name)
    shipped = RECIPES / (path.name if path.suffix == ".yaml" else f"{path.name}.yaml")
    # A name with a folder is a path: a shipped recipe would silently replace a file that is missing.
    for candidate in (path, shipped) if str(name) == path.name else (path,):
        if candidate.is_file():
            return candidate
    names = ", ".join(sorted(recipe.stem for recipe in RECIPES.glob("*.yaml")))
    raise ConfigError(f"{name}: no such recipe; give a YAML file or one of: {names}")


def load_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Load a recipe and apply `a.b=c` overrides, whose values are YAML.

    Raises:
        ConfigError: if the file is missing, unreadable or not YAML, or a key or a value is invalid.
    """
    found = find_recipe(path)
    return parse_recipe(read_values(found), str(found), overrides)


def parse_recipe(values: Any, source: str, overrides: Iterable[str] = ()) -> Recipe:
    """Validate the parsed YAML of a recipe with overrides; errors as `load_recipe`, naming `source`."""
    if not isinstance(values, dict):
        raise ConfigError(f"{source}: expected a mapping of sections, found {type(values).__name__}")
    for override in overrides:
        apply(values, override)
    model = values.get("model")
    method = model.get("method") if isinstance(model, dict) else None
    if not isinstance(method, str) or method not in METHODS:
        raise ConfigError(f"{source}: model.method: expected one of {', '.join(METHODS)}, found {method}")
    kind: type[Recipe] = METHODS[method].recipe
    return validate(kind, values, source)
