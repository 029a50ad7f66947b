from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyarrow import parquet

from crowdpoint.counts import Count, ZoneCount
from crowdpoint.counts.tables import open_table
from crowdpoint.errors import ConfigError, StorageError

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FIRST = Count(0, 0.0, NOON, 12, 11.5, (ZoneCount("gate, north", 3, 2.5, 0.125, False),))
SECOND = Count(5, 1 / 3, None, 1_234_567, 2e6, (ZoneCount("gate, north", 0, 0.0, None, False),))


def test_csv_can_be_read_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "counts.csv"
    table = open_table(path, ("gate, north",))
    table.add(FIRST)
    table.add(SECOND)
    before = path.read_text()
    table.close()
    assert path.read_text() == before
    assert before.splitlines() == [
        'frame,seconds,time,count,smoothed,"gate, north.count","gate, north.smoothed","gate, north.per_m2"',
        "0,0.000,2026-05-01T12:00:00.000Z,12,11.5,3,2.5,0.125",
        "5,0.333,,1234567,2e+06,0,0,",
    ]


def test_parquet_has_types(tmp_path: Path) -> None:
    table = open_table(tmp_path / "counts.parquet", ("gate, north",))
    table.add(FIRST)
    table.add(SECOND)
    table.close()
    first, second = parquet.read_table(tmp_path / "counts.parquet").to_pylist()
    assert (first["time"], first["gate, north.per_m2"], second["time"]) == (NOON, 0.125, None)
    assert (second["seconds"], second["count"]) == (1 / 3, 1_234_567)


def test_other_endings_and_folders_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.csv or \.parquet"):
        open_table(tmp_path / "counts.xlsx", ())
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        open_table(tmp_path / "file" / "counts.csv", ())
