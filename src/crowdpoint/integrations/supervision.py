"""Convert `Points` to and from supervision's Detections and KeyPoints. Needs the extra `video`.

Coordinates are pixels in both. Neither class stores the image size; pass it when converting back.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from crowdpoint.errors import requires
from crowdpoint.formats.format import LABEL
from crowdpoint.points import FloatArray, Points

if TYPE_CHECKING:
    from supervision import Detections, KeyPoints

SIDE = 16.0
"""Default width and height in pixels of boxes around points without size."""


def to_detections(points: Points, side: float = SIDE) -> "Detections":
    """Convert each point to a box centred on it, of the point's size or a square of `side` pixels.

    The square is a placeholder, not an estimate of the head size. For boxes that follow the distances between
    heads, add sizes first, for example with `neighbors.knn_boxes`.

    Args:
        points: N points.
        side: width and height in pixels of the boxes of points without size, above 0.

    Returns:
        N detections: `xyxy` in pixels, `confidence` from the scores, and the class 0, `head`.

    Raises:
        ValueError: if `side` is out of range.
        MissingExtraError: if supervision is not installed.
    """
    with requires("supervision's Detections", "video"):
        from supervision import Detections
    if not 0 < side < float("inf"):
        raise ValueError(f"side: expected pixels above 0, found {side}")
    sizes = np.full_like(points.xy, side) if points.sizes is None else points.sizes
    return Detections(
        xyxy=np.hstack((points.xy - sizes / 2, points.xy + sizes / 2)),
        confidence=points.scores.copy(),
        class_id=np.zeros(len(points), np.int_),
        data={"class_name": np.full(len(points), LABEL)},
    )


def from_detections(detections: "Detections", image_size: tuple[int, int] | None = None) -> Points:
    """Convert boxes to points at their centres, with box sizes and confidences.

    Includes all classes; select one beforehand with `detections[detections.class_id == 0]`.

    Args:
        detections: N detections; scores are 1 without confidence.
        image_size: (width, height) of the image in pixels, if known.

    Raises:
        ValueError: if a box has a negative size, or a confidence is outside [0, 1].
    """
    first, last = np.split(np.asarray(detections.xyxy, np.float64), 2, axis=1)
    wrong = (last < first).any(axis=1)
    if wrong.any():
        box = detections.xyxy[wrong][0].tolist()
        raise ValueError(f"detections: expected boxes with x1 <= x2 and y1 <= y2, found {box}")
    xy, sizes = ((first + last) / 2).astype(np.float32), (last - first).astype(np.float32)
    return Points(xy, _read_scores(detections.confidence, len(xy)), sizes, image_size)


def to_key_points(points: Points) -> "KeyPoints":
    """Convert each point to an object with one key point.

    Args:
        points: N points. Their sizes are lost.

    Returns:
        N objects: `xy` (N, 1, 2) in pixels, both confidences from the scores, and the class 0, `head`.

    Raises:
        MissingExtraError: if supervision is not installed.
    """
    with requires("supervision's KeyPoints", "video"):
        from supervision import KeyPoints
    return KeyPoints(
        xy=points.xy[:, None].copy(),
        keypoint_confidence=points.scores[:, None].copy(),
        detection_confidence=points.scores.copy(),
        class_id=np.zeros(len(points), np.int_),
        data={"class_name": np.full(len(points), LABEL)},
    )


def from_key_points(
    key_points: "KeyPoints", image_size: tuple[int, int] | None = None, index: int = 0
) -> Points:
    """Convert one key point of each object; in COCO's order, key point 0 of a person is the nose.

    Drops objects whose key point is invisible, not finite, or at (0, 0), which marks missing ones in
    supervision.

    Args:
        key_points: N objects of M key points. The score is the object's confidence, else that of the key
            point, else 1.
        image_size: (width, height) of the image in pixels, if known.
        index: index of the key point.

    Raises:
        ValueError: if the index is out of range, or a confidence is outside [0, 1].
    """
    if not len(key_points):
        return Points.empty(image_size)
    each = key_points.xy.shape[1]
    if not 0 <= index < each:
        raise ValueError(f"index: expected one of the {each} key points of an object, found {index}")
    xy = key_points.xy[:, index, :2]
    there = np.isfinite(xy).all(axis=1) & (xy != 0).any(axis=1)
    if key_points.visible is not None:
        there &= key_points.visible[:, index]
    scores = key_points.detection_confidence
    if scores is None and key_points.keypoint_confidence is not None:
        scores = key_points.keypoint_confidence[:, index]
    return Points(xy[there], _read_scores(scores, len(xy))[there], image_size=image_size)


def _read_scores(confidence: npt.NDArray[np.floating] | None, count: int) -> FloatArray:
    return np.ones(count, np.float32) if confidence is None else confidence.astype(np.float32)
