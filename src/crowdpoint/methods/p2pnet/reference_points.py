"""Compute P2PNet's reference points, to which the network adds offsets."""

import numpy as np

from crowdpoint.methods.p2pnet.config import P2PNetConfig
from crowdpoint.points import FloatArray


def cell_reference_points(layout: str, count: int, stride: int) -> FloatArray:
    """Compute the reference points of one cell (P2PNet, Fig. 4).

    Args:
        layout: `grid` for rows and columns, as square as `count` allows, or `center` for the cell's centre.
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


def image_reference_points(config: P2PNetConfig, image_size: tuple[int, int]) -> FloatArray:
    """Compute the reference points of every cell of an image of (width, height) pixels.

    Returns (M, 2) float32, pixels (x, y), cells in reading order; the last ones may be outside the image.
    """
    own = cell_reference_points(config.reference_points, config.points_per_cell, config.stride)
    columns, rows = (-(-side // config.stride) for side in image_size)
    corners = config.stride * np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)  # (h, w, 2)
    every: FloatArray = (corners[:, :, None] + own).reshape(-1, 2).astype(np.float32)
    return every
