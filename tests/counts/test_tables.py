import csv
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from crowdpoint.counts import Count, LineCount, ZoneCount
from crowdpoint.counts.tables import StayTable, open_table
from crowdpoint.counts.values import Stay
from crowdpoint.errors import ConfigError, StorageError
from crowdpoint.video.writer import VideoWriter

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FULL = Path("/dev/full")
NORTH = "gate, north"
FIRST = Count(
    0,
    0.0,
    NOON,
    12,
    11,
    (ZoneCount(NORTH, 3, 2, 0.125, False, people=14, dwell=2.25),),
    (LineCount("door", 5, 6),),
    people=21,
)
SECOND = Count(
    5, 1 / 3, None, 1_234_567, 2_000_000, (ZoneCount(NORTH, 0, 0, None, False),), (LineCount("door", 0, 0),)
)


def test_csv_can_be_read_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "counts.csv"
    table = open_table(path, (NORTH,), ("door",))
    table.add(FIRST)
    table.add(SECOND)
    before = path.read_text()
    table.close()
    assert path.read_text() == before
    assert before.splitlines() == [
        'frame,seconds,time,count,smoothed,people,"gate, north.count","gate, north.smoothed",'
        '"gate, north.per_m2","gate, north.people","gate, north.dwell",door.in,door.out',
        "0,0.000,2026-05-01T12:00:00.000Z,12,11,21,3,2,0.125,14,2.25,5,6",
        "5,0.333,,1234567,2000000,0,0,0,,0,0,0,0",
    ]


def test_names_of_zones_are_no_formulas(tmp_path: Path) -> None:
    name = '=HYPERLINK("http://x")'
    table = open_table(tmp_path / "counts.csv", (name,), ("@line",))
    stays = StayTable(tmp_path / "people.csv")
    stays.add([Stay(1, name, 0.0, 1.0, 1.0)])
    for each in (table, stays):
        each.close()
    header = next(csv.reader((tmp_path / "counts.csv").read_text().splitlines()))
    assert [column[0] for column in header[6:]] == ["'"] * 7
    assert [row[1] for row in csv.reader((tmp_path / "people.csv").read_text().splitlines())][1:] == [
        f"'{name}"
    ]


def test_parquet_has_types(tmp_path: Path) -> None:
    table = open_table(tmp_path / "counts.parquet", (NORTH,), ("door",))
    table.add(FIRST)
    table.add(SECOND)
    table.close()
    first, second = parquet.read_table(tmp_path / "counts.parquet").to_pylist()
    assert (first["time"], first["gate, north.per_m2"], second["time"]) == (NOON, 0.125, None)
    assert (first["people"], first["gate, north.people"], first["gate, north.dwell"]) == (21, 14, 2.25)
    assert (first["door.in"], first["door.out"]) == (5, 6)
    assert all(type(first[name]) is int for name in ("frame", "count", "smoothed", "gate, north.smoothed"))
    assert (second["seconds"], second["count"]) == (1 / 3, 1_234_567)


def test_unsupported_extensions_and_folders_that_cannot_be_created(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.csv or \.parquet"):
        open_table(tmp_path / "counts.xlsx", ())
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        open_table(tmp_path / "file" / "counts.csv", ())
    with pytest.raises(ConfigError, match=r"expected a file name ending in \.csv"):
        StayTable(tmp_path / "people.parquet")


def test_stays_have_a_row_each(tmp_path: Path) -> None:
    table = StayTable(tmp_path / "new" / "people.csv")
    table.add([Stay(1, "gate", 0.0, 2.0, 1.5), Stay(2, "", 1.0, 3.25, 2.25)])
    rows = ["person,zone,first,last,dwell", "1,gate,0.000,2.000,1.500", "2,,1.000,3.250,2.250"]
    assert (tmp_path / "new" / "people.csv").read_text().splitlines() == rows, "at any time"
    table.close()


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
def test_a_disk_that_fills_up_is_one_error(tmp_path: Path) -> None:
    table = open_table(tmp_path / "run.csv", (NORTH,), ("door",))
    with FULL.open("w") as full:
        os.dup2(full.fileno(), table._file.fileno())  # type: ignore[union-attr]
    with pytest.raises(StorageError, match=r"run\.csv: cannot be written .*No space left"):
        table.add(FIRST)
    with pytest.raises(StorageError, match=r"run\.csv: cannot be written .*No space left"):
        table.close()


def _open(path: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    """Open an output of a video, and return its functions to add a frame and to close it."""
    if path.suffix == ".mp4":
        video = VideoWriter(path, 5)
        return lambda: video.write(np.zeros((8, 8, 3), np.uint8), 0.0), video.close
    table = open_table(path, (NORTH,), ("door",))
    return lambda: table.add(FIRST), table.close


def _move(path: Path) -> None:
    path.rename(path.with_name("moved"))


def _replace(path: Path) -> None:
    _move(path)
    path.write_bytes(b"")


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps open files from being deleted")
@pytest.mark.parametrize("lose", [_move, _replace])
@pytest.mark.parametrize("name", ["run.csv", "run.parquet", "run.mp4"])
def test_a_file_that_goes_away_is_an_error(tmp_path: Path, name: str, lose: Callable[[Path], None]) -> None:
    add, close = _open(tmp_path / name)
    add()
    lose(tmp_path / name)
    with pytest.raises(StorageError, match=rf"{name}: the file was deleted or replaced"):
        close()


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps open files from being deleted")
@pytest.mark.parametrize("name", ["run.csv", "run.mp4"])
def test_a_moved_file_is_an_error_at_the_next_frame(tmp_path: Path, name: str) -> None:
    add, close = _open(tmp_path / name)
    add()
    _move(tmp_path / name)
    for act in (add, close):
        with pytest.raises(StorageError, match=rf"{name}: the file was deleted or replaced"):
            act()
