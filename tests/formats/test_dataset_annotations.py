"""formats: the annotations of NWPU-Crowd, JHU-CROWD++ and TRANCOS come back as they were drawn."""

from pathlib import Path

import drawn_datasets as drawn
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crowdpoint.errors import FormatError
from crowdpoint.formats import jhu, mat, nwpu_crowd, pixels, trancos
from crowdpoint.points import Points

SIZE = (12, 9)
PIXELS = st.sets(st.tuples(st.integers(0, SIZE[0] - 1), st.integers(0, SIZE[1] - 1)), min_size=1)
NUMBERS = st.floats(0, 5000, width=32)
HEADS = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=5)
FEW = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(("mask", "found"), [("text", "no"), (np.ones((3, 4)), "4 x 3")])
def test_a_mask_of_trancos_that_is_none(tmp_path: Path, mask: npt.ArrayLike, found: str) -> None:
    drawn.save_mat(tmp_path / "mask.mat", BW=mask)
    with pytest.raises(FormatError, match=f"mask.mat: its mask has {found} pixels, but the image has 12 x 9"):
        trancos.read_mask(tmp_path / "mask.mat", SIZE)


@FEW
@given(PIXELS)
def test_dots_are_the_centres_of_their_pixels(tmp_path: Path, pixels: set[tuple[int, int]]) -> None:
    drawn.save_dots(tmp_path / "dots.png", sorted(pixels), SIZE)
    points = trancos.read(tmp_path / "dots.png", SIZE)
    assert sorted(map(tuple, points.xy.tolist())) == sorted((c + 0.5, r + 0.5) for c, r in pixels)
    assert points.image_size == SIZE


def test_both_annotation_files_of_trancos_agree(tmp_path: Path) -> None:
    drawn.save_dots(tmp_path / "dots.png", drawn.PIXELS)
    drawn.save_text(tmp_path / "1.txt", "".join(f"{x}\t{y}\n" for x, y in drawn.PIXELS))
    dots, text = (trancos.read(tmp_path / name, drawn.SIZE) for name in ("dots.png", "1.txt"))
    assert sorted(dots.xy.tolist()) == sorted(text.xy.tolist()) == sorted(drawn.HEADS)


def test_a_dot_image_without_dots(tmp_path: Path) -> None:
    drawn.save_dots(tmp_path / "dots.png", np.empty((0, 2)), SIZE)
    assert trancos.read(tmp_path / "dots.png", SIZE) == Points.empty(SIZE)


@FEW
@given(HEADS)
def test_jhu_crowd_lines(tmp_path: Path, heads: list[tuple[float, ...]]) -> None:
    drawn.save_text(tmp_path / "1.txt", "".join(f"{x} {y} {w} {h} 2 0\n" for x, y, w, h in heads))
    table = np.array(heads, np.float32).reshape(-1, 4)
    expected = Points(pixels.to_coordinates(table[:, :2]), sizes=table[:, 2:], image_size=SIZE)
    assert jhu.read(tmp_path / "1.txt", SIZE) == expected


@FEW
@given(HEADS)
def test_both_annotation_files_of_nwpu_crowd_agree(tmp_path: Path, heads: list[tuple[float, ...]]) -> None:
    table = np.array(heads, np.float32).reshape(-1, 4)
    corners = np.hstack((table[:, :2], table[:, :2] + table[:, 2:]))
    sizes = corners[:, 2:] - corners[:, :2]
    found = []
    for name in ("1.json", "1.mat"):
        drawn.save_nwpu(tmp_path / name, table[:, :2], corners)
        found.append(nwpu_crowd.read(tmp_path / name, SIZE))
    assert found[0] == found[1] == Points(table[:, :2], sizes=sizes, image_size=SIZE)
    assert nwpu_crowd.read_stated_count(tmp_path / "1.json") == len(heads)
    assert nwpu_crowd.read_stated_count(tmp_path / "1.mat") is None


@pytest.mark.parametrize(("count", "expected"), [(7, 7), ("many", None), ([1, 2], None)])
def test_the_count_that_shanghaitech_states(tmp_path: Path, count: object, expected: int | None) -> None:
    drawn.save_shanghaitech(tmp_path / "GT_IMG_1.mat", [[1.0, 2.0]], count)
    assert mat.read_shanghaitech_count(tmp_path / "GT_IMG_1.mat") == expected
