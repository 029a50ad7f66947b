import dataclasses

import numpy as np
import pytest
from tiny_models import INFO

from crowdpoint.predict import reference


def test_cells_come_in_reading_order() -> None:
    info = dataclasses.replace(INFO, stride=4, points_per_cell=2, reference_points="grid")
    found = reference.of_model(info, (5, 9))
    assert found is not None
    assert found.dtype == np.float32
    own = [(1, 2), (3, 2)]
    assert found.tolist() == [[x + dx, y + dy] for y in (0, 4, 8) for x in (0, 4) for dx, dy in own]


@pytest.mark.parametrize(("count", "layout"), [(1, None), (None, "center"), (None, None)])
def test_models_that_do_not_say(count: int | None, layout: str | None) -> None:
    info = dataclasses.replace(INFO, points_per_cell=count, reference_points=layout)
    assert reference.of_model(info, (5, 9)) is None


def test_bad_layouts() -> None:
    with pytest.raises(ValueError, match="layout: expected grid or center, found 'ring'"):
        reference.of_cell("ring", 4, 8)
    with pytest.raises(ValueError, match="count: expected at least 1 reference point in a cell, found 0"):
        reference.of_cell("grid", 0, 8)
