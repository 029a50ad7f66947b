"""Where P2PNet's reference points lie: the network adds offsets to them, and pictures show them."""

from typing import TYPE_CHECKING

import numpy as np

from crowdpoint.points import FloatArray

if TYPE_CHECKING:
    from crowdpoint.predict.engine import ModelInfo


def of_cell(layout: str, count: int, stride: int) -> FloatArray:
    """The reference points of one cell (P2PNet, Fig. 4).

    Args:
        layout: `grid` spreads them over rows x columns, as square as `count` allows, each in the centre of
            its share; `center` puts all of them in the middle of the cell.
        count: K, at least 1.
        stride: side of the cell in pixels.

    Returns:
        (K, 2) float32, pixels (x, y) from the cell's corner.

    Raises:
        ValueError: if the layout is unknown or the count below 1.
    """
    if count < 1:
        raise ValueError(f"count: expected at least 1 reference point in a cell, found {count}")
    if layout == "center":
        return np.full((count, 2), stride / 2, np.float32)
    if layout != "grid":
        raise ValueError(f"layout: expected grid or center, found {layout!r}")
    rows = next(n for n in range(int(count**0.5), 0, -1) if count % n == 0)
    columns = count // rows
    x, y = np.meshgrid((np.arange(columns) + 0.5) * stride / columns, (np.arange(rows) + 0.5) * stride / rows)
    return np.stack((x, y), axis=-1).reshape(-1, 2).astype(np.float32)


def of_model(info: "ModelInfo", image_size: tuple[int, int]) -> FloatArray | None:
    """The reference points of every cell of an image.

    Args:
        info: the model, of P2PNet's method.
        image_size: (width, height) in pixels; cells at the right and below may reach over the border.

    Returns:
        (M, 2) float32, pixels (x, y), cells in reading order; None if the model does not say where they lie.

    Raises:
        ValueError: as `of_cell`.
    """
    if info.points_per_cell is None or info.reference_points is None:
        return None
    own = of_cell(info.reference_points, info.points_per_cell, info.stride)
    columns, rows = (-(-side // info.stride) for side in image_size)
    corners = info.stride * np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)  # (h, w, 2)
    every: FloatArray = (corners[:, :, None] + own).reshape(-1, 2).astype(np.float32)
    return every
