import numpy as np
import pytest

from crowdpoint.methods.p2pnet.config import P2PNetConfig
from crowdpoint.methods.p2pnet.reference_points import cell_reference_points, image_reference_points


def test_cells_come_in_reading_order() -> None:
    config = P2PNetConfig(stride=4, points_per_cell=2, reference_points="grid")
    found = image_reference_points(config, (5, 9))
    assert found.dtype == np.float32
    own = [(1, 2), (3, 2)]
    assert found.tolist() == [[x + dx, y + dy] for y in (0, 4, 8) for x in (0, 4) for dx, dy in own]


def test_bad_layouts() -> None:
    with pytest.raises(ValueError, match="layout: expected grid or center, found 'ring'"):
        cell_reference_points("ring", 4, 8)
    with pytest.raises(ValueError, match="count: expected at least 1 reference point in a cell, found 0"):
        cell_reference_points("grid", 0, 8)
