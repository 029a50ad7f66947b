"""The screenshots of the documentation show the page as it is."""

from pathlib import Path

import draw_page
import numpy as np
import pytest

from crowdpoint import images


def test_screenshots_are_what_the_script_draws(tmp_path: Path) -> None:
    if draw_page.CHROMIUM is None:
        pytest.skip("no chromium, or CROWDPOINT_CHROMIUM with its path: apt-get install chromium")
    draw_page.draw(tmp_path)
    committed = [draw_page.IMAGES / name for name in draw_page.PICTURES]
    assert sum(path.stat().st_size for path in committed) < 200_000
    for path in committed:
        drawn, expected = (images.read(one).astype(int) for one in (tmp_path / path.name, path))
        assert drawn.shape == expected.shape, "run `python scripts/draw_page.py`"
        # Other weights move some points, and other systems have other letters.
        assert np.abs(drawn - expected).mean() < 6, "run `python scripts/draw_page.py`"
