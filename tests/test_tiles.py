import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdpoint.tiles import split

SIDES = st.integers(1, 700)


@given(SIDES, SIDES, st.sampled_from([(96, 32), (128, 0), (224, 64)]))
def test_cores_partition_the_image_and_windows_are_aligned(
    width: int, height: int, shape: tuple[int, int]
) -> None:
    side, margin = shape
    tiles = split((width, height), side, margin)
    owners = np.zeros((height, width), np.int64)
    for tile in tiles:
        left, top, right, bottom = tile.core
        owners[top:bottom, left:right] += 1
        for axis, length in ((0, width), (1, height)):
            start, end = tile.window[axis], tile.window[axis + 2]
            core_start, core_end = tile.core[axis], tile.core[axis + 2]
            assert start % 32 == 0
            assert end % 32 == 0 or end == length
            assert start == 0 or start <= core_start - margin
            assert end == length or end >= core_end + margin
            assert 0 <= start <= core_start < core_end <= end <= length
            assert len(tiles) == 1 or end - start <= side
    assert (owners == 1).all()
    assert (len(tiles) == 1) == (width * height <= side * side)


def test_tiles_come_row_by_row() -> None:
    corners = [tile.core[:2] for tile in split((300, 200), 192, 32)]
    assert corners == sorted(corners, key=lambda corner: (corner[1], corner[0]))


def test_budget_is_an_area() -> None:
    assert len(split((4096, 1024), 2048)) == 1
    assert len(split((4096, 1025), 2048)) > 1


@pytest.mark.parametrize(("side", "margin"), [(100, 32), (128, 10), (128, 64), (0, 0), (64, -32)])
def test_bad_shapes(side: int, margin: int) -> None:
    with pytest.raises(ValueError, match=f"tile: expected a multiple of 32 .* found {side}"):
        split((1000, 1000), side, margin)


@pytest.mark.parametrize(
    "box", [(0, 0, 900, 700), (100, 40, 130, 500), (640, 512, 900, 700), (33, 33, 34, 34)]
)
def test_tiles_of_a_box_cover_it_once(box: tuple[int, int, int, int]) -> None:
    """Cores begin on the alignment, and windows have the margin around them that the image allows."""
    covered = np.zeros((700, 900), int)
    for tile in split((900, 700), 256, 64, box):
        left, top, right, bottom = tile.core
        assert left % 32 == top % 32 == 0
        covered[top:bottom, left:right] += 1
        x0, y0, x1, y1 = tile.window
        assert (x0, y0) == (max(left - 64, 0), max(top - 64, 0))
        assert (x1, y1) == (min(right + 64, 900), min(bottom + 64, 700))
        assert max(x1 - x0, y1 - y0) <= 256
    left, top, right, bottom = box
    assert covered.max() == 1
    assert (covered[top:bottom, left:right] == 1).all()
    assert covered.sum() == (right - left + left % 32) * (bottom - top + top % 32)
