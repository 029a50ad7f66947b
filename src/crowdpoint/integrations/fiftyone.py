"""Convert `Points` to and from FiftyOne's Keypoints. Needs the extra `fiftyone`.

FiftyOne's coordinates are fractions of the image's width and height.
"""

from typing import TYPE_CHECKING

import numpy as np

from crowdpoint.errors import requires
from crowdpoint.formats.format import LABEL
from crowdpoint.points import Points

if TYPE_CHECKING:
    from fiftyone import Keypoints


def to_keypoints(points: Points, label: str = LABEL) -> "Keypoints":
    """Convert each point to a Keypoint with its score as confidence.

    Each person is a separate object in the app, and `dataset.count("people.keypoints")` is the count.

    Args:
        points: N points with an image size. The sizes of points are lost.
        label: label of the keypoints.

    Returns:
        N keypoints for a field of a sample: `sample["people"] = to_keypoints(points)`.

    Raises:
        ValueError: if the points have no image size.
        MissingExtraError: if FiftyOne is not installed.
    """
    with requires("FiftyOne's Keypoints", "fiftyone"):
        from fiftyone import Keypoint, Keypoints
    places = (points.xy.astype(np.float64) / points.require_size()).tolist()
    return Keypoints(
        keypoints=[
            Keypoint(label=label, points=[tuple(place)], confidence=[score])
            for place, score in zip(places, points.scores.tolist(), strict=True)
        ]
    )


def from_keypoints(keypoints: "Keypoints", image_size: tuple[int, int]) -> Points:
    """Convert all points of all Keypoints, whatever their label, except missing ones (NaN).

    Args:
        keypoints: value of a sample's field; scores are 1 without confidence.
        image_size: (width, height) of the sample's image in pixels.

    Raises:
        ValueError: if a confidence is outside [0, 1], or their number differs from that of the points.
    """
    places: list[tuple[float, float]] = []
    scores: list[float] = []
    for number, keypoint in enumerate(keypoints.keypoints, start=1):
        own = keypoint.confidence or [1.0] * len(keypoint.points)
        if len(own) != len(keypoint.points):
            raise ValueError(
                f"keypoints: keypoint {number}: expected a confidence for each of its "
                f"{len(keypoint.points)} points, found {len(own)}"
            )
        places += keypoint.points
        scores += own
    xy = np.array(places, np.float64).reshape(-1, 2) * image_size
    there = np.isfinite(xy).all(axis=1)
    return Points(xy[there].astype(np.float32), np.array(scores, np.float32)[there], image_size=image_size)
