"""Decode the proposals on the tiles of an image to the scored points of the whole image."""

from collections.abc import Iterable

import numpy as np

from crowdpoint.methods.method import Piece
from crowdpoint.methods.p2pnet.config import GatherConfig
from crowdpoint.points import Points


def decode_proposals(
    pieces: Iterable[Piece], image_size: tuple[int, int], least: float = 0.0, *, gather: GatherConfig
) -> Points:
    """Decode all point proposals on the image (P2PNet, Sec. 3.1), and merge those for the same head.

    Args:
        pieces: with `points` (1, M, 2), pixels of the window, and `scores` (1, M) in [0, 1]; maybe `sides`
            (1, M), sides of square boxes in pixels, which become the points' sizes.
        image_size: (width, height) in pixels.
        least: proposals with a lower score are dropped, unless another gathers from them.
        gather: the settings of `gathering`.
    """
    found = []
    least = min(least, gather.floor) if gather.radius else least
    for tile, outputs in pieces:
        scores = np.clip(outputs["scores"][0], 0, 1)  # a softmax in half precision can round above 1
        left, top, right, bottom = tile.inner
        sizes = np.repeat(outputs["sides"][0, :, None], 2, axis=1) if "sides" in outputs else None
        own = Points(outputs["points"][0], scores, sizes).threshold(least).crop(left, top, right, bottom)
        found.append(own.shift(*tile.core[:2], image_size))
    every = Points.concat(found) if found else Points.empty(image_size)
    if not gather.radius:
        return every
    from crowdpoint.methods.p2pnet.gathering import gather_scores  # imports scipy, which is slow

    return gather_scores(every, gather)
