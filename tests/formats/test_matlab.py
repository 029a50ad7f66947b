"""formats.matlab: what MATLAB and scipy write, and damaged files."""

import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import savemat

from crowdpoint import formats
from crowdpoint.errors import FormatError, MissingExtraError
from crowdpoint.formats import mat, matlab

DTYPES = [np.dtype(kind) for kind in ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")]

arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=4))
)
texts = st.text("abcäß", min_size=1, max_size=6)


def cell(*items: object) -> npt.NDArray[np.object_]:
    array = np.empty((1, len(items)), object)
    array[0] = items
    return array


values = st.recursive(
    arrays | texts,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda items: cell(*items))
        | st.dictionaries(st.sampled_from(["location", "number", "b"]), inner, min_size=1)
    ),
    max_leaves=6,
)


def same(found: Any, written: Any) -> bool:
    match written:
        case dict():
            fields = found.item()
            return fields.keys() == written.keys() and all(same(fields[key], written[key]) for key in written)
        case str():
            return bool(found == written)
        case np.ndarray() if written.dtype == object:
            return found.shape == written.shape and all(map(same, found.flat, written.flat))
        case _:
            return found.dtype == written.dtype and bool(np.array_equal(found, written, equal_nan=True))


@given(value=values, other=arrays, compressed=st.booleans())
def test_reads_as_written(
    tmp_path_factory: pytest.TempPathFactory, value: object, other: object, compressed: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "a.mat"
    savemat(path, {"other": other, "value": value}, do_compression=compressed)
    found = matlab.read(path, ["value", "absent"])
    assert found.keys() == {"value"}
    assert same(found["value"], value)


def crowd(path: Path, *, compressed: bool = True) -> bytes:
    """The bytes of a file as ShanghaiTech's, with a further variable."""
    info = cell({"number": 2.0, "location": np.array([[1.5, 2], [30, 40]])})
    points = {"annPoints": np.array([[1, 2]]), "note": "drawn"}
    savemat(path, {"image_info": info, **points}, do_compression=compressed)
    return path.read_bytes()


def test_fields_come_in_any_order(tmp_path: Path) -> None:
    crowd(tmp_path / "a.mat")
    assert mat.read_shanghaitech(tmp_path / "a.mat").xy.tolist() == [[1.5, 2], [30, 40]]
    assert mat.read_shanghaitech_count(tmp_path / "a.mat") == 2


def test_big_endian(tmp_path: Path) -> None:
    name = b"annPoints" + bytes(7)
    parts = [
        struct.pack(">IIII", 6, 8, 6, 0),
        struct.pack(">IIii", 5, 8, 1, 2),
        struct.pack(">II", 1, 9) + name,
        struct.pack(">IIdd", 9, 16, 3.5, 4),
    ]
    content = b"".join(parts)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"
    (tmp_path / "a.mat").write_bytes(header + struct.pack(">II", 14, len(content)) + content)
    assert mat.read_ucf_cc_50(tmp_path / "a.mat").xy.tolist() == [[3.5, 4]]


@settings(max_examples=300)
@given(compressed=st.booleans(), damage=st.data())
def test_damage_is_a_format_error(
    tmp_path_factory: pytest.TempPathFactory, compressed: bool, damage: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.mat"
    content = bytearray(crowd(path, compressed=compressed))
    for _ in range(damage.draw(st.integers(1, 4))):
        place = damage.draw(st.integers(100, len(content) - 1))
        content[place] = damage.draw(st.sampled_from([0, 1, 3, 17, 127, 128, 255]))
    path.write_bytes(content[: damage.draw(st.integers(0, len(content)) | st.just(len(content)))])
    for read in (mat.read_shanghaitech, mat.read_ucf_cc_50):
        with suppress(FormatError):
            assert read(path).xy.dtype == np.float32


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    head = struct.pack("<IIIIIIIIiiII", 14, 0xF0000000, 6, 8, 6, 0, 5, 8, 1, 1, 1, 9)
    packed = zlib.compress(head + b"annPoints" + bytes(1 << 20))
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    (tmp_path / "a.mat").write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(FormatError, match=r"a\.mat: .*a variable of 3840 MB, the limit is 256 MB"):
        mat.read_ucf_cc_50(tmp_path / "a.mat")


def test_deep_cells_are_refused(tmp_path: Path) -> None:
    value: object = np.ones((1, 1))
    for _ in range(40):
        value = cell(value)
    savemat(tmp_path / "a.mat", {"annPoints": value})
    with pytest.raises(FormatError, match="cells or structs more than 16 deep"):
        mat.read_ucf_cc_50(tmp_path / "a.mat")


@pytest.mark.parametrize("content", [b"", b"no", b"MATLAB 5.0 MAT-file" + bytes(300), bytes(4) + b"\1" * 60])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(FormatError, match=r"expected a MATLAB 5 to 7\.3 file; save it again with -v7"):
        matlab.read(tmp_path / "a.mat", ["annPoints"])


def hdf5(path: Path) -> None:
    """A file as MATLAB's `save -v7.3` makes them."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        points = file.create_dataset("annPoints", data=np.array([[1.5, 3], [2, 4]]))
        points.attrs["MATLAB_class"] = np.bytes_("double")
        record = file.create_group("#refs#/a")
        record.attrs["MATLAB_class"] = np.bytes_("struct")
        location = record.create_dataset("location", data=np.array([[5.0], [6.0]]))
        location.attrs["MATLAB_class"] = np.bytes_("double")
        record.create_dataset("number", data=np.array([[1.0]]))
        info = file.create_dataset("image_info", (1, 1), h5py.ref_dtype)
        info[0, 0] = record.ref
        info.attrs["MATLAB_class"] = np.bytes_("cell")
        nobody = file.create_dataset("nobody", data=np.array([0, 2], np.uint64))
        nobody.attrs["MATLAB_class"] = np.bytes_("double")
        nobody.attrs["MATLAB_empty"] = np.uint8(1)
        label = file.create_dataset("label", data=np.array([[104], [105]], np.uint16))
        label.attrs["MATLAB_class"] = np.bytes_("char")


def test_matlab_7_3(tmp_path: Path) -> None:
    path = tmp_path / "8_ann.mat"
    hdf5(path)
    assert mat.read_ucf_cc_50(path).xy.tolist() == [[1.5, 2], [3, 4]]
    assert mat.read_shanghaitech(path).xy.tolist() == [[5, 6]]
    assert mat.read_shanghaitech_count(path) == 1
    found = matlab.read(path, ["nobody", "label", "absent"])
    assert found.keys() == {"nobody", "label"}
    assert found["nobody"].shape == (0, 2)
    assert found["label"] == "hi"
    assert len(formats.read(path, "ucf-cc-50")["8"]) == 2


def test_matlab_7_3_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hdf5(tmp_path / "a.mat")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(
        MissingExtraError, match=r"a\.mat: .*7\.3.* saved again with -v7, .*crowdpoint\[mat\]"
    ):
        mat.read_ucf_cc_50(tmp_path / "a.mat")


def test_matlab_7_3_stays_in_its_file(tmp_path: Path) -> None:
    import h5py

    hdf5(tmp_path / "other.mat")
    (tmp_path / "raw.bin").write_bytes(bytes(32))
    for name in ("link", "raw", "virtual", "large"):
        with h5py.File(tmp_path / f"{name}.mat", "w", userblock_size=512) as file:
            if name == "link":
                file["annPoints"] = h5py.ExternalLink(str(tmp_path / "other.mat"), "annPoints")
            elif name == "raw":
                place = [(str(tmp_path / "raw.bin"), 0, 32)]
                file.create_dataset("annPoints", (2, 2), "f8", external=place)
            elif name == "virtual":
                layout = h5py.VirtualLayout((2, 2), "f8")
                layout[:] = h5py.VirtualSource(str(tmp_path / "other.mat"), "annPoints", (2, 2))
                file.create_virtual_dataset("annPoints", layout)
            else:
                file.create_dataset("annPoints", (2, 1 << 30), "f8", chunks=(2, 1024))
        reason = "a variable of 16384 MB" if name == "large" else "is stored in another file"
        with pytest.raises(FormatError, match=rf"{name}\.mat: cannot be read as a MATLAB 7\.3 .*{reason}"):
            mat.read_ucf_cc_50(tmp_path / f"{name}.mat")


def test_cells_of_matlab_7_3_that_share_cells_are_converted_once(tmp_path: Path) -> None:
    """Twelve levels, of which each refers eight times to the next: 69 billion paths."""
    import h5py

    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        last = file.create_dataset("last", (1, 1), data=1.0)
        for level in range(12):
            item = file.create_dataset(
                f"level {level}" if level < 11 else "annPoints", (8, 1), h5py.ref_dtype
            )
            item.attrs["MATLAB_class"] = np.bytes_("cell")
            item[:] = last.ref
            last = item
    found = matlab.read(path, ["annPoints"])["annPoints"]
    assert found.shape == (1, 8)
    assert all(cell is found[0, 0] for cell in found[0])


def test_more_cells_of_matlab_7_3_than_the_file_can_store(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        item = file.create_dataset("annPoints", (1, 1 << 24), h5py.ref_dtype, chunks=(1, 1 << 20))
        item.attrs["MATLAB_class"] = np.bytes_("cell")
    with pytest.raises(FormatError, match="as many cells as the file can store, found 16777216"):
        matlab.read(path, ["annPoints"])


@pytest.mark.parametrize("where", ["flags", "dimensions"])
def test_infinite_flags_and_dimensions(tmp_path: Path, where: str) -> None:
    def element(kind: int, content: bytes) -> bytes:
        return struct.pack("<II", kind, len(content)) + content

    infinite = element(9, struct.pack("<dd", np.inf, 1))
    flags, dimensions = element(6, struct.pack("<II", 6, 0)), element(5, struct.pack("<ii", 1, 1))
    parts = {"flags": infinite + dimensions, "dimensions": flags + infinite}
    matrix = element(14, parts[where] + element(1, b"annPoint"))
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\x01IM"
    (tmp_path / "a.mat").write_bytes(head + matrix)
    with pytest.raises(FormatError, match=r"cannot be read as a MATLAB file .*infinity"):
        matlab.read(tmp_path / "a.mat", ["annPoint"])
