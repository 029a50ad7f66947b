from pathlib import Path

import draw_hall
import numpy as np
import pytest

from crowdpoint import datasets, images


def test_a_head_differs_from_the_floor_where_the_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["draw_hall.py", str(tmp_path / "hall"), "--pictures", "2"])
    draw_hall.main()
    samples = datasets.load("folder", tmp_path / "hall")
    assert f"{sum(len(sample.points()) for sample in samples)} heads in 2 pictures" in capsys.readouterr().out
    first, second = (images.read(sample.image) for sample in samples)
    assert not np.array_equal(first, second)
    heads, empty = draw_hall.draw(40, 7), draw_hall.draw(0, 7)
    columns, rows = np.floor(heads[1].xy).astype(int).T
    assert len(heads[1]) == 40
    assert len(empty[1]) == 0
    gaps = np.abs(heads[0][rows, columns].astype(int) - empty[0][rows, columns]).sum(axis=1)
    assert (gaps > 30).mean() > 0.9
