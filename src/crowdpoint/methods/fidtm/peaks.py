"""Find the points of a predicted FIDT map: its local maxima (FIDTM, Algorithm 1).

`local_maxima` is Algorithm 1. Its two steps are `find_maxima`, which runs on each tile of a large image, and
`score_maxima`, whose threshold follows the largest value of the whole image.
"""

from typing import NamedTuple

import numpy as np

from crowdpoint.methods.fidtm.config import FIDTMConfig, LMDSConfig
from crowdpoint.points import DoubleArray, FloatArray, IntArray, Points

ALGORITHM_1 = FIDTMConfig()
"""The paper's settings."""


class Maxima(NamedTuple):
    """The positive local maxima of a map, or of a part of one.

    Attributes:
        xy: (N, 2) float32, pixels (x, y), in reading order.
        heights: (N,) float32, the values there.
        largest: the largest value of the map, or of the part.
    """

    xy: FloatArray
    heights: FloatArray
    largest: float


def local_maxima(
    fidt_map: FloatArray, *, threshold: float = ALGORITHM_1.threshold, lmds: LMDSConfig = ALGORITHM_1.lmds
) -> Points:
    """Find the people on a predicted map (FIDTM, Algorithm 1: local maxima detection strategy, LMDS).

    Args:
        fidt_map: (H, W) float32, one cell a pixel.
        threshold: T_a, as a part of the map's largest value unless `lmds` has it fixed.
        lmds: the other settings.

    Returns:
        Points in reading order, scored by `score_maxima`; cell (row, column) is at (column + 0.5, row + 0.5).

    Raises:
        ValueError: if the map is not two-dimensional.
    """
    found = find_maxima(fidt_map, lmds)
    return score_maxima(found, fidt_map.shape[::-1], lmds).threshold(threshold)


def find_maxima(fidt_map: FloatArray, lmds: LMDSConfig = ALGORITHM_1.lmds) -> Maxima:
    """Find the positive local maxima of a map, without a threshold; arguments as `local_maxima`."""
    import cv2

    if fidt_map.ndim != 2:
        raise ValueError(f"fidt_map: expected shape (H, W), found {fidt_map.shape}")
    # Beyond the border the mean sees zeros, as in the released code.
    mean = cv2.blur(fidt_map, (3, 3), borderType=cv2.BORDER_CONSTANT) if lmds.smooth else fidt_map
    seen = mean.astype(np.float32, copy=False)
    rows, columns = _find_peaks(seen, lmds)
    xy = np.stack((columns, rows), axis=1) + 0.5
    if lmds.refine:
        xy[:, 0] += _compute_vertex(seen, rows, columns)
        xy[:, 1] += _compute_vertex(seen.T, columns, rows)
    return Maxima(xy.astype(np.float32), seen[rows, columns], float(fidt_map.max(initial=0)))


def score_maxima(found: Maxima, image_size: tuple[int, int], lmds: LMDSConfig) -> Points:
    """Score the maxima of a whole image of (width, height) pixels by the value that T_a is compared with.

    The score is the height as a fraction of the largest value, or the height itself, clipped to 1, if the
    threshold is fixed. Drops all maxima if the largest value is below T_f.
    """
    if found.largest < lmds.negative_threshold:
        return Points.empty(image_size)
    scores = found.heights / np.float32(found.largest if lmds.adaptive else 1)
    return Points(found.xy, scores.clip(0, 1), image_size=image_size)


def compute_lowest(largest: float, threshold: float, lmds: LMDSConfig) -> float:
    """Compute the height below which no maximum can reach T_a, given the largest value found so far."""
    rounding = 1 - 1e-6  # a quotient in float32 may round up to the threshold
    return threshold * (max(largest, lmds.negative_threshold) if lmds.adaptive else 1) * rounding


def _find_peaks(values: FloatArray, lmds: LMDSConfig) -> tuple[IntArray, IntArray]:
    import cv2

    largest = cv2.dilate(values, np.ones((lmds.kernel, lmds.kernel), np.uint8))
    peaks = (largest == values) & (values > 0)
    rows, columns = np.nonzero(peaks)
    if not lmds.merge_plateaus or not len(rows):
        return rows, columns
    # Maxima that touch are equal, so that a connected set of them is one plateau.
    _, labels = cv2.connectedComponents(peaks.astype(np.uint8), connectivity=8)
    plateau = labels[rows, columns] - 1
    cells = np.bincount(plateau)
    centroids = (np.floor(np.bincount(plateau, axis) / cells + 0.5) for axis in (rows, columns))
    rows, columns = (centroid.astype(np.intp) for centroid in centroids)
    order = np.lexsort((columns, rows))
    return rows[order], columns[order]


def _compute_vertex(values: FloatArray, rows: IntArray, columns: IntArray) -> DoubleArray:
    """Fit parabolas through cells and their neighbours in a row; return the offsets of their vertices.

    Offsets are in [-0.5, 0.5]; 0 at the edge of the map, and for cells that are no peak of their row.
    """
    middle = values[rows, columns].astype(np.float64)
    left = values[rows, np.maximum(columns - 1, 0)]
    right = values[rows, np.minimum(columns + 1, values.shape[1] - 1)]
    curvature = left - 2 * middle + right
    peaked = (curvature < 0) & (columns > 0) & (columns < values.shape[1] - 1)
    offset = np.zeros(len(middle))
    np.divide(left - right, 2 * curvature, out=offset, where=peaked)
    return offset.clip(-0.5, 0.5)
