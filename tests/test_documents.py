"""YAML of strangers."""

from pathlib import Path

import pytest

from crowdpoint.config import load_recipe
from crowdpoint.documents import parse_yaml
from crowdpoint.errors import ConfigError

BOMB = "0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{level}: &a{level} [{', '.join(10 * [f'*a{level - 1}'])}]\n" for level in range(1, 10)
)
"""Ten billion values in 600 bytes."""


def test_plain_values() -> None:
    assert parse_yaml("a: [1, 2.5, true, null, x]") == {"a": [1, 2.5, True, None, "x"]}
    assert parse_yaml("a: &a [1]\nb: *a\nc: {<<: {d: 1:30}}") == {"a": [1], "b": [1], "c": {"d": 90}}
    assert parse_yaml("a: [{b: 1}, {b: 2}]\n1: x\n'1': y") == {"a": [{"b": 1}, {"b": 2}], 1: "x", "1": "y"}
    assert parse_yaml("a: &a {d: 1}\nb: {<<: *a, d: 2}") == {"a": {"d": 1}, "b": {"d": 2}}
    assert parse_yaml("") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "while parsing"),
        ("[" * 100_000, "nested too deeply"),
        (BOMB, "its aliases repeat more than 1000000 values"),
        ("a: &a [*a]", "its aliases repeat more than 1000000 values"),
        ("a: 1" + ":1" * 200_000, "a number of 400001 digits, the limit is 1000"),
        ("a: 0x" + "f" * 5000, "a number of 5002 digits"),
        ("a: 2001-02-30", "day is out of range"),
        ("a: 1\nb: 2\na: 3", "a occurs twice, in lines 1 and 3; delete one of them"),
        ("- {b: {a: 1, a: 1}}", "a occurs twice, in lines 1 and 1"),
        ("a: " + 200 * "1:" + "1.0", "a value does not fit its type or tag"),
        ("a: !!bool x", "a value does not fit its type or tag"),
        ("a: !!float ''", "a value does not fit its type or tag"),
        ("a: !!timestamp x", "a value does not fit its type or tag"),
    ],
)
def test_what_is_no_document(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_yaml(text)


def test_a_recipe_whose_method_is_a_bomb_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{BOMB}model: {{method: *a9}}\n")
    with pytest.raises(ConfigError, match=r"a\.yaml: not a YAML file: its aliases repeat"):
        load_recipe(tmp_path / "a.yaml")
