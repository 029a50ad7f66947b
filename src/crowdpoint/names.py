"""Names of files, which are bytes from outside, as text that every terminal, table and file system holds."""

import re

_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def escape(name: str) -> str:
    r"""Writes a name as text that UTF-8 can hold, and that moves no terminal's cursor.

    Bytes that are not UTF-8 and control characters become `%` and two hexadecimal digits, as in URLs: the
    Latin-1 name `caf\xe9.jpg` becomes `caf%E9.jpg`. All other names stay as they are.

    Args:
        name: as Python decodes it, with a surrogate for each byte that is not UTF-8.
    """
    return _UNFIT.sub(_escaped, name)


def _escaped(found: "re.Match[str]") -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return "".join(f"%{byte:02X}" for byte in (code.to_bytes(1) if code < 256 else code.to_bytes(2)))
