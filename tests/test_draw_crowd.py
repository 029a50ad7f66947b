from pathlib import Path

import cv2
import draw_crowd
import numpy as np
import pytest

from crowdpoint import formats


def test_the_same_seed_draws_the_same_crowd() -> None:
    first, again = (draw_crowd.draw(240, 160, people=30, seed=1) for _ in range(2))
    assert (first[0] == again[0]).all()
    assert first[1] == again[1]
    other, heads = draw_crowd.draw(240, 160, people=30, seed=2)
    assert (other != first[0]).any()
    assert heads != first[1]


def test_heads_lie_where_something_was_painted() -> None:
    empty, none = draw_crowd.draw(320, 213, people=0)
    picture, heads = draw_crowd.draw(320, 213, people=60)
    assert picture.shape == (213, 320, 3)
    assert len(none) == 0
    assert 30 < len(heads) <= 60
    assert heads == heads.inside()
    columns, rows = np.floor(heads.xy).astype(int).T
    change = np.abs(picture.astype(int) - empty).max(axis=2)
    assert (change[rows, columns] > 25).mean() > 0.9
    assert np.median(change) < 25  # most of the plaza stays as it is


def test_the_script_writes_picture_and_heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "crowd.png"
    arguments = ["draw_crowd.py", str(out), "--width", "160", "--height", "120", "--people", "12"]
    monkeypatch.setattr("sys.argv", arguments)
    draw_crowd.main()
    picture, heads = draw_crowd.draw(160, 120, people=12)
    written = cv2.imread(str(out))
    assert written is not None
    assert (written[..., ::-1] == picture).all()
    assert formats.read(tmp_path / "crowd.json") == {"crowd.png": heads}
