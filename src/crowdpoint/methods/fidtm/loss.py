"""The loss of FIDTM (FIDTM, Eq. 8), and a term of our own. Terms come named and already weighted."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from crowdpoint.backbones.regressor import Maps
from crowdpoint.matching import match
from crowdpoint.methods.fidtm.config import FIDTMConfig, FIDTMLossConfig
from crowdpoint.methods.fidtm.peaks import maxima
from crowdpoint.methods.fidtm.ssim import global_ssim_loss, independent_ssim_loss
from crowdpoint.methods.fidtm.targets import fidt_map
from crowdpoint.methods.method import OverProcesses
from crowdpoint.points import FloatArray, Points


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
    wanted = stack_maps([fidt_map(own, alpha=model.alpha, beta=model.beta) for own in heads], predicted)
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


def _squared_error(predicted: Tensor, wanted: Tensor, reduction: str) -> Tensor:
    """The squared error of maps (B, 1, H, W): the mean over their pixels, or the sum over all processes'."""
    mean = torch.nn.functional.mse_loss(predicted, wanted)
    if reduction == "mean":
        return mean
    processes = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    return mean * predicted.numel() * processes


def stack_maps(targets: Sequence[FloatArray], predicted: Tensor) -> Tensor:
    """Stack B maps (H, W) to a tensor (B, 1, H, W) on the device of the predicted one."""
    return torch.from_numpy(np.stack(targets))[:, None].to(predicted.device)
