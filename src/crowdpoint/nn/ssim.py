"""SSIM losses between a predicted and a true map, over the whole map or around each head (FIDTM, Sec. III-C).

Both are one formula over local means; they differ in the window's shape and in where it is placed.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

LAMBDA1 = 1e-4
LAMBDA2 = 9e-4


def global_ssim_loss(
    predicted: Tensor,
    target: Tensor,
    *,
    window: int = 11,
    sigma: float = 1.5,
    lambda1: float = LAMBDA1,
    lambda2: float = LAMBDA2,
) -> Tensor:
    """Mean of 1 - SSIM over all pixels (FIDTM, Eq. 5 and 6).

    The window is SSIM's usual Gaussian, centred on each pixel in turn. At the borders it is
    renormalised over the pixels inside the map, so that no padding enters the statistics.

    Args:
        predicted: (B, 1, H, W).
        target: (B, 1, H, W).
        window: side of the window in pixels, odd.
        sigma: standard deviation of the window in pixels.
        lambda1: constant beside the means.
        lambda2: constant beside the variances.

    Returns:
        A scalar in [0, 2], float32 (float64 for float64 input), 0 for a perfect prediction.

    Raises:
        ValueError: if the shapes differ or the window is even.
    """
    _check(predicted, target)
    if window % 2 == 0:
        raise ValueError(f"window: expected an odd number, found {window}")
    weights = tuple(math.exp(-0.5 * (n / sigma) ** 2) for n in range(window // 2 + 1))
    dtype = torch.promote_types(predicted.dtype, torch.float32)  # half precision would swamp the variances
    mass = _blur(torch.ones_like(predicted[:1], dtype=dtype), weights)

    def window_mean(maps: Tensor) -> Tensor:
        blurred: Tensor = _Blur.apply(maps, weights)  # type: ignore[no-untyped-call]
        return blurred / mass

    return 1 - _ssim(window_mean, predicted.to(dtype), target.to(dtype), lambda1, lambda2).mean()


def independent_ssim_loss(
    predicted: Tensor,
    target: Tensor,
    heads: Sequence[Tensor],
    *,
    window: int = 30,
    lambda1: float = LAMBDA1,
    lambda2: float = LAMBDA2,
) -> Tensor:
    """I-SSIM: mean of 1 - SSIM over one window for each head of the batch (FIDTM, Eq. 7).

    The window of a head in column c = floor(x) is columns c - window // 2 to c - window // 2 + window - 1,
    for 30 pixels c - 15 to c + 14, and rows alike. Statistics are plain means over those of its pixels
    that are inside the map. Two heads in one pixel are two terms; a head outside the map is none.

    Time and memory are linear in the pixels of the maps and in heads times the window's side, not its
    area.

    Args:
        predicted: (B, 1, H, W).
        target: (B, 1, H, W).
        heads: B tensors (N_i, 2), (x, y) in pixels of the map; N_i may be 0.
        window: side of the window in pixels.
        lambda1: constant beside the means.
        lambda2: constant beside the variances.

    Returns:
        A scalar in [0, 2], float32 (float64 for float64 input), 0 for a perfect prediction. Without a
        head in the batch, a 0 that still has a gradient, of zeros.

    Raises:
        ValueError: if the shapes differ or there is not one tensor of heads for each image.
    """
    _check(predicted, target)
    if len(heads) != len(predicted):
        raise ValueError(f"heads: expected {len(predicted)} tensors, one for each image, found {len(heads)}")
    starts, ends = _runs(heads, predicted, window)
    area = (ends - starts).sum(dim=1)  # (N,)

    def window_mean(maps: Tensor) -> Tensor:
        sums: Tensor = _RunSums.apply(maps, starts, ends)  # type: ignore[no-untyped-call]
        return sums.sum(dim=1) / area

    # A window is a small difference of large sums, which float32 would not leave enough digits.
    ssim = _ssim(window_mean, predicted.double(), target.double(), lambda1, lambda2)
    loss = (1 - ssim).sum() / max(len(area), 1)
    return loss.to(torch.promote_types(predicted.dtype, torch.float32))


def _ssim(
    mean: Callable[[Tensor], Tensor], predicted: Tensor, target: Tensor, lambda1: float, lambda2: float
) -> Tensor:
    """SSIM (FIDTM, Eq. 5) wherever `mean` gives the local mean of a map."""
    mean_p, mean_t = mean(predicted), mean(target)
    variances = mean(predicted * predicted) - mean_p**2 + mean(target * target) - mean_t**2
    covariance = mean(predicted * target) - mean_p * mean_t
    luminance = (2 * mean_p * mean_t + lambda1) / (mean_p**2 + mean_t**2 + lambda1)
    return luminance * (2 * covariance + lambda2) / (variances + lambda2)


def _runs(heads: Sequence[Tensor], maps: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """The rows of each head's window as runs of cells, for `_RunSums`.

    Returns:
        Bounds to the left and to the right of each run, (N, window) int64: positions in all rows of the
        batch one after the other, where a row of W cells has W + 1 bounds. Rows outside the map are empty.
    """
    height, width = maps.shape[-2:]
    counts = torch.tensor([len(head) for head in heads], device=maps.device)
    image = torch.arange(len(heads), device=maps.device).repeat_interleave(counts)
    cells = torch.cat([head.reshape(-1, 2).to(maps.device) for head in heads]).floor().long()  # (N, 2)
    inside = ((cells >= 0) & (cells < torch.tensor((width, height), device=maps.device))).all(dim=1)
    image, (left, top) = image[inside], (cells[inside] - window // 2).unbind(dim=1)
    rows = top[:, None] + torch.arange(window, device=maps.device)  # (N, window)
    row_starts = (image[:, None] * height + rows.clamp(0, height - 1)) * (width + 1)
    starts = row_starts + left.clamp(min=0)[:, None]
    ends = row_starts + (left + window).clamp(max=width)[:, None]
    return starts, torch.where((rows >= 0) & (rows < height), ends, starts)


class _RunSums(torch.autograd.Function):
    """Sums over runs of cells along the rows of maps (..., W), in time independent of the runs' length.

    Forward: cumulative sums along the rows, then their differences over each run. Backward is the
    transpose: differences at the runs' bounds, then their cumulative sums. Autograd's own backward
    takes twice the time.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
        ctx.save_for_backward(starts, ends)
        ctx.bounds = (*maps.shape[:-1], maps.shape[-1] + 1)
        sums = maps.new_zeros(ctx.bounds)
        torch.cumsum(maps, -1, out=sums[..., 1:])
        return sums.take(ends) - sums.take(starts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        starts, ends = ctx.saved_tensors
        gradient = gradients[0].flatten()
        steps = gradient.new_zeros(math.prod(ctx.bounds))
        steps.index_add_(0, starts.flatten(), gradient)
        steps.index_add_(0, ends.flatten(), gradient, alpha=-1)
        return steps.view(ctx.bounds).cumsum(-1)[..., :-1], None, None


class _Blur(torch.autograd.Function):
    """`_blur` with its own backward: a symmetric filter with zeros around the map is its own transpose."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weights: tuple[float, ...]) -> Tensor:
        ctx.weights = weights
        return _blur(maps, weights)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _blur(gradients[0], ctx.weights), None


def _blur(maps: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Separable symmetric filter, `weights` from its centre outwards, zeros outside the map.

    Shifted sums: a convolution of one channel takes ten times as long, and on a GPU may round to TF32.
    """
    for dim in (-2, -1):
        side = maps.shape[dim]
        blurred = maps * weights[0]
        for shift, weight in list(enumerate(weights))[1:side]:
            kept = side - shift
            blurred.narrow(dim, shift, kept).add_(maps.narrow(dim, 0, kept), alpha=weight)
            blurred.narrow(dim, 0, kept).add_(maps.narrow(dim, shift, kept), alpha=weight)
        maps = blurred
    return maps


def _check(predicted: Tensor, target: Tensor) -> None:
    if predicted.shape != target.shape or predicted.ndim != 4 or predicted.shape[1] != 1:
        raise ValueError(
            "expected a predicted and a target map of one shape (B, 1, H, W), "
            f"found {tuple(predicted.shape)} and {tuple(target.shape)}"
        )
