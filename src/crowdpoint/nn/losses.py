"""The P2PNet loss: cross-entropy over all proposals, Euclidean distance over the assigned ones.

P2PNet, Eq. 4-6. Terms come named and already weighted; the total is their sum.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import torch
from torch import Tensor

from crowdpoint.config import AssignmentConfig, LossConfig
from crowdpoint.nn.assignment import assign
from crowdpoint.nn.p2pnet import Proposals


def p2pnet_loss(
    proposals: Proposals, heads: Sequence[Tensor], loss: LossConfig, assignment: AssignmentConfig
) -> dict[str, Tensor]:
    """The terms of Eq. 6, weighted; a batch without heads has a point term of zero.

    Args:
        proposals: points and logits of B images with M proposals each.
        heads: B tensors (N_i, 2), annotated heads in input pixels; N_i may be 0.
        loss: weights of the terms.
        assignment: how proposals are paired with heads.

    Returns:
        `classification`: cross-entropy averaged over the B * M proposals, negatives times lambda_1 (Eq. 4).
        `point`: lambda_2 times the mean over pairs of the squared distance, or of the distance (Eq. 5).
    """
    scores = proposals.logits.detach().softmax(dim=-1)[..., 1]
    person = torch.zeros_like(scores, dtype=torch.bool)  # (B, M)
    predicted, wanted = [], []
    with ThreadPoolExecutor() as pool:  # SciPy releases the interpreter's lock while it assigns
        assigned = list(pool.map(assign, proposals.points.detach(), scores, heads, repeat(assignment)))
    for image, (pairs, targets) in enumerate(zip(assigned, heads, strict=True)):
        person[image, pairs.proposals] = True
        predicted.append(proposals.points[image, pairs.proposals])
        wanted.append(targets[pairs.heads])
    log_likelihood = proposals.logits.log_softmax(dim=-1)
    positive = log_likelihood[..., 1][person].sum()
    negative = log_likelihood[..., 0][~person].sum()
    squared = (torch.cat(predicted) - torch.cat(wanted)).square().sum(dim=1)  # (P,)
    error = squared if loss.point_norm == "squared" else (squared + 1e-6).sqrt()
    return {
        "classification": -(positive + loss.background_weight * negative) / scores.numel(),
        "point": loss.point_weight * error.sum() / max(1, len(error)),
    }
