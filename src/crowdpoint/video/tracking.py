"""Track people from frame to frame with ByteTrack (package `trackers`), on points instead of boxes.

ByteTrack predicts the position of each person and assigns points to it: first those above the model's
threshold, then those below, which continue tracks but start none.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from supervision import Detections
from trackers import BaseIoU, ByteTrackTracker

from crowdpoint.neighbors import neighbor_distances
from crowdpoint.points import FloatArray, IntArray, Points

LOST_TIMEOUT = 1.5
"""Seconds for which a hidden person keeps the same id."""

REACH_PER_SIZE = 2.5
"""Search radius around the predicted position, in head sizes.

At most the mean distance to the three nearest heads, if there are three others: a larger one confuses the
people of dense crowds. Two people who walk side by side are no crowd.
"""

REACH_PER_SPACING = 0.4
"""Search radius if head sizes are unknown, in mean distances to the three nearest heads."""

_MIN_REACH, _MAX_REACH = 0.012, 0.045  # limits of the radius from spacing, in frame diagonals

_MIN_SIMILARITY = 0.1  # rejects points farther away than 0.9 times the reach


def compute_reaches(points: Points) -> FloatArray:
    """Compute how far each point may be from its predicted position, (N,) in pixels.

    Uses the head sizes, if known, and the distances to neighbours.
    """
    spacing = neighbor_distances(points.xy)
    if points.sizes is not None:
        reaches: FloatArray = REACH_PER_SIZE * points.sizes.mean(axis=1)
        if len(points) > 3:
            reaches = np.minimum(reaches, spacing.astype(np.float32))
        return np.maximum(reaches, 1)
    diagonal = float(np.hypot(*(points.image_size or (1000, 1000))))
    limits = _MIN_REACH * diagonal, _MAX_REACH * diagonal
    return np.clip(REACH_PER_SPACING * spacing, *limits).astype(np.float32)


class Tracker:
    """Tracker that assigns persistent ids to the points of a video.

    Args:
        threshold: minimum score of a point that starts a track.
        rate: approximate frame rate in frames per second; tracking uses the times of frames.
    """

    def __init__(self, threshold: float, rate: float) -> None:
        self._tracker = ByteTrackTracker(
            lost_track_buffer=round(30 * LOST_TIMEOUT),  # in frames at 30 per second
            frame_rate=rate,
            track_activation_threshold=threshold,
            high_conf_det_threshold=threshold,
            minimum_consecutive_frames=2,
            minimum_iou_threshold=_MIN_SIMILARITY,
            iou=_Proximity(),
        )

    def update(self, points: Points, reaches: FloatArray, seconds: float) -> IntArray:
        """Assign ids to the points of the next frame, whose reaches `compute_reaches` returned.

        Returns:
            (N,) ids from 0; -1 for points seen once, or without a track.
        """
        half = reaches[:, None] / 2
        boxes = Detections(
            xyxy=np.hstack((points.xy - half, points.xy + half)).astype(np.float64),
            confidence=points.scores.copy(),
            data={"row": np.arange(len(points))},
        )
        tracked = self._tracker.update(boxes, timestamp=seconds)
        ids = np.full(len(points), -1, np.intp)
        if len(tracked) and tracked.tracker_id is not None:
            ids[tracked.data["row"]] = tracked.tracker_id
        return ids


class _Proximity(BaseIoU):
    """Similarity of boxes: 1 for equal centres, falling to 0 at a distance of one side of the second box.

    Unlike IoU, it is insensitive to box sizes, which change as neighbours come and go.
    """

    def _compute(self, tracks: npt.NDArray[Any], points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        here, there = (tracks[:, :2] + tracks[:, 2:]) / 2, (points[:, :2] + points[:, 2:]) / 2
        distances = np.linalg.norm(here[:, None] - there[None], axis=2)
        proximity: npt.NDArray[Any] = np.clip(1 - distances / (points[:, 2] - points[:, 0]), 0, 1)
        return proximity
