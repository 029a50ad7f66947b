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
    LossConfig,
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
        loss: what it returns, the heads of each image, and `OverProcesses`, to the weighted terms.
    """

    method: str
    loss: Callable[[Any, Sequence[FloatArray], OverProcesses], dict[str, Tensor]]


def criterion(recipe: Recipe) -> Criterion:
    """The loss of a recipe."""
    if isinstance(recipe, P2PNetRecipe):
        return Criterion(
            "proposals",
            lambda outputs, heads, mean: p2pnet_loss(outputs, heads, recipe.loss, recipe.assignment, mean),
        )
    if isinstance(recipe, DensityRecipe):
        return Criterion(
            "maps", lambda outputs, heads, _: density_loss(outputs, heads, recipe.model, recipe.loss)
        )
    return Criterion(
        "maps", lambda outputs, heads, mean: fidtm_loss(outputs, heads, recipe.model, recipe.loss, mean)
    )


def p2pnet_loss(
    proposals: Proposals,
    heads: Sequence[FloatArray],
    loss: LossConfig,
    assignment: AssignmentConfig,
    over_processes: OverProcesses = lambda count: count,
) -> dict[str, Tensor]:
    """The terms of P2PNet, Eq. 6, weighted; a batch without heads has a point term of zero.

    Args:
        proposals: points and logits of B images with M proposals each; finite.
        heads: B arrays (N_i, 2), annotated heads in input pixels; N_i may be 0.
        loss: weights of the terms.
        assignment: how proposals are paired with heads.
        over_processes: makes the mean of the processes' gradients the gradient of the whole batch.

    Returns:
        `classification`: cross-entropy averaged over the B * M proposals, negatives times lambda_1 (Eq. 4).
        `point`: lambda_2 times the mean over pairs of the squared distance, or of the distance (Eq. 5).
        `count`: the error of the images' counts, if it has a weight: see `count_error`.
    """
    positive, targets = _pairs(proposals, heads, assignment)
    log_likelihood = proposals.logits.flatten(0, 1).log_softmax(dim=-1)  # (B * M, 2)
    person = torch.zeros(len(log_likelihood), dtype=torch.bool, device=positive.device)
    person[positive] = True
    background = loss.background_weight * log_likelihood[:, 0]
    squared = (proposals.points.flatten(0, 1)[positive] - targets).square().sum(dim=1)  # (P,)
    error = squared if loss.point_norm == "squared" else (squared + 1e-6).sqrt()
    pairs = over_processes(error.new_tensor(len(error)))
    terms = {
        "classification": -torch.where(person, log_likelihood[:, 1], background).mean(),
        "point": loss.point_weight * error.sum() / pairs.clamp(min=1e-6),  # 0 / 1e-6 without pairs
    }
    if loss.count_weight:
        terms["count"] = loss.count_weight * count_error(proposals.logits, [len(own) for own in heads])
    return terms


def count_error(logits: Tensor, counts: Sequence[int]) -> Tensor:
    """How far the number of proposals with a score above 0.5 is off, made smooth.

    The cross-entropy sees each proposal by itself. What all of an image's proposals have in common, it hardly
    sees: many scores of 0.4 in a place where people are hard to tell apart cost little and count nobody.

    Args:
        logits: (B, M, 2) for background and person.
        counts: the heads of each image.

    Returns:
        (S - N)^2 / (N + 10), averaged over the images, per proposal as the cross-entropy is. S is the sum of
        the sigmoids of twice the scores' log-odds, steep enough for a clear background not to add up.
    """
    odds = logits[..., 1] - logits[..., 0]  # (B, M)
    true = odds.new_tensor(counts)
    found = torch.sigmoid(2 * odds).sum(dim=1)
    return ((found - true).square() / (true + 10)).mean() / odds.shape[1]


def fidtm_loss(
    maps: Maps,
    heads: Sequence[FloatArray],
    model: FIDTMConfig,
    loss: FIDTMLossConfig,
    over_processes: OverProcesses = lambda count: count,
) -> dict[str, Tensor]:
    """The terms of FIDTM, Eq. 8, weighted; a term whose weight is 0 is left out.

    Args:
        maps: predicted maps (B, 1, H, W).
        heads: B arrays (N_i, 2), annotated heads in pixels; N_i may be 0.
        model: the shape of the target map.
        loss: weights of the terms.
        over_processes: makes the mean of the processes' gradients the gradient of the whole batch.

    Returns:
        `mse`: mean squared error over all pixels.
        `ssim`: 1 - SSIM, averaged over all pixels (Eq. 6).
        `independent`: 1 - SSIM in a window around each head, averaged over the heads (Eq. 7).
        `peak`: the error of which local maxima are heads, see `peak_error`.
    """
    predicted = maps.map
    points = _on(predicted, heads)
    wanted = _stacked([fidt_map(own, alpha=model.alpha, beta=model.beta) for own in points], predicted)
    terms = {}
    if loss.mse_weight:
        terms["mse"] = loss.mse_weight * torch.nn.functional.mse_loss(predicted, wanted)
    if loss.ssim_weight:
        terms["ssim"] = loss.ssim_weight * global_ssim_loss(predicted, wanted)
    if loss.independent_weight:
        own_heads = [torch.from_numpy(xy).to(predicted.device) for xy in heads]
        independent = independent_ssim_loss(predicted, wanted, own_heads, window=loss.window)
        count = independent.new_tensor(sum(len(own.inside()) for own in points))
        share = count / over_processes(count).clamp(min=1e-6)  # of the heads of all processes
        terms["independent"] = loss.independent_weight * share * independent
    if loss.peak_weight:
        terms["peak"] = loss.peak_weight * peak_error(predicted, points, model.threshold, over_processes)
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
    maps: Maps, heads: Sequence[FloatArray], model: DensityConfig, loss: DensityLossConfig
) -> dict[str, Tensor]:
    """The term of density regression, weighted (FIDTM, Table XIV, "density map").

    Args:
        maps: predicted maps (B, 1, H, W), heads per 100 pixels.
        heads: B arrays (N_i, 2), annotated heads in pixels; N_i may be 0.
        model: the shape of the target map.
        loss: weight of the term.

    Returns:
        `mse`: mean squared error over all pixels.
    """
    targets = [
        density_map(own, sigma=model.sigma, adaptive=model.adaptive, beta=model.beta, k=model.k)
        for own in _on(maps.map, heads)
    ]
    wanted = DENSITY_SCALE * _stacked(targets, maps.map)
    return {"mse": loss.mse_weight * torch.nn.functional.mse_loss(maps.map, wanted)}


def _on(predicted: Tensor, heads: Sequence[FloatArray]) -> list[Points]:
    """The heads as points on maps (B, 1, H, W)."""
    height, width = predicted.shape[-2:]
    return [Points(xy, image_size=(width, height)) for xy in heads]


def _stacked(targets: Sequence[FloatArray], predicted: Tensor) -> Tensor:
    """B maps (H, W) as a tensor (B, 1, H, W) beside the predicted one."""
    return torch.from_numpy(np.stack(targets))[:, None].to(predicted.device)


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
