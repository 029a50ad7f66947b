"""From the maps of tiles to the points of the image."""

import numpy as np

from crowdpoint.methods.fidtm.config import FIDTMConfig, LMDSConfig
from crowdpoint.methods.fidtm.decode import decode_map
from crowdpoint.methods.fidtm.targets import fidt_map
from crowdpoint.points import Points
from crowdpoint.tiles import split

LMDS = LMDSConfig(adaptive=False)


def test_points_have_the_side_of_their_cell_in_any_tiling() -> None:
    size = (1500, 900)
    rng = np.random.default_rng(0)
    xy = np.unique(rng.integers((0, 0), size, (60, 2)), axis=0) + 0.5
    whole = fidt_map(Points(xy, image_size=size))
    sides = rng.uniform(2, 90, (225, 375)).astype(np.float32)
    for tile in (2048, 576):
        pieces = []
        for each in split(size, tile):
            left, top, right, bottom = each.window
            assert left % 4 == top % 4 == 0
            own = sides[top // 4 : -(-bottom // 4), left // 4 : -(-right // 4)]
            pieces.append(
                (each, {"map": whole[None, None, top:bottom, left:right], "sides": own[None, None]})
            )
        found = decode_map(pieces, size, lmds=LMDS).threshold(0.5)
        assert found.sizes is not None
        column, row = (found.xy // 4).astype(int).T
        np.testing.assert_array_equal(found.sizes, np.repeat(sides[row, column, None], 2, axis=1))
        assert sorted(map(tuple, found.xy.tolist())) == sorted(map(tuple, xy.tolist()))


def test_an_image_without_people_has_no_sizes() -> None:
    (tile,) = split((20, 12), 2048)
    outputs = {"map": np.full((1, 1, 12, 20), 0.05, np.float32), "sides": np.ones((1, 1, 3, 5), np.float32)}
    assert decode_map([(tile, outputs)], (20, 12), lmds=FIDTMConfig().lmds) == Points.empty((20, 12))
