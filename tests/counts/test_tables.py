import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyarrow import parquet

from crowdpoint.counts import Count, LineCount, ZoneCount
from crowdpoint.counts.tables import StayTable, open_table
from crowdpoint.counts.values import Stay
from crowdpoint.errors import ConfigError, StorageError

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
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
