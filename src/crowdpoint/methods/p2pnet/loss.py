"""The loss of P2PNet (Eq. 4 to 6), and two terms of our own. Terms come named and already weighted."""

import math
from collections.abc import Sequence
from itertools import repeat

import numpy as np
import torch
from torch import Tensor

from crowdpoint.backbones.batches import average_over_batch, map_in_threads
from crowdpoint.backbones.sizes import box_sides, size_errors
from crowdpoint.methods.method import OverProcesses
from crowdpoint.methods.p2pnet.assignment import assign
from crowdpoint.methods.p2pnet.config import AssignmentConfig, P2PNetRecipe
from crowdpoint.methods.p2pnet.network import Proposals
from crowdpoint.points import Points


def p2pnet_loss(
    proposals: Proposals,
    heads: Sequence[Points],
    recipe: P2PNetRecipe,
    over_processes: OverProcesses = lambda count: count,
) -> dict[str, Tensor]:
    """Compute the terms of P2PNet, Eq. 6, weighted; a batch without heads has a point term of zero.

    Arguments are those of `Method.loss`. Proposals in the padding of an image are ignored.

    Returns:
        `classification`: cross-entropy averaged over the proposals, negatives times lambda_1 (Eq. 4);
            with `loss.divisor: weights` its sum is divided by the sum of the weights 1 and lambda_1.
        `point`: lambda_2 times the mean over pairs of the squared distance, or of the distance (Eq. 5).
        `count`: error of the counts of blocks, if it has a weight; see `count_error`.
        `size`: mean error of the boxes' sides, if it has a weight and the model predicts them.
    """
    loss = recipe.loss
    shown = _find_shown(proposals.cells, heads)
    positive, answered = _pair(proposals, heads, shown, recipe.assignment)
    log_likelihood = proposals.logits.flatten(0, 1).log_softmax(dim=-1)  # (B * M, 2)
    person = torch.zeros(len(log_likelihood), dtype=torch.bool, device=positive.device)
    person[positive] = True
    weight = torch.where(person, 1.0, loss.background_weight) * shown.flatten()
    entropy = -weight * torch.where(person, log_likelihood[:, 1], log_likelihood[:, 0])
    targets = torch.from_numpy(np.concatenate([own.xy for own in heads])).to(positive.device)[answered]
    squared = (proposals.points.flatten(0, 1)[positive] - targets).square().sum(dim=1)  # (P,)
    error = squared if loss.point_norm == "squared" else (squared + 1e-6).sqrt()
    divisor = weight.sum() if loss.divisor == "weights" else shown.sum(dtype=weight.dtype)
    terms = {
        "classification": entropy.sum() / over_processes(divisor),
        "point": loss.point_weight * average_over_batch(error, over_processes),
    }
    if loss.count_weight:
        terms["count"] = loss.count_weight * count_error(
            proposals, heads, recipe.model.stride, loss.count_block
        )
    if loss.size_weight and proposals.log_sides is not None:
        sides = torch.from_numpy(box_sides(heads)).to(positive.device)[answered]
        errors = size_errors(proposals.log_sides.flatten()[positive], sides)
        terms["size"] = loss.size_weight * average_over_batch(errors, over_processes)
    return terms


def count_error(proposals: Proposals, heads: Sequence[Points], stride: int, block: int) -> Tensor:
    """Compare a differentiable number of proposals with the heads of each block.

    The cross-entropy of a proposal does not depend on the others: many scores of 0.4, where people are hard
    to separate, cost it little and count nobody. This term depends on their sum.

    Args:
        proposals: on B images, cells in reading order.
        heads: annotated heads of the B images, with the size of each image without its padding.
        stride: pixels per cell.
        block: side of a block in pixels, rounded down to whole cells. Blocks start at the top left; the last
            ones of a row or column may be cut.

    Returns:
        (S - N)^2 / (N + 1) summed over an image's blocks, per proposal as the cross-entropy is, averaged over
        the images. N is the number of heads in the block, and S the sum over its cells of the sigmoids of
        twice the scores' log-odds, steep enough for a clear background not to add up.
    """
    columns, rows = (int(last) // stride + 1 for last in proposals.cells.amax(dim=0))
    side = max(1, block // stride)
    shown = _find_shown(proposals.cells, heads)
    smooth = shown * torch.sigmoid(2 * (proposals.logits[..., 1] - proposals.logits[..., 0]))
    smooth = smooth.view(len(heads), rows, columns, -1).sum(dim=-1)  # (B, h, w)
    down, across = -(-rows // side), -(-columns // side)
    smooth = torch.nn.functional.pad(smooth, (0, across * side - columns, 0, down * side - rows))
    found = smooth.view(len(heads), down, side, across, side).sum(dim=(2, 4))  # (B, down, across)
    edges = [np.arange(count + 1) * side * stride for count in (down, across)]
    true = found.new_tensor(np.stack([np.histogram2d(own.xy[:, 1], own.xy[:, 0], edges)[0] for own in heads]))
    return (((found - true).square() / (true + 1)).sum(dim=(1, 2)) / shown.sum(dim=1)).mean()


def _find_shown(cells: Tensor, heads: Sequence[Points]) -> Tensor:
    """Find the proposals (B, M) whose cell shows a part of its image, not padding alone."""
    sizes = cells.new_tensor([own.image_size or (math.inf, math.inf) for own in heads])  # (B, 2)
    return (cells < sizes[:, None]).all(dim=-1)


def _pair(
    proposals: Proposals, heads: Sequence[Points], shown: Tensor, assignment: AssignmentConfig
) -> tuple[Tensor, Tensor]:
    """Pair the proposals that are shown (B, M) with heads.

    Returns (P,) positive proposals as indices into all B * M, and (P,) their heads as indices into all heads.
    """
    points = proposals.points.detach().cpu().numpy()
    scores = proposals.logits.detach().softmax(dim=-1)[..., 1].cpu().numpy()
    index = [np.flatnonzero(own) for own in shown.cpu().numpy()]
    candidates = [
        (values[own], likely[own]) for values, likely, own in zip(points, scores, index, strict=True)
    ]
    # SciPy releases the interpreter's lock while it assigns.
    assigned = map_in_threads(
        assign, *zip(*candidates, strict=True), [own.xy for own in heads], repeat(assignment)
    )
    before = np.cumsum([0, *map(len, heads)])
    positive = [
        image * points.shape[1] + index[image][pairs.proposals] for image, pairs in enumerate(assigned)
    ]
    answered = [before[image] + pairs.heads for image, pairs in enumerate(assigned)]
    device = proposals.points.device
    return (
        torch.from_numpy(np.concatenate(positive)).to(device),
        torch.from_numpy(np.concatenate(answered)).to(device),
    )
