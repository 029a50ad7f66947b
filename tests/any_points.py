"""Strategies that draw `Points` for property tests."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crowdpoint.points import Points

_PIXELS = st.floats(-100, 6000, width=32)


@st.composite
def any_points(draw: st.DrawFn, *, boxes: bool = False, image_size: bool | None = None) -> Points:
    """Up to eight points on and around an image.

    Args:
        draw: of hypothesis.
        boxes: whether they may have sizes.
        image_size: whether they know the size of their image; both ways by default.
    """
    count = draw(st.integers(0, 8))
    xy = draw(arrays.arrays(np.float32, (count, 2), elements=_PIXELS))
    scores = draw(arrays.arrays(np.float32, count, elements=st.floats(0, 1, width=32)))
    side = st.floats(0, 500, width=32)
    sizes = (
        draw(arrays.arrays(np.float32, (count, 2), elements=side)) if boxes and draw(st.booleans()) else None
    )
    known = draw(st.booleans()) if image_size is None else image_size
    size = draw(st.tuples(st.integers(1, 9000), st.integers(1, 9000))) if known else None
    return Points(xy, scores, sizes, size)
