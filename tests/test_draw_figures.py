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

ROWS_BY_WEIGHTS = ("fidtm-pipeline.jpg", "p2pnet-points.jpg")
"""Figures that begin with a picture, whose other cells change with the embedded weights."""


@pytest.mark.parametrize("name", sorted(draw_figures.FIGURES.keys() - {BY_WEIGHTS, *ROWS_BY_WEIGHTS}))
def test_figures_are_what_the_script_draws(name: str, tmp_path: Path) -> None:
    committed = draw_figures.IMAGES / name
    assert committed.stat().st_size < 200_000
    draw_figures.FIGURES[name](tmp_path / name)
    drawn, expected = (images.read(path).astype(int) for path in (tmp_path / name, committed))
    assert drawn.shape == expected.shape, "run `python scripts/draw_figures.py`"
    assert np.abs(drawn - expected).mean() < 2, "run `python scripts/draw_figures.py`"


@pytest.mark.parametrize("name", ROWS_BY_WEIGHTS)
def test_rows_are_what_the_script_draws_by_these_or_other_weights(name: str, tmp_path: Path) -> None:
    draw_figures.FIGURES[name](tmp_path / name)
    _require_alike(tmp_path / name)


def test_predicted_density_maps_are_drawn_by_a_given_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")
    from crowdpoint import checkpoint
    from crowdpoint.config import load_recipe
    from crowdpoint.predict.torch import build

    torch.manual_seed(0)
    recipe = load_recipe("fidtm-lite", ["model={method: density, regressor: lite}", "loss={}"])
    checkpoint.save(tmp_path / "density", build(recipe.model).state_dict(), recipe)
    monkeypatch.setattr(draw_figures, "FIGURES", {})
    arguments = ("--out", str(tmp_path), "--density", str(tmp_path / "density"))
    monkeypatch.setattr("sys.argv", ["draw_figures.py", *arguments])
    draw_figures.main()
    for name in draw_figures.DENSITY_FIGURES:
        _require_alike(tmp_path / name)


def _require_alike(drawn: Path) -> None:
    """Compare a figure with the committed one, by their size and by the picture that both begin with."""
    committed = draw_figures.IMAGES / drawn.name
    assert committed.stat().st_size < 250_000
    found, expected = (images.read(path).astype(int) for path in (drawn, committed))
    assert found.shape == expected.shape, "run `python scripts/draw_figures.py`"
    part = slice(0, found.shape[1] // 6)
    assert np.abs(found[:, part] - expected[:, part]).mean() < 2, "run `python scripts/draw_figures.py`"
    assert found[:, part].std() > 20


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
