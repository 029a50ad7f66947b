"""Draws valid files and damages them: bytes, texts and values, the same for the same random generator."""

import json
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Random = np.random.Generator

_NUMBERS: tuple[int, ...] = (
    0,
    1,
    -1,
    2,
    7,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
)
_NUMBERS += ((1 << 62), (1 << 63) - 1)

_WORDS = (
    *(
        "",
        "0",
        "-0",
        "-1",
        "1e999",
        "-1e999",
        "1e38",
        "4e38",
        "1e-400",
        "nan",
        "NaN",
        "inf",
        "-Infinity",
        "0x10",
        "1_0",
    ),
    *(
        "9" * 30,
        "9" * 5000,
        "1" * 400 + ".5",
        "null",
        "true",
        "[]",
        "{}",
        "[" * 5000,
        "{'a':" * 3000,
        "<" * 50,
    ),
    *(
        "=1+1",
        "\x00",
        "\ufeff",
        "\u2028",
        "é",
        "../../etc/passwd",
        "/dev/zero",
        "a" * 3000,
        "&a",
        "*a",
        "!!python/x",
        "%",
    ),
    *(
        "2026-02-30",
        "12:30:45",
        "2026-01-01",
        "\ud7ff",
        "\U0001f600",
        "1,2",
        "1;2",
        "'",
        '"',
        "\n",
        "\t",
        "-",
        ":",
        ".5.",
    ),
)

_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        0.5,
        1e308,
        -1e308,
        10**30,
        1 << 63,
        float("nan"),
        float("inf"),
        "",
        "x",
        "nan",
        "9" * 5000,
    ),
    *([], {}, [[]], [None], {"a": 1}, [1, 2], [[1, 2], [3, 4]], "/etc/passwd", "\x00", "é" * 100, [0] * 1000),
)


def bytes_of(data: bytes, rng: Random, other: bytes) -> bytes:
    """Damage bytes in one to three ways, the first kilobyte as often as all others together.

    Args:
        data: a valid file.
        rng: decides.
        other: another valid file, of which parts are taken.
    """
    found = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        _BYTE_WAYS[int(rng.integers(len(_BYTE_WAYS)))](found, rng, other)
    return bytes(found)


def text_of(data: bytes, rng: Random) -> bytes:
    """Damage a text in one or two ways: its words, its lines, or a value of a document."""
    text = data.decode()
    for _ in range(rng.integers(1, 3)):
        text = _TEXT_WAYS[int(rng.integers(len(_TEXT_WAYS)))](text, rng)
    return text.encode("utf-8", "surrogatepass")


def _place(found: bytearray, rng: Random) -> int:
    most = min(len(found), 1024) if rng.integers(2) else len(found)
    return int(rng.integers(most)) if most else 0


def _flip(found: bytearray, rng: Random, _: bytes) -> None:
    if found:
        found[_place(found, rng)] ^= 1 << int(rng.integers(8))


def _set_number(found: bytearray, rng: Random, _: bytes) -> None:
    kind = "BHIQ"[rng.integers(4)]
    number = _NUMBERS[int(rng.integers(len(_NUMBERS)))] & ((1 << 8 * struct.calcsize(kind)) - 1)
    word = struct.pack("<>"[rng.integers(2)] + kind, number)
    at = _place(found, rng)
    found[at : at + len(word)] = word


def _cut(found: bytearray, rng: Random, _: bytes) -> None:
    del found[_place(found, rng) :]


def _remove(found: bytearray, rng: Random, _: bytes) -> None:
    at = _place(found, rng)
    del found[at : at + int(rng.integers(1, 64))]


def _repeat(found: bytearray, rng: Random, _: bytes) -> None:
    at = _place(found, rng)
    found[at:at] = found[at : at + int(rng.integers(1, 64))] * int(rng.integers(1, 8))


def _noise(found: bytearray, rng: Random, _: bytes) -> None:
    at = _place(found, rng)
    found[at : at + int(rng.integers(0, 16))] = rng.bytes(int(rng.integers(1, 32)))


def _splice(found: bytearray, rng: Random, other: bytes) -> None:
    at, start = _place(found, rng), int(rng.integers(len(other) or 1))
    found[at:] = other[start:]


_BYTE_WAYS: Sequence[Callable[[bytearray, Random, bytes], None]] = (
    *(_flip, _flip, _set_number, _set_number, _set_number),
    *(_cut, _remove, _repeat, _noise, _splice),
)


def word(rng: Random) -> str:
    """A word that readers may not expect."""
    return _WORDS[int(rng.integers(len(_WORDS)))]


def _swap_word(text: str, rng: Random) -> str:
    words = list(re.finditer(r"[\w.+-]+", text))
    if not words:
        return word(rng)
    chosen = words[int(rng.integers(len(words)))]
    return text[: chosen.start()] + word(rng) + text[chosen.end() :]


def _swap_sign(text: str, rng: Random) -> str:
    signs = list(re.finditer(r"[^\w\s]|\s", text))
    if not signs:
        return text + word(rng)
    chosen = signs[int(rng.integers(len(signs)))]
    sign = ("", " ", "\n", ",", ";", ":", "[", "]", "{", "}", '"', "<", ">", "/", "&", "-", "#")[
        rng.integers(17)
    ]
    return text[: chosen.start()] + sign + text[chosen.end() :]


def _shuffle_lines(text: str, rng: Random) -> str:
    lines = text.split("\n")
    line = lines.pop(rng.integers(len(lines)))
    for _ in range(rng.integers(3)):  # gone, elsewhere, or twice
        lines.insert(int(rng.integers(len(lines) + 1)), line)
    return "\n".join(lines)


def _cut_text(text: str, rng: Random) -> str:
    return text[: rng.integers(len(text) + 1)]


def _swap_value(text: str, rng: Random) -> str:
    """Another value, or none, at a place of a JSON document."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return _swap_word(text, rng)
    places = list(_places(document))
    if not places:
        return json.dumps(_VALUES[int(rng.integers(len(_VALUES)))])
    holder, key = places[int(rng.integers(len(places)))]
    if rng.integers(4):
        holder[key] = _VALUES[int(rng.integers(len(_VALUES)))]
    else:
        del holder[key]
    return json.dumps(document)


def _places(value: Any) -> Any:
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


_TEXT_WAYS: Sequence[Callable[[str, Random], str]] = (
    *(_swap_word, _swap_word, _swap_sign, _shuffle_lines, _cut_text, _swap_value, _swap_value, _swap_value),
)
