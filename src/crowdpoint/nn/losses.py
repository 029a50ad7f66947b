"""The P2PNet loss: cross-entropy over all proposals, Euclidean distance over the assigned ones.

P2PNet, Eq. 4-6. Terms come named and already weighted; the total is their sum.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
import torch
from torch import Tensor

from crowdpoint.config import AssignmentConfig, LossConfig
from crowdpoint.nn.assignment import assign
from crowdpoint.nn.p2pnet import Proposals
from crowdpoint.points import FloatArray


def p2pnet_loss(
    proposals: Proposals,
    heads: Sequence[FloatArray],
    loss: LossConfig,
    assignment: AssignmentConfig,
    over_processes: Callable[[Tensor], Tensor] = lambda count: count,
) -> dict[str, Tensor]:
    """The terms of Eq. 6, weighted; a batch without heads has a point term of zero.

    Args:
        proposals: points and logits of B images with M proposals each; finite.
        heads: B arrays (N_i, 2), annotated heads in input pixels; N_i may be 0.
        loss: weights of the terms.
        assignment: how proposals are paired with heads.
        over_processes: the mean of a number over all processes that share the batch, so that the mean of
            their gradients is the gradient of the whole batch.

    Returns:
        `classification`: cross-entropy averaged over the B * M proposals, negatives times lambda_1 (Eq. 4).
        `point`: lambda_2 times the mean over pairs of the squared distance, or of the distance (Eq. 5).
    """
    positive, targets = _pairs(proposals, heads, assignment)
    log_likelihood = proposals.logits.flatten(0, 1).log_softmax(dim=-1)  # (B * M, 2)
    person = torch.zeros(len(log_likelihood), dtype=torch.bool, device=positive.device)
    person[positive] = True
    background = loss.background_weight * log_likelihood[:, 0]
    squared = (proposals.points.flatten(0, 1)[positive] - targets).square().sum(dim=1)  # (P,)
    error = squared if loss.point_norm == "squared" else (squared + 1e-6).sqrt()
    pairs = over_processes(error.new_tensor(len(error)))
    return {
        "classification": -torch.where(person, log_likelihood[:, 1], background).mean(),
        "point": loss.point_weight * error.sum() / pairs.clamp(min=1e-6),  # 0 / 1e-6 without pairs
    }


def _pairs(
    proposals: Proposals, heads: Sequence[FloatArray], assignment: AssignmentConfig
) -> tuple[Tensor, Tensor]:
    """Positive proposals (P,) as indices into all B * M, and the heads (P, 2) that they answer for."""
    points = proposals.points.detach().cpu().numpy()
    scores = proposals.logits.detach().softmax(dim=-1)[..., 1].cpu().numpy()
    # SciPy releases the interpreter's lock while it assigns.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        assigned = list(pool.map(assign, points, scores, heads, repeat(assignment)))
    positive = [image * points.shape[1] + pairs.proposals for image, pairs in enumerate(assigned)]
    targets = [own[pairs.heads] for own, pairs in zip(heads, assigned, strict=True)]
    device = proposals.points.device
    return (
        torch.from_numpy(np.concatenate(positive)).to(device),
        torch.from_numpy(np.concatenate(targets)).to(device),
    )
