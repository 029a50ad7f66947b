import math
from typing import get_args

import numpy as np
import pytest
import torch

from crowdpoint.backbones.regressor import Maps
from crowdpoint.methods.density.config import DensityConfig, DensityLossConfig
from crowdpoint.methods.density.loss import density_loss
from crowdpoint.methods.density.targets import density_map
from crowdpoint.methods.fidtm.config import FIDTMConfig, FIDTMLossConfig
from crowdpoint.methods.fidtm.loss import fidtm_loss, peak_error
from crowdpoint.methods.fidtm.network import LiteRegressor, regressor
from crowdpoint.methods.fidtm.ssim import independent_ssim_loss
from crowdpoint.methods.fidtm.targets import fidt_map
from crowdpoint.points import Points

HEADS = [Points(np.array([[5.5, 6.5], [20, 9]]), image_size=(32, 24)), Points.empty((32, 24))]
BORDERS = [(0, 0, 32, 24)] * 2
ALL = FIDTMLossConfig(mse_weight=2, ssim_weight=3, independent_weight=5, window=8, peak_weight=7)


def target() -> torch.Tensor:
    maps = [fidt_map(own) for own in HEADS]
    return torch.from_numpy(np.stack(maps))[:, None]


def test_every_regressor_has_a_network() -> None:
    for name in get_args(FIDTMConfig.model_fields["regressor"].annotation):
        with torch.device("meta"):
            network = regressor(FIDTMConfig(regressor=name))
        assert sum(parameter.numel() for parameter in network.parameters()) > 1e6


def test_lite_is_small_and_takes_any_size() -> None:
    network = LiteRegressor(width=8).eval()
    with torch.inference_mode():
        assert network(torch.rand(2, 3, 67, 45) * 255).shape == (2, 1, 67, 45)
    assert sum(parameter.numel() for parameter in LiteRegressor().parameters()) < 5e6


def test_lite_trains_every_parameter() -> None:
    network = LiteRegressor(width=8)
    network.raw(torch.rand(2, 3, 64, 64) * 255).map.square().mean().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_lite_predicts_sizes_if_configured() -> None:
    network = LiteRegressor(predict_sizes=True, width=8).eval()
    with torch.inference_mode():
        maps, sides = network(torch.rand(2, 3, 67, 45) * 255)
    assert (maps.shape, sides.shape) == ((2, 1, 67, 45), (2, 1, 17, 12))
    assert ((sides > 14) & (sides < 18)).all(), "they start from 16 pixels"
    assert set(network.branches()) == {"map", "size"}
    with pytest.raises(ValueError, match="predict_sizes: expected regressor: lite"):
        FIDTMConfig(regressor="csrnet", predict_sizes=True)


def test_sizes_are_learnt_in_the_cells_of_annotated_heads() -> None:
    """Of four heads, two have a box; one lies outside and one has none."""
    xy = np.array([[5.5, 6.5], [20, 9], [40, 9], [2, 2]])
    sizes = np.array([[10, 10], [5, 20], [10, 10], [0, 0]])
    heads = [Points(xy, sizes=sizes, image_size=(32, 24)), Points.empty((32, 24))]
    log_sides = torch.zeros(2, 1, 6, 8, requires_grad=True)
    loss = FIDTMLossConfig(size_weight=0.5)
    terms = fidtm_loss(Maps(target(), log_sides), heads, FIDTMConfig(), loss)
    assert terms["size"].item() == pytest.approx(0.5 * (math.log(10) - 0.1), rel=1e-5)
    terms["size"].backward()  # type: ignore[no-untyped-call]
    assert log_sides.grad is not None
    assert log_sides.grad.nonzero().tolist() == [[0, 0, 1, 1], [0, 0, 2, 5]]
    assert "size" not in fidtm_loss(Maps(target()), heads, FIDTMConfig(), loss)


def test_the_loss_of_a_perfect_map_is_zero() -> None:
    terms = fidtm_loss(Maps(target()), HEADS, FIDTMConfig(), ALL)
    assert set(terms) == {"mse", "ssim", "independent", "peak"}
    assert 0 < terms.pop("peak").item() < 1e-3, "a cross-entropy is never 0"
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        dict.fromkeys(terms, 0), abs=1e-6
    )


def padded(maps: torch.Tensor) -> torch.Tensor:
    """Maps with padding right and below, where the network predicts anything."""
    wider = torch.rand(len(maps), 1, maps.shape[2] + 9, maps.shape[3] + 13)
    wider[..., : maps.shape[2], : maps.shape[3]] = maps
    return wider


def test_padding_does_not_affect_the_loss() -> None:
    """Also if only one image of the batch has it: terms are means over the pixels and heads of images."""
    torch.manual_seed(2)
    maps, config = (target() + 0.1 * torch.rand(2, 1, 24, 32)).clamp(0, 1), DensityConfig(sigma=3)
    expected = fidtm_loss(Maps(maps), HEADS, FIDTMConfig(), ALL)
    wider = padded(maps).requires_grad_()
    found = fidtm_loss(Maps(wider), HEADS, FIDTMConfig(), ALL)
    torch.testing.assert_close(found, expected)
    sum(found.values(), torch.tensor(0.0)).backward()  # type: ignore[no-untyped-call]
    assert wider.grad is not None
    assert not wider.grad[..., 24:, :].any()
    assert not wider.grad[..., 32:].any()
    torch.testing.assert_close(
        density_loss(Maps(padded(maps)), HEADS, BORDERS, config, DensityLossConfig()),
        density_loss(Maps(maps), HEADS, BORDERS, config, DensityLossConfig()),
    )
    full = Points(np.array([[40.5, 30.5]]), image_size=(45, 33))
    both = [HEADS[0], full]
    mixed = padded(maps)
    mixed[1] = torch.rand(1, 33, 45)
    parts = [
        fidtm_loss(Maps(maps[:1]), both[:1], FIDTMConfig(), ALL),
        fidtm_loss(Maps(mixed[1:]), both[1:], FIDTMConfig(), ALL),
    ]
    found = fidtm_loss(Maps(mixed), both, FIDTMConfig(), ALL)
    for name, shares in (("mse", (24 * 32, 33 * 45)), ("ssim", (24 * 32, 33 * 45)), ("independent", (2, 1))):
        mean = sum(share * part[name] for share, part in zip(shares, parts, strict=True)) / sum(shares)
        torch.testing.assert_close(found[name], mean)


def test_heads_around_an_image_affect_only_its_target() -> None:
    near = Points(np.array([[5.5, 6.5], [33.5, 9], [-80.0, 3]]), image_size=(32, 24))
    own = near.inside()
    maps = torch.from_numpy(fidt_map(near, around=True))[None, None]
    terms = fidtm_loss(Maps(maps), [near], FIDTMConfig(), ALL)
    assert terms["mse"].item() == 0
    assert fidtm_loss(Maps(maps), [own], FIDTMConfig(), ALL)["mse"].item() > 1e-3
    noisy = (maps + 0.1 * torch.rand(maps.shape)).clamp(0, 1)
    independent = fidtm_loss(Maps(noisy), [near], FIDTMConfig(), ALL)["independent"]
    torch.testing.assert_close(
        independent, 5 * independent_ssim_loss(noisy, maps, [torch.from_numpy(own.xy.copy())], window=8)
    )


def test_terms_are_weighted() -> None:
    maps = Maps(target() + 0.1 * torch.rand(2, 1, 24, 32))
    ones = FIDTMLossConfig(mse_weight=1, ssim_weight=1, independent_weight=1, window=8, peak_weight=1)
    single = fidtm_loss(maps, HEADS, FIDTMConfig(), ones)
    weighted = fidtm_loss(maps, HEADS, FIDTMConfig(), ALL)
    for name, weight in (("mse", 2), ("ssim", 3), ("independent", 5), ("peak", 7)):
        assert weighted[name].item() == pytest.approx(weight * single[name].item())
    assert set(fidtm_loss(maps, HEADS, FIDTMConfig(), FIDTMLossConfig(independent_weight=0))) == {"mse"}


def test_the_squared_error_is_summed_as_in_the_released_code() -> None:
    maps = Maps(target() + 0.1)
    summed = FIDTMLossConfig(mse_weight=2, mse_reduction="sum")
    assert fidtm_loss(maps, HEADS, FIDTMConfig(), summed)["mse"].item() == pytest.approx(
        2 * 0.1**2 * 2 * 24 * 32, rel=1e-4
    )


@pytest.mark.parametrize("name", ["mse", "ssim", "independent", "peak"])
def test_every_term_reaches_the_map(name: str) -> None:
    predicted = torch.rand(2, 1, 24, 32, requires_grad=True)
    fidtm_loss(Maps(predicted), HEADS, FIDTMConfig(), ALL)[name].backward()  # type: ignore[no-untyped-call]
    assert predicted.grad is not None
    assert predicted.grad[0].any()


def peaks(heights: dict[tuple[int, int, int], float]) -> torch.Tensor:
    """Two maps that are 0 but for single cells (map, row, column)."""
    maps = torch.zeros(2, 1, 24, 32)
    for (number, row, column), height in heights.items():
        maps[number, 0, row, column] = height
    return maps.requires_grad_()


def test_peak_error_moves_maxima_across_the_threshold() -> None:
    """The first two are at heads, one of them 2.5 pixels off; the last is less than half of the threshold."""
    maps = peaks({(0, 6, 5): 0.5, (0, 9, 22): 0.2, (0, 20, 12): 0.3, (1, 8, 8): 0.4, (1, 8, 20): 0.1})
    error = peak_error(maps, HEADS, 0.24)
    wrong = [(0.24 - 0.5) / 0.06, (0.24 - 0.2) / 0.06, (0.3 - 0.24) / 0.06, (0.4 - 0.24) / 0.06]
    assert error.item() == pytest.approx(sum(math.log1p(math.exp(odds)) for odds in wrong) / 4, rel=1e-5)
    error.backward()  # type: ignore[no-untyped-call]
    assert maps.grad is not None
    assert (maps.grad < 0).nonzero().tolist() == [[0, 0, 6, 5], [0, 0, 9, 22]], "to be raised"
    assert (maps.grad > 0).nonzero().tolist() == [[0, 0, 20, 12], [1, 0, 8, 8]]


def test_only_one_of_two_maxima_at_a_head_is_the_head() -> None:
    maps = peaks({(0, 6, 5): 0.3, (0, 6, 8): 0.5})
    error = peak_error(maps, [HEADS[0].select(np.array([0])), HEADS[1]], 0.24)
    error.backward()  # type: ignore[no-untyped-call]
    assert maps.grad is not None
    assert maps.grad[0, 0, 6, 5] < 0 < maps.grad[0, 0, 6, 8]


def test_a_maximum_far_from_the_only_head_is_lowered() -> None:
    """The head is in the middle of cell (6, 5); maxima 7 pixels below and 10 beside it."""
    head = [Points(np.array([[5.5, 6.5]]), image_size=(32, 24))] * 2
    maps = peaks({(0, 6, 15): 0.5, (1, 13, 5): 0.5})
    peak_error(maps, head, 0.24).backward()  # type: ignore[no-untyped-call]
    assert maps.grad is not None
    assert maps.grad[0, 0, 6, 15] > 0 > maps.grad[1, 0, 13, 5]


def test_peak_error_without_maxima_is_zero() -> None:
    maps = peaks({})
    error = peak_error(maps, [Points.empty((32, 24))] * 2, 0.24)
    error.backward()  # type: ignore[no-untyped-call]
    assert error.item() == 0
    assert maps.grad is not None, "several processes need a gradient, if only of zeros"


def test_alpha_and_beta_shape_the_target() -> None:
    idt = FIDTMConfig(alpha=0, beta=1)
    assert fidtm_loss(Maps(target()), HEADS, idt, FIDTMLossConfig())["mse"].item() > 0


def test_the_window_is_that_of_the_recipe() -> None:
    """FIDTM, Table XI."""
    maps = target() + 0.1 * torch.rand(2, 1, 24, 32)
    heads = [torch.from_numpy(own.xy.copy()) for own in HEADS]
    for window in (4, 8):
        loss = FIDTMLossConfig(window=window)
        term = fidtm_loss(Maps(maps), HEADS, FIDTMConfig(), loss)["independent"]
        torch.testing.assert_close(term, independent_ssim_loss(maps, target(), heads, window=window))


def test_density_is_learnt_in_heads_per_100_pixels() -> None:
    maps = [100 * density_map(own, sigma=3) for own in HEADS]
    assert maps[0].sum() == pytest.approx(200, rel=1e-4), "two heads"
    predicted = torch.from_numpy(np.stack(maps))[:, None].requires_grad_()
    config = DensityConfig(sigma=3)
    terms = density_loss(Maps(predicted), HEADS, BORDERS, config, DensityLossConfig())
    assert terms.keys() == {"mse"}
    assert terms["mse"].item() == pytest.approx(0, abs=1e-6)
    for other in (config.model_copy(update={"sigma": 4.0}), config.model_copy(update={"adaptive": True})):
        assert density_loss(Maps(predicted), HEADS, BORDERS, other, DensityLossConfig())["mse"].item() > 1e-4
    wider = [(-5, 0, 32, 24)] * 2  # the Gaussian of the left head is whole there
    assert density_loss(Maps(predicted), HEADS, wider, config, DensityLossConfig())["mse"].item() > 1e-5
    once, twice = (
        density_loss(Maps(predicted + 1), HEADS, BORDERS, config, DensityLossConfig(mse_weight=weight))["mse"]
        for weight in (1, 2)
    )
    assert (once.item(), twice.item()) == pytest.approx((1, 2), rel=1e-4)
    once.backward()  # type: ignore[no-untyped-call]
    assert predicted.grad is not None
    assert predicted.grad.any()


@pytest.mark.parametrize("name", ["independent", "peak"])
def test_a_split_batch_has_the_gradient_of_the_whole_batch(name: str) -> None:
    """Heads and maxima are split unevenly; the mean of the parts, each with the mean count, is the whole."""
    maps = target() + 0.1 * torch.rand(2, 1, 24, 32)
    heads = [HEADS[0], HEADS[0].select(np.array([0]))]
    weights = {"mse_weight": 0.0, "independent_weight": 0.0} | {f"{name}_weight": 1.0}
    loss = FIDTMLossConfig(window=8).model_copy(update=weights)
    counts: list[torch.Tensor] = []

    def term(part: slice, mean: torch.Tensor | None = None) -> float:
        def over_processes(count: torch.Tensor) -> torch.Tensor:
            counts.append(count)
            return count if mean is None else mean

        return fidtm_loss(Maps(maps[part]), heads[part], FIDTMConfig(), loss, over_processes)[name].item()

    whole = term(slice(2))
    parts = [term(slice(i, i + 1), counts[0] / 2) for i in range(2)]
    assert counts[1] != counts[2]
    assert sum(parts) / 2 == pytest.approx(whole, rel=1e-4)
