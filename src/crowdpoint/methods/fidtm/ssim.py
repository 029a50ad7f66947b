"""SSIM losses between a predicted and a true map, over the whole map or around each head (FIDTM, Sec. III-C).

Both are one formula over local means; they differ in the window's shape and in where it is placed.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

LAMBDA1, LAMBDA2 = 1e-4, 9e-4
"""Constants beside the means and the variances."""

SIGMA = 1.5
"""Standard deviation in pixels of the window of `global_ssim_loss`."""


def global_ssim_loss(
    predicted: Tensor,
    target: Tensor,
    *,
    window: int = 11,
) -> Tensor:
    """Compute the mean of 1 - SSIM over all pixels (FIDTM, Eq. 5 and 6).

    The window is SSIM's usual Gaussian with a standard deviation of 1.5 pixels, renormalised at the borders.

    Args:
        predicted: (B, 1, H, W).
        target: (B, 1, H, W).
        window: side of the window in pixels, odd.

    Returns:
        A scalar in [0, 2], float32 (float64 for float64 input), 0 for a perfect prediction.

    Raises:
        ValueError: if the shapes differ or the window is even.
    """
    _check(predicted, target)
    if window % 2 == 0:
        raise ValueError(f"window: expected an odd number, found {window}")
    weights = tuple(math.exp(-0.5 * (n / SIGMA) ** 2) for n in range(window // 2 + 1))
    dtype = torch.promote_types(predicted.dtype, torch.float32)  # half precision would swamp the variances
    p, t = predicted.to(dtype), target.to(dtype)
    blurred: Tensor = _Blur.apply(torch.stack((p, t, p * p + t * t, p * t)), weights)  # type: ignore[no-untyped-call]
    moments = blurred / _blur(torch.ones_like(p[:1]), weights)
    return 1 - _ssim(moments).mean()


def independent_ssim_loss(
    predicted: Tensor,
    target: Tensor,
    heads: Sequence[Tensor],
    *,
    window: int = 30,
) -> Tensor:
    """Compute I-SSIM, the mean of 1 - SSIM over one window for each head of the batch (FIDTM, Eq. 7).

    The window of a head in column c = floor(x) has the columns c - window // 2 to c - window // 2 + window -
    1, for 30 pixels c - 15 to c + 14, and rows alike. Statistics are means over its pixels inside the map.
    Heads in one pixel are separate terms; heads outside the map are none.

    Time and memory are linear in the pixels of the maps and in heads times the window's side, not its area.

    Args:
        predicted: (B, 1, H, W).
        target: (B, 1, H, W); no gradient flows into it.
        heads: B tensors (N_i, 2), (x, y) in pixels of the map; N_i may be 0.
        window: side of the window in pixels.

    Returns:
        A scalar in [0, 2], float32 (float64 for float64 input); 0 for a perfect prediction or no heads.

    Raises:
        ValueError: if the shapes differ or there is not one tensor of heads for each image.
    """
    _check(predicted, target)
    if len(heads) != len(predicted):
        raise ValueError(f"heads: expected {len(predicted)} tensors, one for each image, found {len(heads)}")
    images = torch.arange(len(heads)).repeat_interleave(torch.tensor([len(xy) for xy in heads]))
    xy = torch.cat([*heads]).to(predicted.device)
    starts, ends = _runs(xy, images.to(predicted.device), target.shape, window)
    area = (ends - starts).sum(dim=1)  # (N,)
    sums: Tensor = _WindowSums.apply(predicted[:, 0], target[:, 0], starts, ends)  # type: ignore[no-untyped-call]
    terms = 1 - _ssim(sums / area.clamp(min=1))
    loss = terms.sum() / area.count_nonzero().clamp(min=1)
    return loss.to(torch.promote_types(predicted.dtype, torch.float32))


def _ssim(moments: Tensor) -> Tensor:
    """Compute SSIM (FIDTM, Eq. 5) from local means (4, ...) of p, t, p^2 + t^2 and p t."""
    mean_p, mean_t, squares, product = moments.unbind(0)
    mean_squares = mean_p**2 + mean_t**2
    luminance = (2 * mean_p * mean_t + LAMBDA1) / (mean_squares + LAMBDA1)
    return luminance * (2 * (product - mean_p * mean_t) + LAMBDA2) / (squares - mean_squares + LAMBDA2)


def _runs(xy: Tensor, images: Tensor, shape: torch.Size, window: int) -> tuple[Tensor, Tensor]:
    """Compute the rows of the window of each head (N, 2) of the images (N,) as runs of cells.

    Returns the left and the right bound of each run, (N, window) int64: positions in all rows of all maps,
    one after the other, where a row of W cells has W + 1 bounds. Rows outside the map are empty, and so is
    the window of a head outside it, whose SSIM is then that of two zeros: 1.
    """
    height, width = shape[-2:]
    column, row = xy.floor().long().unbind(dim=1)
    left = column - window // 2
    rows = (row - window // 2)[:, None] + torch.arange(window, device=xy.device)  # (N, window)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    filled = inside[:, None] & (rows >= 0) & (rows < height)
    first = (images[:, None] * height + rows.clamp(0, height - 1)) * (width + 1)
    starts = first + left.clamp(0, width)[:, None]
    ends = first + (left + window).clamp(0, width)[:, None]
    return starts, torch.where(filled, ends, starts)


class _WindowSums(torch.autograd.Function):
    """Sums (4, N) of p, t, p^2 + t^2 and p t over windows given by `_runs`, for maps p and t (B, H, W).

    Forward: differences of cumulative sums along the rows. Backward, into p only: its transpose, cumulative
    sums of differences. In float64, because a window is a small difference of large sums.
    """

    @staticmethod
    def forward(ctx: Any, predicted: Tensor, target: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
        ctx.save_for_backward(predicted, target, starts, ends)
        p, t = predicted.double(), target.double()
        sums = p.new_zeros((*p.shape[:-1], p.shape[-1] + 1))

        def over_windows(cells: Tensor) -> Tensor:
            torch.cumsum(cells, -1, out=sums[..., 1:])
            return (sums.take(ends) - sums.take(starts)).sum(dim=1)

        product = p * t
        found = [over_windows(p), over_windows(t), over_windows(product)]
        squares = torch.mul(p, p, out=product).addcmul_(t, t)
        return torch.stack((*found[:2], over_windows(squares), found[2]))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        predicted, target, starts, ends = ctx.saved_tensors
        rows, width = predicted.shape[:-1].numel(), predicted.shape[-1]

        def onto_map(gradient: Tensor) -> Tensor:
            steps = gradient.new_zeros(rows * (width + 1))
            spread = gradient[:, None].expand_as(starts).flatten()
            steps.index_add_(0, starts.flatten(), spread).index_add_(0, ends.flatten(), spread, alpha=-1)
            return steps.view(rows, width + 1).cumsum_(dim=1)[:, :-1].view(predicted.shape)

        by_p, _, by_squares, by_product = gradients[0]
        total = onto_map(2 * by_squares).mul_(predicted)
        total += onto_map(by_product).mul_(target)
        total += onto_map(by_p)
        return total.to(predicted.dtype), None, None, None


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
    """Apply a separable symmetric filter, `weights` from its centre outwards, with zeros outside the map.

    Shifted sums: a convolution of one channel takes several times as long, and a GPU's may round to TF32.
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
