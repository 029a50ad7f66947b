"""The losses of both methods, and which of them a recipe asks for.

Terms come named and already weighted; the total is their sum.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from crowdpoint.config import (
    AssignmentConfig,
    DensityConfig,
    DensityLossConfig,
    DensityRecipe,
    FIDTMConfig,
    FIDTMLossConfig,
    P2PNetRecipe,
    Recipe,
)
from crowdpoint.matching import match
from crowdpoint.nn.assignment import assign
from crowdpoint.nn.p2pnet import Proposals
from crowdpoint.nn.regressor import Maps
from crowdpoint.nn.ssim import global_ssim_loss, independent_ssim_loss
from crowdpoint.peaks import maxima
from crowdpoint.points import FloatArray, Points
from crowdpoint.targets import DENSITY_SCALE, density_map, fidt_map

OverProcesses = Callable[[Tensor], Tensor]
"""The mean of a number over all processes that share a batch."""


class Criterion(NamedTuple):
    """How a recipe's network is trained.

    Attributes:
        method: the network's method that training calls, which returns named tensors.
        loss: maps its result, the heads of each image, and `OverProcesses` to the weighted terms.
    """

    method: str
    loss: Callable[[Any, Sequence[Points], OverProcesses], dict[str, Tensor]]


def criterion(recipe: Recipe) -> Criterion:
    """Choose the loss of a recipe."""
    if isinstance(recipe, P2PNetRecipe):
        return Criterion("proposals", lambda outputs, heads, mean: p2pnet_loss(outputs, heads, recipe, mean))
    if isinstance(recipe, DensityRecipe):
        return Criterion(
            "maps", lambda outputs, heads, _: density_loss(outputs, heads, recipe.model, recipe.loss)
        )
    return Criterion(
        "maps", lambda outputs, heads, mean: fidtm_loss(outputs, heads, recipe.model, recipe.loss, mean)
    )


def p2pnet_loss(
    proposals: Proposals,
    heads: Sequence[Points],
    recipe: P2PNetRecipe,
    over_processes: OverProcesses = lambda count: count,
) -> dict[str, Tensor]:
    """Compute the terms of P2PNet, Eq. 6, weighted; a batch without heads has a point term of zero.

    Args:
        proposals: of B images with M proposals each; finite.
        heads: annotated heads of the B images, all of one size.
        recipe: weights of the terms, the assignment, and the model's stride.
        over_processes: makes the mean of the processes' gradients the gradient of the whole batch.

    Returns:
        `classification`: cross-entropy averaged over the B * M proposals, negatives times lambda_1 (Eq. 4);
            with `loss.divisor: weights` its sum is divided by the sum of the weights 1 and lambda_1.
        `point`: lambda_2 times the mean over pairs of the squared distance, or of the distance (Eq. 5).
        `count`: the error of the counts of blocks, if it has a weight: see `count_error`.
        `size`: the error of the boxes' sides, if it has a weight and the model predicts them: see
            `size_error`.
    """
    loss = recipe.loss
    positive, answered = _pairs(proposals, heads, recipe.assignment)
    log_likelihood = proposals.logits.flatten(0, 1).log_softmax(dim=-1)  # (B * M, 2)
    person = torch.zeros(len(log_likelihood), dtype=torch.bool, device=positive.device)
    person[positive] = True
    weight = torch.where(person, 1.0, loss.background_weight)
    entropy = -weight * torch.where(person, log_likelihood[:, 1], log_likelihood[:, 0])
    targets = torch.from_numpy(np.concatenate([own.xy for own in heads])).to(positive.device)[answered]
    squared = (proposals.points.flatten(0, 1)[positive] - targets).square().sum(dim=1)  # (P,)
    error = squared if loss.point_norm == "squared" else (squared + 1e-6).sqrt()
    released = loss.divisor == "weights"
    terms = {
        "classification": entropy.sum() / over_processes(weight.sum()) if released else entropy.mean(),
        "point": loss.point_weight * _mean(error, over_processes),
    }
    if loss.count_weight:
        terms["count"] = loss.count_weight * count_error(
            proposals.logits, heads, recipe.model.stride, loss.count_block
        )
    if loss.size_weight and proposals.log_sides is not None:
        sides = torch.from_numpy(np.concatenate([_sides(own) for own in heads])).to(positive.device)[answered]
        error = size_error(proposals.log_sides.flatten()[positive], sides)
        terms["size"] = loss.size_weight * _mean(error, over_processes)
    return terms


def count_error(logits: Tensor, heads: Sequence[Points], stride: int, block: int) -> Tensor:
    """Compare the number of proposals with a score above 0.5, made smooth, with the heads of each block.

    The cross-entropy judges each proposal alone. Many scores of 0.4 where people are hard to tell apart cost
    it little and count nobody; this term sees their sum.

    Args:
        logits: (B, M, 2) for background and person, cells in reading order.
        heads: annotated heads of the B images, all of one size.
        stride: pixels per cell.
        block: side of a block in pixels, rounded down to whole cells. Blocks start at the top left; the last
            ones of a row or column may be cut.

    Returns:
        (S - N)^2 / (N + 1) summed over an image's blocks, per proposal as the cross-entropy is, averaged over
        the images. N is the heads whose point is in the block. S is the sum over the block's cells of the
        sigmoids of twice the scores' log-odds, steep enough for a clear background not to add up.
    """
    width, height = heads[0].image_size or (0, 0)
    rows, columns = -(-height // stride), -(-width // stride)
    cells = max(1, block // stride)
    odds = logits[..., 1] - logits[..., 0]
    smooth = torch.sigmoid(2 * odds).view(len(heads), rows, columns, -1).sum(dim=-1)  # (B, h, w)
    down, across = -(-rows // cells), -(-columns // cells)
    smooth = torch.nn.functional.pad(smooth, (0, across * cells - columns, 0, down * cells - rows))
    found = smooth.view(len(heads), down, cells, across, cells).sum(dim=(2, 4))  # (B, down, across)
    edges = [np.arange(count + 1) * cells * stride for count in (down, across)]
    true = found.new_tensor(np.stack([np.histogram2d(own.xy[:, 1], own.xy[:, 0], edges)[0] for own in heads]))
    return ((found - true).square() / (true + 1)).sum(dim=(1, 2)).mean() / odds.shape[1]


def size_error(log_sides: Tensor, sides: Tensor) -> Tensor:
    """Compute the Huber loss of predicted log sides, zero where the side is not annotated.

    Args:
        log_sides: (P,) predicted natural logarithms of sides in pixels.
        sides: (P,) annotated sides, NaN where there is no box.

    Returns:
        (P,) errors, divided by the share of annotated sides, so that their mean is that of the annotated.
    """
    known = sides.isfinite() & (sides > 0)
    error = torch.nn.functional.smooth_l1_loss(
        log_sides, torch.where(known, sides, 1).log(), beta=0.2, reduction="none"
    )
    return torch.where(known, error, 0) * len(known) / known.sum().clamp(min=1)


def fidtm_loss(
    maps: Maps,
    heads: Sequence[Points],
    model: FIDTMConfig,
    loss: FIDTMLossConfig,
    over_processes: OverProcesses = lambda count: count,
) -> dict[str, Tensor]:
    """The terms of FIDTM, Eq. 8, weighted; a term whose weight is 0 is left out.

    Args:
        maps: predicted maps (B, 1, H, W).
        heads: annotated heads of the B images, which know the maps' size.
        model: the shape of the target map.
        loss: weights of the terms.
        over_processes: makes the mean of the processes' gradients the gradient of the whole batch.

    Returns:
        `mse`: squared error, the mean over all pixels, or their sum.
        `ssim`: 1 - SSIM, averaged over all pixels (Eq. 6).
        `independent`: 1 - SSIM in a window around each head, averaged over the heads (Eq. 7).
        `peak`: the error of which local maxima are heads, see `peak_error`.
    """
    predicted = maps.map
    wanted = _stacked([fidt_map(own, alpha=model.alpha, beta=model.beta) for own in heads], predicted)
    terms = {}
    if loss.mse_weight:
        terms["mse"] = loss.mse_weight * _squared_error(predicted, wanted, loss.mse_reduction)
    if loss.ssim_weight:
        terms["ssim"] = loss.ssim_weight * global_ssim_loss(predicted, wanted)
    if loss.independent_weight:
        own_heads = [torch.from_numpy(own.xy.copy()).to(predicted.device) for own in heads]
        independent = independent_ssim_loss(predicted, wanted, own_heads, window=loss.window)
        count = independent.new_tensor(sum(len(own.inside()) for own in heads))
        share = count / over_processes(count).clamp(min=1e-6)  # of the heads of all processes
        terms["independent"] = loss.independent_weight * share * independent
    if loss.peak_weight:
        terms["peak"] = loss.peak_weight * peak_error(predicted, heads, model.threshold, over_processes)
    return terms


def peak_error(
    predicted: Tensor,
    heads: Sequence[Points],
    threshold: float,
    over_processes: OverProcesses = lambda count: count,
    *,
    radius: float = 8.0,
    width: float = 0.06,
) -> Tensor:
    """How far the maxima of maps are on the wrong side of the threshold: heads below it, others above.

    The paper's terms compare maps, to which a maximum a little above the threshold and one a little below it
    are the same. This one sees what becomes a point. Heads without a maximum are left to the other terms: to
    raise the map there makes a plateau of a crowd, which has fewer maxima than before.

    Args:
        predicted: maps (B, 1, H, W).
        heads: B sets of annotated heads, which know the maps' size.
        threshold: the height from which on a maximum is a person; those below half of it do not count.
        over_processes: makes the mean of the processes' gradients the gradient of the whole batch.
        radius: pixels within which a maximum can be a head's, one to one.
        width: how much higher a maximum must be for its log-odds of being a head to grow by 1.

    Returns:
        The cross-entropy with log-odds of (height - threshold) / width, averaged over the batch's maxima.
    """
    cells: list[npt.NDArray[np.intp]] = []
    labels: list[FloatArray] = []
    for values, own in zip(predicted.detach()[:, 0].float().cpu().numpy(), heads, strict=True):
        found = maxima(values)
        xy = found.xy[found.heights >= threshold / 2]
        column, row = xy.astype(np.intp).T
        cells.append(len(cells) * values.size + row * values.shape[1] + column)
        labels.append(np.zeros(len(xy), np.float32))
        labels[-1][match(xy, own.inside().xy, radius, nearest=True)[0]] = 1
    index, person = (torch.from_numpy(np.concatenate(part)).to(predicted.device) for part in (cells, labels))
    odds = (predicted.flatten()[index] - threshold) / width
    errors = torch.nn.functional.binary_cross_entropy_with_logits(odds, person, reduction="sum")
    return errors / over_processes(errors.new_tensor(len(person))).clamp(min=1e-6)


def density_loss(
    maps: Maps, heads: Sequence[Points], model: DensityConfig, loss: DensityLossConfig
) -> dict[str, Tensor]:
    """The term of density regression, weighted (FIDTM, Table XIV, "density map").

    Args:
        maps: predicted maps (B, 1, H, W), heads per 100 pixels.
        heads: annotated heads of the B images, which know the maps' size.
        model: the shape of the target map.
        loss: weight of the term.

    Returns:
        `mse`: mean squared error over all pixels.
    """
    targets = [
        density_map(own, sigma=model.sigma, adaptive=model.adaptive, beta=model.beta, k=model.k)
        for own in heads
    ]
    wanted = DENSITY_SCALE * _stacked(targets, maps.map)
    return {"mse": loss.mse_weight * torch.nn.functional.mse_loss(maps.map, wanted)}


def _squared_error(predicted: Tensor, wanted: Tensor, reduction: str) -> Tensor:
    """The squared error of maps (B, 1, H, W): the mean over their pixels, or the sum over all processes'."""
    mean = torch.nn.functional.mse_loss(predicted, wanted)
    if reduction == "mean":
        return mean
    processes = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    return mean * predicted.numel() * processes


def _stacked(targets: Sequence[FloatArray], predicted: Tensor) -> Tensor:
    """B maps (H, W) as a tensor (B, 1, H, W) beside the predicted one."""
    return torch.from_numpy(np.stack(targets))[:, None].to(predicted.device)


def _mean(errors: Tensor, over_processes: OverProcesses) -> Tensor:
    """The mean over the pairs (P,) of all processes; 0 without pairs."""
    return errors.sum() / over_processes(errors.new_tensor(len(errors))).clamp(min=1e-6)


def _sides(heads: Points) -> FloatArray:
    """The sides (N,) of the squares with the boxes' areas, in pixels; NaN without boxes."""
    if heads.sizes is None:
        return np.full(len(heads), np.nan, np.float32)
    sides: FloatArray = np.sqrt(heads.sizes.prod(axis=1))
    return sides


def _pairs(
    proposals: Proposals, heads: Sequence[Points], assignment: AssignmentConfig
) -> tuple[Tensor, Tensor]:
    """Pair proposals with heads.

    Returns:
        (P,) positive proposals, as indices into all B * M, and (P,) the heads that they answer for, as
        indices into the heads of all images one after another.
    """
    points = proposals.points.detach().cpu().numpy()
    scores = proposals.logits.detach().softmax(dim=-1)[..., 1].cpu().numpy()
    # SciPy releases the interpreter's lock while it assigns.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        assigned = list(pool.map(assign, points, scores, [own.xy for own in heads], repeat(assignment)))
    before = np.cumsum([0, *map(len, heads)])
    positive = [image * points.shape[1] + pairs.proposals for image, pairs in enumerate(assigned)]
    answered = [before[image] + pairs.heads for image, pairs in enumerate(assigned)]
    device = proposals.points.device
    return (
        torch.from_numpy(np.concatenate(positive)).to(device),
        torch.from_numpy(np.concatenate(answered)).to(device),
    )
