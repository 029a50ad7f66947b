"""Which proposal answers for which head: P2PNet's one-to-one matching and the two it rejects.

P2PNet, Sec. 3.3, Fig. 3 and Eq. 3. Each image is assigned by itself.
"""

from typing import NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from crowdpoint.config import AssignmentConfig


class Assignment(NamedTuple):
    """Pairs of one image.

    Attributes:
        proposals: (P,) int64 indices of the positive proposals, each at most once.
        heads: (P,) int64 index of the head that each of them answers for.
    """

    proposals: Tensor
    heads: Tensor


@torch.no_grad()
def assign(points: Tensor, scores: Tensor, heads: Tensor, config: AssignmentConfig) -> Assignment:
    """Pairs the proposals of one image with its heads.

    `one-to-one` minimises the sum of tau * distance - score (Eq. 3) over min(M, N) pairs.
    `nearest-proposal` gives every head its nearest proposal; a proposal wanted by several heads
    answers for the nearest (Fig. 3a). `nearest-head` makes every proposal within `max_distance` of
    a head answer for its nearest head (Fig. 3b).

    Args:
        points: (M, 2) proposals in pixels.
        scores: (M,) in [0, 1].
        heads: (N, 2) annotated heads in pixels; N may be 0 or exceed M.
        config: strategy and its constants.

    Returns:
        The pairs; without heads there are none.
    """
    if len(heads) == 0 or len(points) == 0:
        nothing = torch.empty(0, dtype=torch.int64, device=points.device)
        return Assignment(nothing, nothing)
    # By differences: by matrix products, as cdist does at this size, near distances lose a tenth of a pixel.
    distance = torch.cdist(heads, points, compute_mode="donot_use_mm_for_euclid_dist")  # (N, M)
    if config.strategy == "one-to-one":
        cost = config.distance_weight * distance - scores
        head, proposal = linear_sum_assignment(cost.cpu().numpy())
        return Assignment(*(torch.from_numpy(index).to(points.device) for index in (proposal, head)))
    if config.strategy == "nearest-head":
        nearest, head_of = distance.min(dim=0)
        positive = (nearest <= config.max_distance).nonzero().squeeze(1)
        return Assignment(positive, head_of[positive])
    nearest, proposal_of = distance.min(dim=1)
    order = nearest.argsort(descending=True)  # the nearest head writes last and keeps the proposal
    owner = torch.full((len(points),), -1, dtype=torch.int64, device=points.device)
    for head_index in order[nearest[order] <= config.max_distance].tolist():
        owner[proposal_of[head_index]] = head_index
    positive = (owner >= 0).nonzero().squeeze(1)
    return Assignment(positive, owner[positive])
