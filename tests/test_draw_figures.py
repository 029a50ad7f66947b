from pathlib import Path

import cv2
import draw_crowd
import draw_figures
import numpy as np
import pytest

from crowdpoint import images
from crowdpoint.draw.photo import FILL
from crowdpoint.metrics import Evaluator
from crowdpoint.points import Picture, Points

BY_WEIGHTS = "overlay.jpg"
"""The figure whose dots change with the embedded weights."""


@pytest.mark.parametrize("name", sorted(draw_figures.FIGURES.keys() - {BY_WEIGHTS}))
def test_figures_are_what_the_script_draws(name: str, tmp_path: Path) -> None:
    committed = draw_figures.IMAGES / name
    assert committed.stat().st_size < 200_000
    draw_figures.FIGURES[name](tmp_path / name)
    drawn, expected = (images.read(path).astype(int) for path in (tmp_path / name, committed))
    assert drawn.shape == expected.shape, "run `python scripts/draw_figures.py`"
    assert np.abs(drawn - expected).mean() < 2, "run `python scripts/draw_figures.py`"


def test_the_crowd_has_dots_on_its_heads(tmp_path: Path) -> None:
    committed, redrawn = draw_figures.IMAGES / BY_WEIGHTS, tmp_path / BY_WEIGHTS
    assert committed.stat().st_size < 300_000
    draw_figures.FIGURES[BY_WEIGHTS](redrawn)
    crowd, heads = draw_crowd.draw()
    for path in (committed, redrawn):
        picture = images.read(path)
        assert np.median(np.abs(picture.astype(int) - crowd)) < 4, path  # most of it has no dot
        evaluator = Evaluator(sigmas=(8.0,), deltas=())
        evaluator.update(_dots(picture), heads)
        assert evaluator.compute().localization["8"].f1 > 0.5, path


def _dots(picture: Picture) -> Points:
    """The dots of an overlay, by their colour."""
    filled = np.abs(picture.astype(int) - FILL).max(axis=2) < 60
    _, _, _, centroids = cv2.connectedComponentsWithStats(filled.astype(np.uint8))
    return Points((centroids[1:] + 0.5).astype(np.float32))  # the first is what lies around them


def test_the_script_writes_every_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def touch(path: Path) -> None:
        path.touch()
        written.append(path)

    monkeypatch.setattr(draw_figures, "FIGURES", {"a.png": touch, "b.jpg": touch})
    monkeypatch.setattr("sys.argv", ["draw_figures.py", "--out", str(tmp_path)])
    draw_figures.main()
    assert written == [tmp_path / "a.png", tmp_path / "b.jpg"]
