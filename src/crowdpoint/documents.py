"""Parse the text of YAML documents, which may come from strangers."""

from itertools import chain
from typing import Any

import yaml

MAX_VALUES = 1_000_000
"""Maximum number of values of a document, counted each time that an alias repeats them."""

MAX_DIGITS = 1000
"""Maximum length of a number; the time to convert one in base 60, such as `1:30`, is quadratic."""


def parse_yaml(text: str) -> Any:
    """Parse plain values from YAML.

    Raises:
        ValueError: if the text is not YAML, nests too deeply, exceeds a limit, repeats a key, or has an
            impossible value.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _count_values(node, {}) > MAX_VALUES:
            raise ValueError(f"its aliases repeat more than {MAX_VALUES} values")
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("its lists or mappings are nested too deeply") from error
    except (AttributeError, LookupError, OverflowError) as error:  # PyYAML's own, as for `!!bool x`
        raise ValueError("a value does not fit its type or tag") from error


def _count_values(node: yaml.Node, known: dict[yaml.Node, int]) -> int:
    """Count the values below a node with repetitions, and check keys and the length of numbers."""
    if node not in known:
        known[node] = MAX_VALUES  # in case that it contains itself
        inner: Any = ()
        if isinstance(node, yaml.MappingNode):
            _require_distinct_keys(node)
            inner = chain.from_iterable(node.value)
        elif isinstance(node, yaml.SequenceNode):
            inner = node.value
        elif node.tag.endswith((":int", ":float")) and len(node.value) > MAX_DIGITS:
            raise ValueError(f"a number of {len(node.value)} digits, the limit is {MAX_DIGITS}")
        known[node] = 1 + sum(_count_values(child, known) for child in inner)
    return known[node]


def _require_distinct_keys(mapping: yaml.MappingNode) -> None:
    """Check that no key is repeated: PyYAML would silently drop all values but the last."""
    lines: dict[tuple[str, str], int] = {}
    for key, _ in mapping.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        line, name = key.start_mark.line + 1, (key.tag, key.value)
        if name in lines:
            raise ValueError(
                f"{key.value} occurs twice, in lines {lines[name]} and {line}; delete one of them"
            )
        lines[name] = line
