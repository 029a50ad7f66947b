"""Variables of MATLAB files: level 5 (`-v6`, `-v7`) by a reader that checks every size, 7.3 through HDF5.

Files come from others and may be damaged; scipy's reader ends the process on some of those.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crowdpoint.errors import FormatError, requires
from crowdpoint.formats.text import reading

Array = npt.NDArray[Any]
"""Of numbers; of objects for a cell array, whose items are arrays or texts, and a struct: dicts of those."""

LIMIT = 1 << 28
"""The largest variable in bytes, unpacked."""

_DEPTH = 16
"""How deep cells and structs may nest."""

_HEADER = 128
_HDF5 = b"\x89HDF\r\n\x1a\n"
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_TEXT = {1: "latin-1", 2: "latin-1", 16: "utf-8", 4: "utf-16", 17: "utf-16", 18: "utf-32"}
_COMPLEX = 0x0800


def read(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Reads the variables of these names that a file has.

    Returns:
        name -> an `Array`, or a text.

    Raises:
        FormatError: if the file is missing, is no MATLAB file, or one of the variables is damaged, of a kind
            that is not read, or larger than `LIMIT`.
        MissingExtraError: if it is of MATLAB 7.3 and the extra `mat` is not installed.
    """
    with reading(path):
        data = path.read_bytes()
    if data[512:520] == _HDF5 or data[:8] == _HDF5:
        return _read_hdf5(path, names)
    try:
        return {name: value() for name, value in _variables(data) if name in names}
    except (ValueError, zlib.error, UnicodeError) as error:
        raise FormatError(f"{path}: cannot be read as a MATLAB file ({error})") from error


@dataclass
class _Bytes:
    """Bytes that are taken from the front, never more than there are."""

    data: memoryview
    order: str

    def take(self, count: int) -> memoryview:
        if count > len(self.data):
            raise ValueError(f"it ends {count - len(self.data)} bytes early")
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def element(self) -> tuple[int, "_Bytes"]:
        """The type of the next element, and its content."""
        head = self.take(8)
        first, second = struct.unpack(f"{self.order}II", head)
        if first >> 16:  # the small format: up to four bytes inside the tag
            if first >> 16 > 4:
                raise ValueError(f"a small element of {first >> 16} bytes")
            return first & 0xFFFF, _Bytes(head[4 : 4 + (first >> 16)], self.order)
        content = self.take(second)
        if first != _COMPRESSED:
            self.take(min(-second % 8, len(self.data)))
        return first, _Bytes(content, self.order)

    def numbers(self) -> Array:
        """The next element as numbers."""
        kind, content = self.element()
        if kind not in _STORED:
            raise ValueError(f"expected numbers, found an element of type {kind}")
        dtype = np.dtype(self.order + _STORED[kind])
        if len(content.data) % dtype.itemsize:
            raise ValueError("numbers that end early")
        return np.frombuffer(content.data, dtype)

    def text(self) -> str:
        """The next element as a name."""
        return bytes(self.element()[1].data).decode("ascii")


def _variables(data: bytes) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The name of each variable, and what reads it."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or struct.unpack(f"{order}H", data[124:126]) != (0x0100,):
        raise ValueError("expected a file of MATLAB 5 to 7.3; save it again with -v7")
    rest = _Bytes(memoryview(data)[_HEADER:], order)
    while rest.data:
        kind, content = rest.element()
        if kind == _COMPRESSED:
            packed = bytes(content.data)
            head = zlib.decompressobj().decompress(packed, 4096)
            size = int.from_bytes(head[4:8], "little" if order == "<" else "big") + 8
            yield _name(_Bytes(memoryview(head)[8:], order)), partial(_unpacked, packed, size, order)
        elif kind == _MATRIX:
            yield _name(_Bytes(content.data, order)), partial(_matrix, content)


def _unpacked(packed: bytes, size: int, order: str) -> Any:
    if size > LIMIT:
        raise ValueError(f"a variable of {size >> 20} MB, the limit is {LIMIT >> 20} MB")
    kind, content = _Bytes(memoryview(zlib.decompressobj().decompress(packed, size)), order).element()
    if kind != _MATRIX:
        raise ValueError(f"expected a variable, found an element of type {kind}")
    return _matrix(content)


def _name(matrix: _Bytes) -> str:
    """The name of a variable; nothing for functions and objects, which have no dimensions in front of it."""
    flags = matrix.numbers()
    if len(flags) != 2 or int(flags[0]) & 0xFF > max(_CLASSES):
        return ""
    matrix.numbers()
    return matrix.text()


def _matrix(content: _Bytes, depth: int = 0) -> Any:
    if depth > _DEPTH:
        raise ValueError(f"cells or structs more than {_DEPTH} deep")
    if not content.data:  # a field or a cell that was never set
        return np.empty((0, 0))
    flags = content.numbers()
    shape = tuple(int(side) for side in content.numbers())
    if len(flags) != 2 or len(shape) not in range(2, 9) or min(shape) < 0:
        raise ValueError(f"expected flags and two to eight dimensions, found {len(flags)} and {shape}")
    content.text()
    kind = int(flags[0]) & 0xFF
    if kind == _CHAR:
        return _chars(content)
    if kind == _STRUCT:
        return _structs(content, shape, depth)
    if kind == _CELL:
        return _objects(shape, [_item(content, depth) for _ in range(_fitting(content, prod(shape)))])
    if kind not in _CLASSES or int(flags[0]) & _COMPLEX:
        raise ValueError("expected real numbers, texts, cells or structs, found another class of array")
    numbers = content.numbers()
    if len(numbers) != prod(shape):
        raise ValueError(f"expected {prod(shape)} numbers for an array of {shape}, found {len(numbers)}")
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers.astype(_CLASSES[kind]).reshape(shape, order="F")


def _chars(content: _Bytes) -> str:
    kind, characters = content.element()
    if kind not in _TEXT:
        raise ValueError(f"expected a text, found an element of type {kind}")
    wide = {"<": "-le", ">": "-be"}[content.order] if _TEXT[kind] in ("utf-16", "utf-32") else ""
    return bytes(characters.data).decode(_TEXT[kind] + wide)


def _structs(content: _Bytes, shape: tuple[int, ...], depth: int) -> Array:
    length = int(content.numbers()[:1].sum())
    names = bytes(content.element()[1].data)
    if length < 1 or not names or len(names) % length:
        raise ValueError(f"expected names of fields of {length} bytes each, found {len(names)} bytes")
    fields = [names[i : i + length].partition(b"\0")[0].decode("ascii") for i in range(0, len(names), length)]
    _fitting(content, prod(shape) * len(fields))
    return _objects(shape, [{field: _item(content, depth) for field in fields} for _ in range(prod(shape))])


def _item(content: _Bytes, depth: int) -> Any:
    kind, item = content.element()
    if kind != _MATRIX:
        raise ValueError(f"expected an array, found an element of type {kind}")
    return _matrix(item, depth + 1)


def _fitting(content: _Bytes, count: int) -> int:
    """`count` items, if the bytes that are left can hold as many."""
    if 8 * count > len(content.data):
        raise ValueError(f"expected {count} items, found {len(content.data)} bytes")
    return count


def _objects(shape: tuple[int, ...], items: Sequence[Any]) -> Array:
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape, order="F")


def _read_hdf5(path: Path, names: Sequence[str]) -> dict[str, Any]:
    with requires(f"{path}: a file of MATLAB 7.3 (HDF5), if it is not saved again with -v7,", "mat"):
        import h5py
    with reading(path):
        try:
            with h5py.File(path, "r") as file:
                return {name: _hdf5_item(file, file[name]) for name in names if name in file}
        except OSError:
            raise
        except Exception as error:  # on damaged files, h5py raises anything
            raise FormatError(f"{path}: cannot be read as a MATLAB 7.3 file ({error})") from error


def _hdf5_item(file: Any, item: Any, depth: int = 0) -> Any:
    """A dataset or a group; MATLAB's columns are HDF5's rows."""
    import h5py

    if depth > _DEPTH:
        raise ValueError(f"cells or structs more than {_DEPTH} deep")
    stored_here = item.file.filename == file.filename and not getattr(item, "external", None)
    if not stored_here or getattr(item, "is_virtual", False):
        raise ValueError(f"{item.name} lies in another file")
    if isinstance(item, h5py.Group):
        fields = {str(name): _hdf5_item(file, item[name], depth + 1) for name in item}
        return _objects((1, 1), [fields])
    kind = bytes(item.attrs.get("MATLAB_class", b"double")).decode("ascii")
    if item.nbytes > LIMIT:
        raise ValueError(f"a variable of {item.nbytes >> 20} MB, the limit is {LIMIT >> 20} MB")
    values = np.asarray(item[()]).T
    if "MATLAB_empty" in item.attrs:
        shape = tuple(int(side) for side in values.reshape(-1))
        if prod(shape):
            raise ValueError(f"expected an empty array, found one of {shape}")
        return np.empty(shape, object if kind == "cell" else float)
    if kind == "cell":
        cells = [_hdf5_item(file, file[reference], depth + 1) for reference in values.reshape(-1, order="F")]
        return _objects(values.shape, cells)
    if kind == "char":
        return "".join(map(chr, values.reshape(-1)))
    if values.dtype.kind not in "biuf":
        raise ValueError(f"expected numbers, texts, cells or a struct, found {kind}")
    return values
