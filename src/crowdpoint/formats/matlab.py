"""Read variables of MATLAB files: level 5 (`-v6`, `-v7`) by our own parser, 7.3 through HDF5.

The parser checks every size, because scipy's reader crashes the process on some damaged files.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crowdpoint.errors import FormatError, requires
from crowdpoint.formats.text import wrap_read_errors

Array = npt.NDArray[Any]
"""Numbers, or objects: arrays and texts for cell arrays, dicts of them for structs."""

LIMIT = 1 << 28
"""Limit on the decompressed size of a variable in bytes."""

_MAX_DEPTH = 16
"""Maximum nesting depth of cells and structs."""

_HEADER = 128
_HDF5 = b"\x89HDF\r\n\x1a\n"
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_TEXT = {1: "latin-1", 2: "latin-1", 16: "utf-8", 4: "utf-16", 17: "utf-16", 18: "utf-32"}
_COMPLEX = 0x0800


def read(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Read variables by name, ignoring missing ones.

    Returns:
        name -> an `Array` or a text.

    Raises:
        FormatError: if the file is missing or not a MATLAB file, or a variable is damaged, of an unsupported
            class or larger than `LIMIT`.
        MissingExtraError: if it is a MATLAB 7.3 file and the extra `mat` is not installed.
    """
    with wrap_read_errors(path):
        data = path.read_bytes()
    if data[512:520] == _HDF5 or data[:8] == _HDF5:
        return _read_hdf5(path, names)
    try:
        return {name: parse() for name, parse in _iterate_variables(data) if name in names}
    except (ValueError, OverflowError, zlib.error) as error:
        raise FormatError(f"{path}: cannot be read as a MATLAB file ({error})") from error


@dataclass
class _Bytes:
    """Bounds-checked reader of bytes."""

    data: memoryview
    order: str

    def take(self, count: int) -> memoryview:
        if count > len(self.data):
            raise ValueError(f"it ends {count - len(self.data)} bytes early")
        head, self.data = self.data[:count], self.data[count:]
        return head

    def take_element(self) -> tuple[int, "_Bytes"]:
        head = self.take(8)
        first, second = struct.unpack(f"{self.order}II", head)
        if first >> 16:  # small element format: up to four bytes inside the tag
            if first >> 16 > 4:
                raise ValueError(f"a small element of {first >> 16} bytes")
            return first & 0xFFFF, _Bytes(head[4 : 4 + (first >> 16)], self.order)
        content = self.take(second)
        if first != _COMPRESSED:
            self.take(min(-second % 8, len(self.data)))
        return first, _Bytes(content, self.order)

    def take_numbers(self) -> Array:
        kind, content = self.take_element()
        if kind not in _STORED:
            raise ValueError(f"expected numbers, found an element of type {kind}")
        dtype = np.dtype(self.order + _STORED[kind])
        if len(content.data) % dtype.itemsize:
            raise ValueError("an array of numbers ends early")
        return np.frombuffer(content.data, dtype)

    def take_name(self) -> str:
        return bytes(self.take_element()[1].data).decode("ascii")


def _iterate_variables(data: bytes) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the name of each variable and a function that parses it."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or struct.unpack(f"{order}H", data[124:126]) != (0x0100,):
        raise ValueError("expected a MATLAB 5 to 7.3 file; save it again with -v7")
    rest = _Bytes(memoryview(data)[_HEADER:], order)
    while rest.data:
        kind, content = rest.take_element()
        if kind == _COMPRESSED:
            packed = bytes(content.data)
            head = zlib.decompressobj().decompress(packed, 4096)
            size = int.from_bytes(head[4:8], "little" if order == "<" else "big") + 8
            yield _parse_name(_Bytes(memoryview(head)[8:], order)), partial(_decompress, packed, size, order)
        elif kind == _MATRIX:
            yield _parse_name(_Bytes(content.data, order)), partial(_parse_matrix, content)


def _decompress(packed: bytes, size: int, order: str) -> Any:
    if size > LIMIT:
        raise ValueError(f"a variable of {size >> 20} MB, the limit is {LIMIT >> 20} MB")
    kind, content = _Bytes(memoryview(zlib.decompressobj().decompress(packed, size)), order).take_element()
    if kind != _MATRIX:
        raise ValueError(f"expected a variable, found an element of type {kind}")
    return _parse_matrix(content)


def _parse_name(matrix: _Bytes) -> str:
    """Parse the name of a variable; empty for functions and objects, which have no dimensions."""
    flags = matrix.take_numbers()
    if len(flags) != 2 or int(flags[0]) & 0xFF > max(_CLASSES):
        return ""
    matrix.take_numbers()
    return matrix.take_name()


def _parse_matrix(content: _Bytes, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError(f"cells or structs more than {_MAX_DEPTH} deep")
    if not content.data:  # an unset field or cell
        return np.empty((0, 0))
    flags = content.take_numbers()
    shape = tuple(int(side) for side in content.take_numbers())
    if len(flags) != 2 or len(shape) not in range(2, 9) or min(shape) < 0:
        raise ValueError(f"expected flags and two to eight dimensions, found {len(flags)} and {shape}")
    content.take_name()
    kind = int(flags[0]) & 0xFF
    if kind == _CHAR:
        return _parse_chars(content)
    if kind == _STRUCT:
        return _parse_structs(content, shape, depth)
    if kind == _CELL:
        _check_count(content, prod(shape))
        return _build_array(shape, [_parse_item(content, depth) for _ in range(prod(shape))])
    if kind not in _CLASSES or int(flags[0]) & _COMPLEX:
        raise ValueError("expected real numbers, texts, cells or structs, found another class of array")
    numbers = content.take_numbers()
    if len(numbers) != prod(shape):
        raise ValueError(f"expected {prod(shape)} numbers for an array of {shape}, found {len(numbers)}")
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers.astype(_CLASSES[kind]).reshape(shape, order="F")


def _parse_chars(content: _Bytes) -> str:
    kind, characters = content.take_element()
    if kind not in _TEXT:
        raise ValueError(f"expected a text, found an element of type {kind}")
    wide = {"<": "-le", ">": "-be"}[content.order] if _TEXT[kind] in ("utf-16", "utf-32") else ""
    return bytes(characters.data).decode(_TEXT[kind] + wide)


def _parse_structs(content: _Bytes, shape: tuple[int, ...], depth: int) -> Array:
    length = int(content.take_numbers()[:1].sum())
    names = bytes(content.take_element()[1].data)
    if length < 1 or not names or len(names) % length:
        raise ValueError(f"expected field names of {length} bytes each, found {len(names)} bytes")
    fields = [names[i : i + length].partition(b"\0")[0].decode("ascii") for i in range(0, len(names), length)]
    _check_count(content, prod(shape) * len(fields))
    items = [{field: _parse_item(content, depth) for field in fields} for _ in range(prod(shape))]
    return _build_array(shape, items)


def _parse_item(content: _Bytes, depth: int) -> Any:
    kind, item = content.take_element()
    if kind != _MATRIX:
        raise ValueError(f"expected an array, found an element of type {kind}")
    return _parse_matrix(item, depth + 1)


def _check_count(content: _Bytes, count: int) -> None:
    if 8 * count > len(content.data):
        raise ValueError(f"expected {count} items, found {len(content.data)} bytes")


def _build_array(shape: tuple[int, ...], items: Sequence[Any]) -> Array:
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape, order="F")


def _read_hdf5(path: Path, names: Sequence[str]) -> dict[str, Any]:
    with requires(f"{path}: a MATLAB 7.3 file (HDF5), unless saved again with -v7,", "mat"):
        import h5py
    with wrap_read_errors(path):
        try:
            with h5py.File(path, "r") as file:
                done: dict[int, Any] = {}
                return {name: _convert_hdf5(file, file[name], done) for name in names if name in file}
        except OSError:
            raise
        except Exception as error:  # damaged files make h5py raise anything
            raise FormatError(f"{path}: cannot be read as a MATLAB 7.3 file ({error})") from error


def _convert_hdf5(file: Any, item: Any, done: dict[int, Any], depth: int = 0) -> Any:
    """Convert a dataset or group, unless it is `done`, by its address in the file."""
    from h5py import h5o

    if depth > _MAX_DEPTH:
        raise ValueError(f"cells or structs more than {_MAX_DEPTH} deep")
    address = h5o.get_info(item.id).addr
    if address not in done:
        done[address] = _convert_hdf5_item(file, item, done, depth)
    return done[address]


def _convert_hdf5_item(file: Any, item: Any, done: dict[int, Any], depth: int) -> Any:
    """Convert a dataset or group. MATLAB's columns are HDF5's rows."""
    is_internal = item.file.filename == file.filename and not getattr(item, "external", None)
    if not is_internal or getattr(item, "is_virtual", False):
        raise ValueError(f"{item.name} is stored in another file")
    if isinstance(item, Mapping):  # a group
        fields = {str(name): _convert_hdf5(file, item[name], done, depth + 1) for name in item}
        return _build_array((1, 1), [fields])
    kind = bytes(item.attrs.get("MATLAB_class", b"double")).decode("ascii")
    if item.nbytes > LIMIT:
        raise ValueError(f"a variable of {item.nbytes >> 20} MB, the limit is {LIMIT >> 20} MB")
    if kind == "cell" and item.nbytes > file.id.get_filesize():
        raise ValueError(f"expected at most as many cells as the file can store, found {item.size}")
    values = np.asarray(item[()]).T
    if "MATLAB_empty" in item.attrs:
        shape = tuple(int(side) for side in values.reshape(-1))
        if prod(shape):
            raise ValueError(f"expected an empty array, found one of {shape}")
        return np.empty(shape, object if kind == "cell" else float)
    if kind == "cell":
        references = values.reshape(-1, order="F")
        cells = [_convert_hdf5(file, file[reference], done, depth + 1) for reference in references]
        return _build_array(values.shape, cells)
    if kind == "char":
        return "".join(map(chr, values.reshape(-1)))
    if values.dtype.kind not in "biuf":
        raise ValueError(f"expected numbers, texts, cells or a struct, found {kind}")
    return values
