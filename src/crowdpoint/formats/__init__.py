"""Files of points, in every format that crowdpoint reads and writes.

Each format is one `Format` in a small module; adding one is writing that module and listing it here.
"""

from collections.abc import Mapping
from pathlib import Path

from crowdpoint.errors import FormatError
from crowdpoint.formats import mat, nwpu, p2pnet, records, table
from crowdpoint.formats.format import Format
from crowdpoint.points import Points

__all__ = ["FORMATS", "Format", "read", "write"]

FORMATS = {
    format.name: format
    for format in (
        table.CSV,
        records.JSON,
        p2pnet.LIST,
        p2pnet.POINTS,
        nwpu.POINTS,
        nwpu.TRUTH,
        mat.SHANGHAITECH,
        mat.UCF_CC_50,
    )
}
"""The formats by name."""


def read(path: str | Path, format: str | None = None) -> dict[str, Points]:
    """Reads a file of points as image id -> Points, ids as the file has them and in its order.

    Args:
        path: the file.
        format: one of `FORMATS`; when None, by the file's ending and, where that is shared, its content.

    Raises:
        FormatError: if the format is unknown or cannot be told, or the file does not fit it.
    """
    path = Path(path)
    return (_guess(path) if format is None else _named(format)).read(path)


def write(path: str | Path, points: Mapping[str, Points], format: str | None = None) -> None:
    """Writes image id -> Points to a file, replacing it if there is one.

    Args:
        path: the file; its folder must exist.
        points: image id -> Points, all of which the file keeps.
        format: one of `FORMATS` that has a writer; by the file's ending when None.

    Raises:
        FormatError: if the format is unknown or only read, or the file cannot be written.
    """
    path = Path(path)
    writable = {name: known for name, known in FORMATS.items() if known.write}
    if format is None:
        found = [known for known in writable.values() if path.suffix.lower() in known.suffixes]
    else:
        found = [known for known in (_named(format),) if known.write]
    if not found or found[0].write is None:
        raise FormatError(f"{path}: cannot write {format or 'this ending'}; choose one of {_list(writable)}")
    try:
        found[0].write(path, points)
    except (OSError, UnicodeEncodeError) as error:
        raise FormatError(f"{path}: cannot be written ({error})") from error


def _named(name: str) -> Format:
    if name not in FORMATS:
        raise FormatError(f"{name}: no such format; known are {_list(FORMATS)}")
    return FORMATS[name]


def _guess(path: Path) -> Format:
    found = [known for known in FORMATS.values() if path.suffix.lower() in known.suffixes]
    if len(found) > 1:
        found = [known for known in found if known.accepts(path)]
    if len(found) != 1:
        could_be = " or ".join(known.name for known in found) or "none of them"
        raise FormatError(f"{path}: cannot tell its format ({could_be}); name one of {_list(FORMATS)}")
    return found[0]


def _list(known: Mapping[str, Format]) -> str:
    return ", ".join(f"{name} ({'/'.join(entry.suffixes)})" for name, entry in known.items())
