"""Escape file names, which may be any bytes, for terminals, tables and file systems; choose distinct ones."""

import re
from collections.abc import Sequence

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""Start of a cell that spreadsheets execute as a formula, or that `escape_cell` has escaped."""


def choose_names(*choices: Sequence[str]) -> Sequence[str]:
    """Choose the first of several lists of names in which all differ, or the last list."""
    return next((names for names in choices if len(set(names)) == len(names)), choices[-1])


def escape(name: str) -> str:
    r"""Percent-encode control characters and bytes that are not UTF-8.

    Args:
        name: name as decoded by Python, with a surrogate for each byte that is not UTF-8.

    >>> escape("caf\udce9.jpg")
    'caf%E9.jpg'
    """
    return _UNSAFE.sub(_percent_encode, name)


def escape_cell(name: str) -> str:
    """Escape a name for a CSV cell, so that no spreadsheet executes it as a formula.

    >>> escape_cell("=1"), escape_cell("a.jpg")
    ("'=1", 'a.jpg')
    """
    return f"'{name}" if _FORMULA.match(name) else name


def unescape_cell(text: str) -> str:
    """Undo `escape_cell`."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _percent_encode(match: "re.Match[str]") -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return "".join(f"%{byte:02X}" for byte in (code.to_bytes(1) if code < 256 else code.to_bytes(2)))
