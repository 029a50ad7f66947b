"""Who is who from frame to frame: ByteTrack of the package `trackers`, on points instead of boxes.

ByteTrack predicts where each person should be now, and assigns the points there: first the sure ones, then
those whose score is below the model's threshold, which keep a track alive but begin none.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from supervision import Detections
from trackers import BaseIoU, ByteTrackTracker

from crowdpoint.neighbors import neighbor_distances
from crowdpoint.points import FloatArray, Points

LOST_SECONDS = 1.5
"""How long somebody may be hidden and is still the same person."""

HEADS = 2.5
"""How many times the size of a head a person is looked for around the predicted place."""

SPACING = 0.4
"""As `HEADS`, in mean distances to the three nearest others, where the size of heads is not known."""

_LEAST, _MOST = 0.012, 0.045  # of the frame's diagonal, for distances between people

_LIKENESS = 0.1  # what is farther away than 0.9 times the reach is another person


def reaches(points: Points) -> FloatArray:
    """How far from its predicted place each point may be, (N,) pixels.

    The size of the heads sets it where points have one; elsewhere the distance to their neighbours does.
    """
    if points.sizes is not None:
        heads: FloatArray = np.maximum(HEADS * points.sizes.mean(axis=1), 1).astype(np.float32)
        return heads
    diagonal = float(np.hypot(*(points.image_size or (1000, 1000))))
    spacing = SPACING * neighbor_distances(points.xy)
    return np.clip(spacing, _LEAST * diagonal, _MOST * diagonal).astype(np.float32)


class Tracker:
    """Gives the points of a video ids that stay with the people.

    Args:
        threshold: least score of a point that begins a track.
        rate: frames a second, roughly; the times of frames are what counts.
    """

    def __init__(self, threshold: float, rate: float) -> None:
        self._tracker = ByteTrackTracker(
            lost_track_buffer=round(30 * LOST_SECONDS),  # the package counts in frames of 30 a second
            frame_rate=rate,
            track_activation_threshold=threshold,
            high_conf_det_threshold=threshold,
            minimum_consecutive_frames=2,
            minimum_iou_threshold=_LIKENESS,
            iou=_Nearness(),
        )

    def update(self, points: Points, seconds: float) -> npt.NDArray[np.intp]:
        """Take the points of the next frame and return their ids.

        Args:
            points: N points, also those whose score is below the threshold.
            seconds: time of the frame; later than that of the frame before.

        Returns:
            (N,) ids from 0; -1 for a point that has been seen once, or belongs to nobody.
        """
        half = reaches(points)[:, None] / 2
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


class _Nearness(BaseIoU):
    """1 where the centres of two boxes meet, falling to 0 where they are a side of the second apart.

    The overlap of boxes would suffer from their sizes, which change as neighbours come and go.
    """

    def _compute(self, tracks: npt.NDArray[Any], points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        here, there = (tracks[:, :2] + tracks[:, 2:]) / 2, (points[:, :2] + points[:, 2:]) / 2
        distances = np.linalg.norm(here[:, None] - there[None], axis=2)
        nearness: npt.NDArray[Any] = np.clip(1 - distances / (points[:, 2] - points[:, 0]), 0, 1)
        return nearness
