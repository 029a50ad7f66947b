"""From a predicted FIDT map to points: local maxima (FIDTM, Algorithm 1) and nearest-neighbour boxes.

`local_maxima` is the whole of Algorithm 1. Its two steps are `candidates` and `select`, so that tiles of
a large image can each give candidates and the threshold can still follow the maximum of the whole image.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from crowdpoint.points import FloatArray, Points

IntArray = npt.NDArray[np.intp]

THRESHOLD = 100 / 255
NEGATIVE_THRESHOLD = 0.10


def local_maxima(
    fidt_map: FloatArray,
    *,
    kernel: int = 3,
    threshold: float = THRESHOLD,
    adaptive: bool = True,
    negative_threshold: float = NEGATIVE_THRESHOLD,
    merge_plateaus: bool = False,
    refine: bool = False,
) -> Points:
    """People on a predicted map (FIDTM, Algorithm 1: the local maxima detection strategy, LMDS).

    Same as `select(candidates(fidt_map))`, but for a map that exceeds 1: there, this threshold follows
    the true maximum, while candidates have lost what their scores clip.

    Args:
        fidt_map: (H, W) float32, one cell a pixel.
        kernel: side of the square in which a maximum is the largest, odd and at least 3.
        threshold: T_a as a factor of the map's largest value, or the value itself (see `adaptive`).
        adaptive: whether T_a follows the largest value (FIDTM, Table XII).
        negative_threshold: T_f; no one is in an image whose largest value is below it.
        merge_plateaus: whether touching maxima count once, at the cell that holds their centroid.
            Algorithm 1 counts each cell.
        refine: whether a peak moves inside its cell to the top of the parabola through its value and
            its two neighbours' values, along each axis. Algorithm 1 stays at the cell's centre.

    Returns:
        Points in reading order; cell (row, column) is at (column + 0.5, row + 0.5), and the score is
        the peak's value clipped to [0, 1].

    Raises:
        ValueError: if the map is not two-dimensional or the kernel is not an odd number from 3.
    """
    rows, columns = _maxima(fidt_map, kernel, merge_plateaus)
    kept = _passing(fidt_map[rows, columns], threshold, adaptive, negative_threshold)
    return _points(fidt_map, rows[kept], columns[kept], refine)


def candidates(
    fidt_map: FloatArray, *, kernel: int = 3, merge_plateaus: bool = False, refine: bool = False
) -> Points:
    """All positive local maxima of a map, the first step of `local_maxima`, whose arguments these are."""
    return _points(fidt_map, *_maxima(fidt_map, kernel, merge_plateaus), refine)


def select(
    candidates: Points,
    *,
    threshold: float = THRESHOLD,
    adaptive: bool = True,
    negative_threshold: float = NEGATIVE_THRESHOLD,
) -> Points:
    """The people among the candidates of one whole image: the second step of `local_maxima`.

    The arguments are those of `local_maxima`; the largest value is the candidates' largest score.
    """
    return candidates.select(_passing(candidates.scores, threshold, adaptive, negative_threshold))


def confidence(candidates: Points) -> FloatArray:
    """What an adaptive T_a is compared with, for the candidates of one whole image.

    Returns:
        (N,) in [0, 1]: the scores divided by the highest, or zeros where that is below T_f.
    """
    highest = candidates.scores.max(initial=0)
    if highest < NEGATIVE_THRESHOLD:
        return np.zeros(len(candidates), np.float32)
    relative: FloatArray = candidates.scores / highest
    return relative


def knn_boxes(points: Points, k: int = 4, f: float = 0.1, cap: float = 0.05) -> Points:
    """Square boxes from the distances between heads (FIDTM, Eq. 4), for pictures only.

    The side is `f` times the mean distance to the k nearest other heads, or `cap` times the image's
    short side if that is less. With fewer other heads than k, all of them count; a single head gets
    the cap.

    Args:
        points: people, with the size of their image.
        k: neighbours that count.
        f: side of the box per pixel of mean distance.
        cap: largest side as a share of the image's short side.

    Returns:
        The same points with `sizes`.

    Raises:
        ValueError: if the points do not know their image's size or k is below 1.
    """
    from crowdpoint.neighbors import neighbor_distances

    if points.image_size is None:
        raise ValueError("points: expected the size of their image, found none; give image_size")
    side = np.minimum(f * neighbor_distances(points.xy, k), cap * min(points.image_size))
    return replace(points, sizes=np.stack((side, side), axis=1).astype(np.float32))


def _maxima(fidt_map: FloatArray, kernel: int, merge_plateaus: bool) -> tuple[IntArray, IntArray]:
    """Rows and columns of the positive local maxima, in reading order."""
    import cv2

    if fidt_map.ndim != 2:
        raise ValueError(f"fidt_map: expected shape (H, W), found {fidt_map.shape}")
    if kernel < 3 or kernel % 2 == 0:
        raise ValueError(f"kernel: expected an odd number of at least 3, found {kernel}")
    largest = cv2.dilate(fidt_map, np.ones((kernel, kernel), np.uint8))
    peaks = (largest == fidt_map) & (fidt_map > 0)
    rows, columns = np.nonzero(peaks)
    if not merge_plateaus or not len(rows):
        return rows, columns
    # Maxima that touch are equal, so that a connected set of them is one plateau.
    _, labels = cv2.connectedComponents(peaks.astype(np.uint8), connectivity=8)
    plateau = labels[rows, columns] - 1
    cells = np.bincount(plateau)
    centroids = (np.floor(np.bincount(plateau, axis) / cells + 0.5) for axis in (rows, columns))
    rows, columns = (centroid.astype(np.intp) for centroid in centroids)
    order = np.lexsort((columns, rows))
    return rows[order], columns[order]


def _passing(
    values: FloatArray, threshold: float, adaptive: bool, negative_threshold: float
) -> npt.NDArray[np.bool_]:
    """Which local maxima are people (FIDTM, Algorithm 1, lines 7 to 13)."""
    largest = values.max(initial=0)
    if largest < negative_threshold:
        return np.zeros(len(values), np.bool_)
    passing: npt.NDArray[np.bool_] = values >= (threshold * largest if adaptive else threshold)
    return passing


def _points(fidt_map: FloatArray, rows: IntArray, columns: IntArray, refine: bool) -> Points:
    height, width = fidt_map.shape
    xy = np.stack((columns, rows), axis=1) + 0.5
    if refine:
        xy[:, 0] += _vertex(fidt_map, rows, columns)
        xy[:, 1] += _vertex(fidt_map.T, columns, rows)
    scores = np.clip(fidt_map[rows, columns], 0, 1)
    return Points(xy.astype(np.float32), scores, image_size=(width, height))


def _vertex(values: FloatArray, rows: IntArray, columns: IntArray) -> npt.NDArray[np.float64]:
    """Where along a row the parabola through a cell and its two neighbours is highest.

    In [-0.5, 0.5] from the cell's centre; 0 at the map's edge and where the row is not a peak.
    """
    middle = values[rows, columns].astype(np.float64)
    left = values[rows, np.maximum(columns - 1, 0)]
    right = values[rows, np.minimum(columns + 1, values.shape[1] - 1)]
    curvature = left - 2 * middle + right
    peaked = (curvature < 0) & (columns > 0) & (columns < values.shape[1] - 1)
    offset = np.zeros(len(middle))
    np.divide(left - right, 2 * curvature, out=offset, where=peaked)
    return offset.clip(-0.5, 0.5)
