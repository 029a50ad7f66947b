"""Apply overrides in the form `a.b=c`, with values in YAML."""

from collections.abc import Iterable
from typing import Any

from crowdpoint.documents import parse_yaml
from crowdpoint.errors import ConfigError


def settings(overrides: Iterable[str]) -> dict[str, Any]:
    """Convert overrides to a nested mapping.

    Raises:
        ConfigError: if they are one text, an override is not `a.b=c`, or its value is not YAML.
    """
    if isinstance(overrides, str):
        raise ConfigError(f"overrides: expected a list of key=value, found the text {overrides!r}")
    values: dict[str, Any] = {}
    for override in overrides:
        apply(values, override)
    return values


def apply(values: dict[str, Any], override: str) -> None:
    """Set the value of an override in nested mappings and lists, and create missing sections."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: expected key=value, such as optimizer.rate=1e-4")
    *sections, leaf = key.split(".")
    node: Any = values
    for section in sections:
        index = _parse_index(node, section, override)
        node = node[index] if isinstance(node, list) else node.setdefault(index, {})
        if not isinstance(node, dict | list):
            raise ConfigError(f"--set {override}: {section} is a value, not a section")
    try:
        value = parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"--set {override}: the value is not YAML: {error}") from error
    node[_parse_index(node, leaf, override)] = value


def _parse_index(node: dict[str, Any] | list[Any], key: str, override: str) -> Any:
    if isinstance(node, dict):
        return key
    if not key.isdecimal() or int(key) >= len(node):
        raise ConfigError(f"--set {override}: expected an index from 0 to {len(node) - 1}, found {key}")
    return int(key)
