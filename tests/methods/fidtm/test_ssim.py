"""SSIM losses against one window at a time, in value and in gradient."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from crowdpoint.methods.fidtm.ssim import global_ssim_loss, independent_ssim_loss
from crowdpoint.methods.fidtm.targets import fidt_map
from crowdpoint.points import Points

LAMBDA1, LAMBDA2 = 1e-4, 9e-4


def weighted_ssim(e: Tensor, g: Tensor, weight: Tensor) -> Tensor:
    """FIDTM, Eq. 5, on one window whose weights sum to 1."""
    mean_e, mean_g = (weight * e).sum(), (weight * g).sum()
    var_e, var_g = (weight * (e - mean_e) ** 2).sum(), (weight * (g - mean_g) ** 2).sum()
    covariance = (weight * (e - mean_e) * (g - mean_g)).sum()
    return ((2 * mean_e * mean_g + LAMBDA1) * (2 * covariance + LAMBDA2)) / (
        (mean_e**2 + mean_g**2 + LAMBDA1) * (var_e + var_g + LAMBDA2)
    )


def loop_independent(predicted: Tensor, target: Tensor, heads: Sequence[Tensor], window: int) -> Tensor:
    terms = []
    for e, g, image_heads in zip(predicted[:, 0], target[:, 0], heads, strict=True):
        for column, row in image_heads.floor().long().tolist():
            top, left = row - window // 2, column - window // 2
            rows = slice(max(top, 0), top + window)
            columns = slice(max(left, 0), left + window)
            inside = e[rows, columns]
            weight = torch.full_like(inside, 1 / inside.numel())
            terms.append(1 - weighted_ssim(inside, g[rows, columns], weight))
    return torch.stack(terms).mean()


def loop_global(predicted: Tensor, target: Tensor, window: int, sigma: float) -> Tensor:
    offsets = torch.arange(window, dtype=predicted.dtype) - window // 2
    kernel = torch.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * sigma**2))
    height, width = predicted.shape[-2:]
    terms = []
    for e, g in zip(predicted[:, 0], target[:, 0], strict=True):
        for row in range(height):
            for column in range(width):
                rows = [r for r in range(row - window // 2, row + window // 2 + 1) if 0 <= r < height]
                columns = [c for c in range(column - window // 2, column + window // 2 + 1) if 0 <= c < width]
                weight = kernel[[r - row + window // 2 for r in rows]][
                    :, [c - column + window // 2 for c in columns]
                ]
                part = e[rows][:, columns], g[rows][:, columns]
                terms.append(1 - weighted_ssim(*part, weight / weight.sum()))
    return torch.stack(terms).mean()


def batch(
    counts: Sequence[int], height: int, width: int, seed: int = 0
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """A noisy prediction of the FIDT maps of random heads; some lie on the borders and on each other."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor((width, height))
    heads = [torch.rand(count, 2, generator=generator) * size for count in counts]
    for image_heads in heads:
        image_heads[:4] = torch.tensor([(0.0, 0.0), (width - 0.5, height - 0.5), (0.2, 3.7), (0.2, 3.7)])[
            : len(image_heads)
        ]
    maps = [fidt_map(Points(image_heads.numpy(), image_size=(width, height))) for image_heads in heads]
    target = torch.stack([torch.from_numpy(map_) for map_ in maps])[:, None]
    noise = torch.randn(target.shape, generator=generator)
    return (0.8 * target + 0.05 * noise).requires_grad_(), target, heads


def gradient(loss: Tensor, predicted: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss, predicted)
    return found


@pytest.mark.parametrize("window", [1, 2, 7, 20, 30, 40, 200])
def test_independent_equals_the_loop(window: int) -> None:
    predicted, target, heads = batch([60, 0, 5], 70, 90)
    loss = independent_ssim_loss(predicted, target, heads, window=window)
    exact = predicted.detach().double().requires_grad_()
    expected = loop_independent(exact, target.double(), heads, window)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    wanted = gradient(expected, exact)
    assert (gradient(loss, predicted) - wanted).abs().max() < 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("level", [0.0, 0.7, 1.0])
def test_independent_is_precise_on_a_flat_window_of_a_large_map(level: float) -> None:
    """Float32 sums over such a map would lose the variance of a window far from the origin."""
    predicted = torch.full((2, 1, 600, 800), level)
    predicted[:, :, :500] += 0.3 * torch.rand(2, 1, 500, 800, generator=torch.Generator().manual_seed(0))
    predicted[1, 0, 585, 785] += 1e-3
    target = torch.full_like(predicted, level)
    heads = [torch.tensor([[790.0, 590.0]])] * 2
    predicted.requires_grad_()
    loss = independent_ssim_loss(predicted, target, heads)
    exact = predicted.detach().double().requires_grad_()
    expected = loop_independent(exact, target.double(), heads, 30)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-9)
    wanted = gradient(expected, exact)
    assert (gradient(loss, predicted) - wanted).abs().max() < 1e-5 * wanted.abs().max()


def test_the_window_of_30_reaches_15_back_and_14_forward() -> None:
    predicted = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = independent_ssim_loss(predicted, torch.zeros(1, 1, 64, 64), [torch.tensor([[32.9, 20.1]])])
    rows, columns = (gradient(loss, predicted)[0, 0].abs() > 1e-9).nonzero().unbind(1)
    assert (columns.min().item(), columns.max().item()) == (17, 46)
    assert (rows.min().item(), rows.max().item()) == (5, 34)


def test_windows_are_clipped_at_the_borders() -> None:
    predicted, target, _ = batch([9], 50, 40)
    corner = [torch.tensor([[2.5, 1.5]])]
    found = independent_ssim_loss(predicted, target, corner)
    cut = independent_ssim_loss(predicted[..., :16, :17], target[..., :16, :17], corner, window=100)
    assert found.item() == pytest.approx(cut.item(), abs=1e-7)


def test_an_image_without_heads_contributes_nothing() -> None:
    predicted, target, heads = batch([8, 0], 40, 40)
    loss = independent_ssim_loss(predicted, target, heads)
    alone = independent_ssim_loss(predicted[:1], target[:1], heads[:1])
    assert loss.item() == pytest.approx(alone.item(), abs=1e-7)
    assert not gradient(loss, predicted)[1].any()


def test_every_head_of_the_batch_has_the_same_weight() -> None:
    predicted, target, heads = batch([8, 2], 40, 40)
    each = [independent_ssim_loss(predicted[i : i + 1], target[i : i + 1], heads[i : i + 1]) for i in (0, 1)]
    expected = (8 * each[0] + 2 * each[1]) / 10
    assert independent_ssim_loss(predicted, target, heads).item() == pytest.approx(expected.item(), abs=1e-6)


def test_a_batch_without_heads_gives_a_zero_with_a_gradient() -> None:
    predicted, target, heads = batch([0, 0], 20, 20)
    loss = independent_ssim_loss(predicted, target, heads)
    assert loss.item() == 0
    assert torch.equal(gradient(loss, predicted), torch.zeros_like(predicted))


def test_heads_outside_the_map_have_no_term() -> None:
    predicted, target, heads = batch([6], 30, 30)
    outside = torch.tensor([[-0.1, 5.0], [30.0, 5.0], [5.0, 31.0]])
    with_outside = independent_ssim_loss(predicted, target, [torch.cat((heads[0], outside))])
    assert with_outside.item() == independent_ssim_loss(predicted, target, heads).item()


@pytest.mark.parametrize("window", [3, 11])
def test_global_equals_the_loop(window: int) -> None:
    predicted, target, _ = batch([4, 2], 9, 14)
    loss = global_ssim_loss(predicted, target, window=window)
    exact = predicted.detach().double().requires_grad_()
    expected = loop_global(exact, target.double(), window, 1.5)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    wanted = gradient(expected, exact)
    assert (gradient(loss, predicted) - wanted).abs().max() < 1e-4 * wanted.abs().max()


def test_the_loss_of_a_perfect_prediction_is_zero() -> None:
    _, target, heads = batch([30, 3], 64, 48)
    assert independent_ssim_loss(target, target, heads).item() == pytest.approx(0, abs=1e-9)
    assert global_ssim_loss(target, target).item() == pytest.approx(0, abs=1e-6)


def test_an_inverted_prediction_is_worse_than_a_blank_one() -> None:
    _, target, heads = batch([30, 3], 64, 48)
    inverted = independent_ssim_loss(1 - target, target, heads)
    blank = independent_ssim_loss(torch.zeros_like(target), target, heads)
    assert 2 > inverted.item() > blank.item() > 0.5


def test_gradients_agree_with_differences() -> None:
    predicted, target, heads = batch([3, 0, 2], 8, 7)
    exact = predicted.detach().double().requires_grad_()
    truth = target.double()
    assert torch.autograd.gradcheck(
        lambda maps: independent_ssim_loss(maps, truth, heads, window=5), (exact,)
    )
    assert torch.autograd.gradcheck(lambda maps: global_ssim_loss(maps, truth, window=5), (exact,))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_maps_give_a_float32_loss(dtype: torch.dtype) -> None:
    predicted, target, heads = batch([10], 40, 40)
    half = predicted.detach().to(dtype).requires_grad_()
    losses: list[Callable[[Tensor], Tensor]] = [
        lambda maps: independent_ssim_loss(maps, target, heads),
        lambda maps: global_ssim_loss(maps, target),
    ]
    for loss in losses:
        found = loss(half)
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(loss(half.float()).item(), abs=1e-6)
        assert gradient(found, half).dtype == dtype


def test_wrong_arguments_are_named() -> None:
    maps = torch.zeros(2, 1, 8, 8)
    with pytest.raises(ValueError, match="one shape"):
        global_ssim_loss(maps, maps[:1])
    with pytest.raises(ValueError, match="one shape"):
        independent_ssim_loss(maps[:, 0], maps[:, 0], [torch.zeros(0, 2)] * 2)
    with pytest.raises(ValueError, match="heads: expected 2"):
        independent_ssim_loss(maps, maps, [torch.zeros(0, 2)])
    with pytest.raises(ValueError, match="window: expected an odd"):
        global_ssim_loss(maps, maps, window=10)
