"""Sizes of heads: the range of a branch that predicts them, and its loss. Neither paper has them."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from crowdpoint.points import FloatArray, Points

TYPICAL_LOG_SIDE = math.log(16)
"""Logarithm of the box side that a size branch starts from."""

LOG_SIDES = (0.0, 10 * math.log(2))
"""Range of the logarithm of a box side: 1 to 1024 pixels, whatever the branch returns."""


def to_log_sides(values: Tensor) -> Tensor:
    """Convert the outputs of a size branch to natural logarithms of box sides in pixels."""
    return (TYPICAL_LOG_SIDE + values.float()).clamp(*LOG_SIDES)


def box_sides(heads: Sequence[Points]) -> FloatArray:
    """Compute the sides (N,) in pixels of squares of the boxes' areas, image by image; NaN without boxes."""
    sides = [
        np.full(len(own), np.nan) if own.sizes is None else np.sqrt(own.sizes.prod(axis=1)) for own in heads
    ]
    return np.concatenate(sides).astype(np.float32)


def size_errors(log_sides: Tensor, sides: Tensor) -> Tensor:
    """Compute the Huber losses (A,) of predicted natural logarithms (P,) of sides in pixels.

    Only the annotated ones of `sides` (P,) count; it is NaN where there is no box.
    """
    known = sides.isfinite() & (sides > 0)
    return torch.nn.functional.smooth_l1_loss(
        log_sides[known], sides[known].log(), beta=0.2, reduction="none"
    )
