from pathlib import Path

import numpy as np
from draw_empty import PICTURES, write

from crowdpoint import images


def test_every_picture_is_another_and_has_something_on_it(tmp_path: Path) -> None:
    write(tmp_path / "empty")
    pictures = {path.stem: images.read(path) for path in sorted((tmp_path / "empty").iterdir())}
    assert set(pictures) == {paint.__name__ for paint in PICTURES}
    assert all(picture.std() > 10 for picture in pictures.values())
    assert len({picture.tobytes() for picture in pictures.values()}) == len(PICTURES)


def test_the_pictures_never_change() -> None:
    for paint in PICTURES:
        assert np.array_equal(paint(np.random.default_rng(0)), paint(np.random.default_rng(0)))
