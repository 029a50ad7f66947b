"""supervision: `Points` as its Detections and KeyPoints, for its annotators, zones, trackers and sinks.

Coordinates are pixels in both. Neither of its values knows the size of its image, so what comes back knows it
only if it is said. Needs the extra `video`.
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
"""Width and height in pixels of the box around a point that has no size."""


def to_detections(points: Points, side: float = SIDE) -> "Detections":
    """A box for each point, centred on it: as large as the point's size, or a square of `side` pixels.

    The square is for libraries that want boxes, and says nothing of how large a head is. To have boxes that
    follow the distances between heads, give the points sizes first, as `methods.fidtm.peaks.knn_boxes` does.

    Args:
        points: N points.
        side: width and height in pixels of boxes where the points have no sizes, above 0.

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
        data={"class_name": _names(points)},
    )


def from_detections(detections: "Detections", image_size: tuple[int, int] | None = None) -> Points:
    """The centres of boxes, with the boxes as sizes and the confidences as scores.

    All classes are taken; `detections[detections.class_id == 0]` chooses one beforehand.

    Args:
        detections: N of them; where they have no confidence, the scores are 1.
        image_size: (width, height) in pixels of the image that they are on, if known.

    Raises:
        ValueError: if a box ends before it begins, or a confidence lies outside [0, 1].
    """
    first, last = np.split(np.asarray(detections.xyxy, np.float64), 2, axis=1)
    wrong = (last < first).any(axis=1)
    if wrong.any():
        box = detections.xyxy[wrong][0].tolist()
        raise ValueError(f"detections: expected boxes with x1 <= x2 and y1 <= y2, found {box}")
    xy, sizes = ((first + last) / 2).astype(np.float32), (last - first).astype(np.float32)
    return Points(xy, _scores(detections.confidence, len(xy)), sizes, image_size)


def to_key_points(points: Points) -> "KeyPoints":
    """An object with one key point for each point.

    Args:
        points: N points; key points cannot hold their sizes.

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
        data={"class_name": _names(points)},
    )


def from_key_points(
    key_points: "KeyPoints", image_size: tuple[int, int] | None = None, index: int = 0
) -> Points:
    """One key point of each object: of a person in COCO's order, the first is the nose.

    Objects without that key point are left out: where it is not visible, not finite, or at (0, 0), by which
    supervision marks missing ones.

    Args:
        key_points: N objects of M key points. The score is the object's confidence, or that of the key point
            if the object has none, or 1.
        image_size: (width, height) in pixels of the image that they are on, if known.
        index: which of the M key points, from 0.

    Raises:
        ValueError: if there is no such key point, or a confidence lies outside [0, 1].
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
    return Points(xy[there], _scores(scores, len(xy))[there], image_size=image_size)


def _names(points: Points) -> npt.NDArray[np.str_]:
    return np.full(len(points), LABEL)


def _scores(confidence: npt.NDArray[np.floating] | None, count: int) -> FloatArray:
    return np.ones(count, np.float32) if confidence is None else confidence.astype(np.float32)
