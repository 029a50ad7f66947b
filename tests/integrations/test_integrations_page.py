"""The programs of docs/integrations.md, but for FiftyOne's, which needs its database."""

from pathlib import Path

import numpy as np
import pytest
from drawn_rasters import bands, write_raster
from drawn_videos import dots
from pages import DOCS, blocks
from PIL import Image

from crowdpoint import formats
from crowdpoint.points import Points

PROGRAMS = [program for program in blocks(DOCS / "integrations.md", "python") if "fiftyone" not in program]


def test_programs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(dots(8)).save("photo.jpg")
    heads = Points(np.array([[1, 2], [3, 4]]), np.array([0.5, 0.9]), image_size=(96, 64))
    formats.write("points.csv", {"a": heads, "b": Points.empty((96, 64))})
    write_raster(tmp_path / "mosaic.tif", bands(dots(8)))
    ran: dict[str, object] = {}
    for program in PROGRAMS:
        exec(program, ran)
    assert len(PROGRAMS) == 4
    assert str(ran["people"].crs) == "EPSG:32632"  # type: ignore[attr-defined]
    assert isinstance(ran["scene"], Image.Image)
    assert ran["confident"] == {"a": heads.threshold(0.8)}
