"""Network outputs to points, in two steps: scored candidates, then a selection once per image.

The steps are apart so that tiles can be merged between them, and so that the nAP metric can see
every candidate.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from crowdpoint import peaks
from crowdpoint.errors import ModelError
from crowdpoint.points import FloatArray, Points
from crowdpoint.predict.engine import ModelInfo


class Decoder(Protocol):
    """What a method makes of its network's outputs."""

    def candidates(self, outputs: Mapping[str, FloatArray], image_size: tuple[int, int]) -> Points:
        """Every scored point on one image (or tile) of `image_size` (width, height), unfiltered."""
        ...

    def confidence(self, candidates: Points) -> FloatArray:
        """What the threshold is compared with: (N,) in [0, 1], for the candidates of one whole image."""
        ...


class P2PNetDecoder:
    """Point proposals, each as sure as its score (P2PNet, Sec. 3.1)."""

    def candidates(self, outputs: Mapping[str, FloatArray], image_size: tuple[int, int]) -> Points:
        """All proposals that lie on the image.

        Args:
            outputs: `points` (1, M, 2), (x, y) in input pixels, and `scores` (1, M) in [0, 1].
            image_size: (width, height) in pixels.
        """
        scores = np.clip(outputs["scores"][0], 0, 1)  # a softmax in half precision can round above 1
        return Points(outputs["points"][0], scores, image_size=image_size).inside()

    def confidence(self, candidates: Points) -> FloatArray:
        """The scores."""
        return candidates.scores


class FIDTMDecoder:
    """Local maxima of a map, as sure as they are high beside the image's highest (FIDTM, Algorithm 1)."""

    def candidates(self, outputs: Mapping[str, FloatArray], image_size: tuple[int, int]) -> Points:
        """All positive local maxima.

        Args:
            outputs: `map` (1, 1, H, W), one cell a pixel.
            image_size: (width, height) in pixels.
        """
        del image_size  # the map has it
        return peaks.candidates(outputs["map"][0, 0])

    def confidence(self, candidates: Points) -> FloatArray:
        """The scores beside the highest, or 0 on an image without people."""
        return peaks.confidence(candidates)


def decoder(info: ModelInfo) -> Decoder:
    """The decoder of a model's method.

    Raises:
        ModelError: if no decoder knows the method.
    """
    decoders: dict[str, Decoder] = {"p2pnet": P2PNetDecoder(), "fidtm": FIDTMDecoder()}
    if info.method not in decoders:
        raise ModelError(
            f"{info.name}: method {info.method!r} has no decoder; expected one of {', '.join(decoders)}"
        )
    return decoders[info.method]
