import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from crowdpoint.counts import Alert, Count, Stay
from crowdpoint.errors import ConfigError, StorageError
from crowdpoint.points import Points
from crowdpoint.video.frames import Frame
from crowdpoint.video.outlets import AlertFile, PeopleOutlet, PictureOutlet, TableOutlet
from crowdpoint.video.watcher import Sighting

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FULL = Path("/dev/full")
FRAME = Frame(0, 0.0, NOON, np.zeros((8, 8, 3), np.uint8))
ALERT = Alert("gate", "raised", "count", 60.0, 50.0, 1, 0.5, NOON)
SIGHTING = Sighting(Points.empty((8, 8)), np.empty(0, np.intp), Count(0, 0.0, NOON, 0, 0), (ALERT,))


def _nobody(line: str) -> None:
    raise AssertionError(line)


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
def test_a_disk_that_fills_up_is_one_error(tmp_path: Path) -> None:
    outlet = TableOutlet(tmp_path / "run.csv", None)
    with FULL.open("w") as full:
        os.dup2(full.fileno(), outlet._table._file.fileno())  # type: ignore[union-attr]
    with pytest.raises(StorageError, match=r"run\.csv: cannot be written .*No space left"):
        outlet.take(FRAME, SIGHTING)
    with pytest.raises(StorageError, match=r"run\.csv: cannot be written .*No space left"):
        outlet.close()
    with pytest.raises(StorageError, match=r"full: cannot be written .*No space left"):
        AlertFile(FULL, "street.mp4", _nobody).take(FRAME, SIGHTING)


def test_stays_of_people_present_at_the_end_are_written(tmp_path: Path) -> None:
    gone, there = Stay(1, "gate", 0.0, 2.0, 1.5), Stay(2, "", 1.0, 3.25, 2.25)
    outlet = PeopleOutlet(tmp_path / "new" / "people.csv", lambda: (there,))
    outlet.take(FRAME, replace(SIGHTING, stays=(gone,)))
    rows = ["person,zone,first,last,dwell", "1,gate,0.000,2.000,1.500"]
    assert (tmp_path / "new" / "people.csv").read_text().splitlines() == rows
    outlet.close()
    assert (tmp_path / "new" / "people.csv").read_text().splitlines() == [*rows, "2,,1.000,3.250,2.250"]
    with pytest.raises(ConfigError, match=r"expected a file name ending in \.csv"):
        PeopleOutlet(tmp_path / "people.parquet", tuple)


def _away(path: Path, how: str) -> None:
    path.rename(path.with_name("moved"))
    if how == "replaced":
        path.write_bytes(b"")


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps open files from being deleted")
@pytest.mark.parametrize("how", ["deleted", "replaced"])
@pytest.mark.parametrize("name", ["run.csv", "run.parquet", "run.mp4"])
def test_a_file_that_goes_away_is_an_error(tmp_path: Path, name: str, how: str) -> None:
    path = tmp_path / name
    outlet = PictureOutlet(path, 5, None) if name == "run.mp4" else TableOutlet(path, None)
    outlet.take(FRAME, SIGHTING)
    _away(path, how)
    with pytest.raises(StorageError, match=rf"{name}: the file was deleted or replaced"):
        outlet.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps open files from being deleted")
@pytest.mark.parametrize("name", ["run.csv", "run.mp4"])
def test_a_deleted_file_is_an_error_at_the_next_frame(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    outlet = PictureOutlet(path, 5, None) if name == "run.mp4" else TableOutlet(path, None)
    outlet.take(FRAME, SIGHTING)
    _away(path, "deleted")
    with pytest.raises(StorageError, match=rf"{name}: the file was deleted or replaced"):
        outlet.take(FRAME, SIGHTING)
    with pytest.raises(StorageError):
        outlet.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps open files from being moved")
def test_alerts_after_the_file_was_moved_create_a_new_one(tmp_path: Path) -> None:
    outlet = AlertFile(tmp_path / "alerts.jsonl", "street.mp4", _nobody)
    outlet.take(FRAME, SIGHTING)
    _away(tmp_path / "alerts.jsonl", "deleted")
    outlet.take(FRAME, SIGHTING)
    outlet.close()
    for name in ("moved", "alerts.jsonl"):
        assert len((tmp_path / name).read_text().splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
def test_a_pipe_keeps_alerts_for_the_next_reader_and_drops_what_it_cannot_hold(tmp_path: Path) -> None:
    path, said = tmp_path / "alerts", list[str]()
    os.mkfifo(path)
    outlet = AlertFile(path, "street.mp4", said.append)
    for _ in range(2):  # readers come and go
        outlet.take(FRAME, SIGHTING)
        with path.open("rb", buffering=0) as reader:
            assert reader.read(1 << 16).count(b"\n") == 1
    taken = 0
    while not said:
        outlet.take(FRAME, SIGHTING)
        taken += 1
    assert taken > 10
    assert said == [f"--alert-file {path}: alert dropped, nobody reads this pipe"]
    with path.open("rb", buffering=0) as reader:
        outlet.close()
        kept = b"".join(iter(lambda: reader.read(1 << 16), b""))
    assert kept.count(b"\n") == taken - 1
