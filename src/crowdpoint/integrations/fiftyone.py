"""FiftyOne: `Points` as its Keypoints, to look through predictions and annotations in its app.

Coordinates are fractions of the image's width and height there, pixels here. Needs the extra `fiftyone`.
"""

from typing import TYPE_CHECKING

import numpy as np

from crowdpoint.errors import requires
from crowdpoint.formats.format import LABEL
from crowdpoint.points import Points

if TYPE_CHECKING:
    from fiftyone import Keypoints


def to_keypoints(points: Points, label: str = LABEL) -> "Keypoints":
    """A Keypoint of one point for each point, with its score as confidence.

    So each person is an object of its own: the app counts, selects and tags people, and
    `dataset.count("people.keypoints")` is the count.

    Args:
        points: N points that know the size of their image; Keypoints cannot hold their own sizes.
        label: what the app calls them.

    Returns:
        N keypoints, for a field of a sample: `sample["people"] = to_keypoints(points)`.

    Raises:
        ValueError: if the points do not know their image's size.
        MissingExtraError: if FiftyOne is not installed.
    """
    with requires("FiftyOne's Keypoints", "fiftyone"):
        from fiftyone import Keypoint, Keypoints
    if points.image_size is None:
        raise ValueError("points: expected the size of their image, found none; give image_size")
    places = (points.xy.astype(np.float64) / points.image_size).tolist()
    return Keypoints(
        keypoints=[
            Keypoint(label=label, points=[tuple(place)], confidence=[score])
            for place, score in zip(places, points.scores.tolist(), strict=True)
        ]
    )


def from_keypoints(keypoints: "Keypoints", image_size: tuple[int, int]) -> Points:
    """Every point of every Keypoint, whatever its label; those that are missing (NaN) are left out.

    Args:
        keypoints: the value of a sample's field; where a Keypoint has no confidence, its scores are 1.
        image_size: (width, height) in pixels of the sample's image.

    Raises:
        ValueError: if a confidence lies outside [0, 1], or there is not one for each point of a Keypoint.
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
