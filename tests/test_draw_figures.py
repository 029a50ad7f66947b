from pathlib import Path

import draw_figures
import numpy as np
import pytest

from crowdpoint import images


@pytest.mark.parametrize("name", draw_figures.FIGURES)
def test_figures_are_what_the_script_draws(name: str, tmp_path: Path) -> None:
    committed = draw_figures.IMAGES / name
    assert committed.stat().st_size < 200_000
    draw_figures.FIGURES[name](tmp_path / name)
    drawn, expected = (images.read(path).astype(int) for path in (tmp_path / name, committed))
    assert drawn.shape == expected.shape, "run `python scripts/draw_figures.py`"
    assert np.abs(drawn - expected).mean() < 2, "run `python scripts/draw_figures.py`"


def test_the_script_writes_every_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def touch(path: Path) -> None:
        path.touch()
        written.append(path)

    monkeypatch.setattr(draw_figures, "FIGURES", {"a.png": touch, "b.jpg": touch})
    monkeypatch.setattr("sys.argv", ["draw_figures.py", "--out", str(tmp_path)])
    draw_figures.main()
    assert written == [tmp_path / "a.png", tmp_path / "b.jpg"]
