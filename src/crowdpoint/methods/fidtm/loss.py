"""The loss of FIDTM (FIDTM, Eq. 8), and a term of our own. Terms come named and already weighted."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from crowdpoint.backbones.batches import average_over_batch, map_in_threads
from crowdpoint.backbones.regressor import MapGroup, Maps, cut_padding, squared_error
from crowdpoint.backbones.sizes import box_sides, size_errors
from crowdpoint.matching import match
from crowdpoint.methods.fidtm.config import SIZE_STRIDE, FIDTMConfig, FIDTMLossConfig
from crowdpoint.methods.fidtm.peaks import find_maxima
from crowdpoint.methods.fidtm.ssim import global_ssim_loss, independent_ssim_loss
from crowdpoint.methods.fidtm.targets import fidt_map
from crowdpoint.methods.method import OverProcesses
from crowdpoint.points import FloatArray, IntArray, Points

PEAK_RADIUS = 8.0
"""Pixels within which a maximum can be a head's, one to one, in `peak_error`."""

PEAK_WIDTH = 0.06
"""Difference in height that changes the log-odds of a maximum in `peak_error` by 1."""


def fidtm_loss(
    maps: Maps,
    heads: Sequence[Points],
    model: FIDTMConfig,
    loss: FIDTMLossConfig,
    over_processes: OverProcesses = lambda count: count,
) -> dict[str, Tensor]:
    """Compute the weighted terms of FIDTM, Eq. 8, except those of weight 0.

    Arguments are those of `Method.loss`; padding has no part in any term.

    Returns:
        `mse`: squared error, the mean over all pixels, or their sum.
        `ssim`: 1 - SSIM, averaged over all pixels (Eq. 6).
        `independent`: 1 - SSIM in a window around each head, averaged over the heads (Eq. 7).
        `peak`: classification error of local maxima, see `peak_error`.
        `size`: mean error of the boxes' sides, if the model predicts them, see `backbones.sizes`.
    """
    predicted = maps.map
    targets = map_in_threads(partial(fidt_map, alpha=model.alpha, beta=model.beta, around=True), heads)
    parts = cut_padding(predicted, targets)
    terms = {}
    pixels = predicted.new_tensor(sum(part.wanted.numel() for part in parts))
    if loss.mse_weight or loss.ssim_weight:
        pixels = over_processes(pixels)
    if loss.mse_weight:
        error = squared_error(parts)
        if loss.mse_reduction == "mean":
            terms["mse"] = loss.mse_weight * error / pixels
        else:
            processes = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
            terms["mse"] = loss.mse_weight * error * processes
    if loss.ssim_weight:
        own = [part.wanted.numel() * global_ssim_loss(part.predicted, part.wanted) for part in parts]
        terms["ssim"] = loss.ssim_weight * torch.stack(own).sum() / pixels
    if loss.independent_weight:
        independent = torch.stack([_sum_independent_losses(part, heads, loss.window) for part in parts]).sum()
        count = over_processes(independent.new_tensor(sum(len(own.inside()) for own in heads)))
        terms["independent"] = loss.independent_weight * independent / count.clamp(min=1e-6)
    if loss.peak_weight:
        terms["peak"] = loss.peak_weight * peak_error(predicted, heads, model.threshold, over_processes)
    if loss.size_weight and maps.log_sides is not None:
        terms["size"] = loss.size_weight * _compute_size_error(maps.log_sides, heads, over_processes)
    return terms


def peak_error(
    predicted: Tensor,
    heads: Sequence[Points],
    threshold: float,
    over_processes: OverProcesses = lambda count: count,
) -> Tensor:
    """Compute how far maxima are on the wrong side of the threshold: heads below it, others above.

    The paper's terms hardly distinguish a maximum a little above the threshold from one a little below it.
    Heads without a maximum are left to the other terms, because raised maps are plateaus with fewer maxima.

    Args:
        predicted: maps (B, 1, H, W).
        heads: B sets of annotated heads, with the size of each image without its padding.
        threshold: minimum height of a person; maxima below half of it are ignored.
        over_processes: as in `Method.loss`.

    Returns:
        The mean cross-entropy over all maxima, with log-odds of (height - threshold) / `PEAK_WIDTH`.
    """
    maps = predicted.detach()[:, 0].float().cpu().numpy()
    labelled = map_in_threads(partial(_label, lowest=threshold / 2), maps, heads)
    cells = [image * maps[0].size + cell for image, (cell, _) in enumerate(labelled)]
    labels = [label for _, label in labelled]
    index, person = (torch.from_numpy(np.concatenate(part)).to(predicted.device) for part in (cells, labels))
    odds = (predicted.flatten()[index] - threshold) / PEAK_WIDTH
    errors = torch.nn.functional.binary_cross_entropy_with_logits(odds, person, reduction="none")
    return average_over_batch(errors, over_processes)


def _label(values: FloatArray, heads: Points, lowest: float) -> tuple[IntArray, FloatArray]:
    """Find the maxima of a map (H, W): the indices of their cells, and 1 for those of heads, else 0."""
    width, height = heads.image_size or values.shape[::-1]
    found = find_maxima(np.ascontiguousarray(values[:height, :width]))
    xy = found.xy[found.heights >= lowest]
    column, row = xy.astype(np.intp).T
    labels = np.zeros(len(xy), np.float32)
    labels[match(xy, heads.inside().xy, PEAK_RADIUS, nearest=True)[0]] = 1
    return row * values.shape[1] + column, labels


def _compute_size_error(log_sides: Tensor, heads: Sequence[Points], over_processes: OverProcesses) -> Tensor:
    own = [each.inside() for each in heads]
    cells = [(each.xy // SIZE_STRIDE).astype(np.intp) for each in own]
    columns, rows = torch.from_numpy(np.concatenate(cells)).to(log_sides.device).T
    images = torch.from_numpy(np.repeat(np.arange(len(own)), [len(each) for each in own]))
    sides = torch.from_numpy(box_sides(own)).to(log_sides.device)
    errors = size_errors(log_sides[images.to(log_sides.device), 0, rows, columns], sides)
    return average_over_batch(errors, over_processes)


def _sum_independent_losses(part: MapGroup, heads: Sequence[Points], window: int) -> Tensor:
    own = [heads[number].inside() for number in part.images]
    xy = [torch.from_numpy(each.xy.copy()).to(part.predicted.device) for each in own]
    mean = independent_ssim_loss(part.predicted, part.wanted, xy, window=window)
    return mean * sum(map(len, own))
