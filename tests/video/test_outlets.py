import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from crowdpoint.counts import Alert, Count
from crowdpoint.errors import StorageError
from crowdpoint.points import Points
from crowdpoint.video.frames import Frame
from crowdpoint.video.outlets import AlertFile, TableOutlet
from crowdpoint.video.watcher import Sighting

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="no device here is always full")
@pytest.mark.parametrize("kind", ["table", "alerts"])
def test_a_disk_that_fills_up_is_one_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run.csv"
    outlet = TableOutlet(path, None) if kind == "table" else AlertFile(path, "street.mp4")
    file = outlet._table._file if isinstance(outlet, TableOutlet) else outlet._file  # type: ignore[attr-defined]
    with FULL.open("w") as full:
        os.dup2(full.fileno(), file.fileno())
    frame = Frame(0, 0.0, NOON, np.zeros((8, 8, 3), np.uint8))
    alert = Alert("gate", "raised", "count", 60.0, 50.0, 1, 0.5, NOON)
    sighting = Sighting(Points.empty((8, 8)), Count(0, 0.0, NOON, 0, 0.0, ()), (alert,))
    with pytest.raises(StorageError, match=r"run\.csv: cannot be written .*No space left"):
        outlet.take(frame, sighting)
    with pytest.raises(StorageError, match=r"run\.csv: cannot be written .*No space left"):
        outlet.close()
