"""Network outputs to points, in two steps: scored candidates, then a selection once per image.

The steps are apart so that tiles can be merged between them, and so that the nAP metric can see
every candidate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from crowdpoint.errors import ModelError
from crowdpoint.points import FloatArray, Points
from crowdpoint.predict.engine import ModelInfo


class Decoder(Protocol):
    """What a method makes of its network's outputs."""

    def candidates(self, outputs: Mapping[str, FloatArray], image_size: tuple[int, int]) -> Points:
        """Every scored point on one image (or tile) of `image_size` (width, height), unfiltered."""
        ...

    def select(self, candidates: Points) -> Points:
        """The candidates that are objects, chosen over one whole image."""
        ...


@dataclass(frozen=True)
class P2PNetDecoder:
    """Keeps the proposals whose score is at least `threshold` (P2PNet, Sec. 3.1)."""

    threshold: float

    def candidates(self, outputs: Mapping[str, FloatArray], image_size: tuple[int, int]) -> Points:
        """All proposals that lie on the image.

        Args:
            outputs: `points` (1, M, 2), (x, y) in input pixels, and `scores` (1, M) in [0, 1].
            image_size: (width, height) in pixels.
        """
        scores = np.clip(outputs["scores"][0], 0, 1)  # a softmax in half precision can round above 1
        return Points(outputs["points"][0], scores, image_size=image_size).inside()

    def select(self, candidates: Points) -> Points:
        """The candidates that score at least the threshold."""
        return candidates.threshold(self.threshold)


def decoder(info: ModelInfo, threshold: float) -> Decoder:
    """The decoder of a model's method.

    Raises:
        ModelError: if no decoder knows the method.
    """
    if info.method == "p2pnet":
        return P2PNetDecoder(threshold)
    raise ModelError(f"{info.name}: method {info.method!r} has no decoder; expected p2pnet")
