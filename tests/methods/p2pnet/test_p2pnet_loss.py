"""The P2PNet loss: Eq. 4-6 in plain Python, gradients where they belong, and images without heads."""

import math
from collections import Counter
from itertools import combinations, permutations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from crowdpoint.config import load_recipe
from crowdpoint.methods.p2pnet.config import P2PNetRecipe
from crowdpoint.methods.p2pnet.loss import count_error, p2pnet_loss
from crowdpoint.methods.p2pnet.network import P2PNet, Proposals
from crowdpoint.points import Points

CELLS = torch.tensor([[0.0, 0], [16, 0], [0, 16], [16, 16]])
"""Corners of the cells of `scene`."""

TINY = ("model.backbone=efficientnet-lite0", "model.pyramid_channels=8", "model.head_channels=8")


def recipe(*overrides: str) -> P2PNetRecipe:
    found = load_recipe(
        "p2pnet-shanghaitech-a", ("loss.background_weight=0.3", "loss.point_weight=0.01", *overrides)
    )
    assert isinstance(found, P2PNetRecipe)
    return found


def heads_at(*points: tuple[float, float], sizes: npt.ArrayLike | None = None) -> Points:
    xy = np.array(points, np.float32).reshape(-1, 2)
    return Points(xy, sizes=None if sizes is None else np.asarray(sizes, np.float32), image_size=(32, 32))


def scene() -> tuple[Proposals, list[Points]]:
    """Three images of two cells by two at stride 16: two heads, none, and more heads than proposals."""
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(3, 4, 2, generator=generator) * 40
    logits = torch.randn(3, 4, 2, generator=generator)
    heads = [
        heads_at((3, 4), (30, 20)),
        heads_at(),
        heads_at((1, 1), (9, 2), (20, 30), (31, 8), (22, 22), (30, 30)),
    ]
    return Proposals(points.requires_grad_(), logits.requires_grad_(), CELLS), heads


@pytest.mark.parametrize("norm", ["squared", "distance"])
def test_value_of_equations_4_to_6(norm: str) -> None:
    """The pairs are found by trying all; the sums are written out."""
    proposals, heads = scene()
    terms = p2pnet_loss(proposals, heads, recipe(f"loss.point_norm={norm}"))
    cross_entropy, errors = 0.0, []
    for points, logits, own in zip(proposals.points.detach(), proposals.logits.detach(), heads, strict=True):
        score = [1 / (1 + math.exp(float(background - person))) for background, person in logits]
        distance = [[math.dist(p.tolist(), h.tolist()) for h in own.xy] for p in points]
        size = min(len(points), len(own))
        choices = (
            tuple(zip(chosen, answered, strict=True))
            for chosen in combinations(range(len(points)), size)
            for answered in permutations(range(len(own)), size)
        )
        best = min(choices, key=lambda pairs: sum(0.05 * distance[p][h] - score[p] for p, h in pairs))
        positive = {p for p, _ in best}
        errors += [distance[p][h] ** (2 if norm == "squared" else 1) for p, h in best]
        for p, value in enumerate(score):
            cross_entropy -= math.log(value) if p in positive else 0.3 * math.log(1 - value)
    assert len(errors) == 6
    assert terms.keys() == {"classification", "point"}
    assert terms["classification"].item() == pytest.approx(cross_entropy / 12, rel=1e-5)
    assert terms["point"].item() == pytest.approx(0.01 * sum(errors) / 6, rel=1e-4)


@pytest.mark.parametrize("strategy", ["one-to-one", "nearest-proposal", "nearest-head"])
def test_images_without_heads(strategy: str) -> None:
    proposals, _ = scene()
    terms = p2pnet_loss(proposals, [heads_at()] * 3, recipe(f"assignment.strategy={strategy}"))
    background = proposals.logits.log_softmax(-1)[..., 0]
    assert terms["point"].item() == 0
    assert torch.allclose(terms["classification"], -0.3 * background.mean())
    sum(terms.values(), torch.tensor(0.0)).backward()  # type: ignore[no-untyped-call]
    assert proposals.points.grad is not None, "several processes need a gradient, if only of zeros"
    assert not proposals.points.grad.any()


@pytest.mark.parametrize("norm", ["squared", "distance"])
def test_a_proposal_on_its_head_has_a_finite_gradient(norm: str) -> None:
    points = torch.tensor([[[5.0, 5.0]]], requires_grad=True)
    proposals = Proposals(points, torch.zeros(1, 1, 2), torch.zeros(1, 2))
    terms = p2pnet_loss(proposals, [heads_at((5, 5))], recipe(f"loss.point_norm={norm}"))
    terms["point"].backward()  # type: ignore[no-untyped-call]
    assert proposals.points.grad is not None
    assert torch.equal(proposals.points.grad, torch.zeros(1, 1, 2))


@pytest.mark.parametrize("norm", ["squared", "distance"])
@pytest.mark.parametrize("head", ["dense", "light"])
def test_every_term_trains_its_branch(norm: str, head: str) -> None:
    torch.manual_seed(0)
    changes = (f"loss.point_norm={norm}", f"model.head={head}", "model.predict_sizes=true")
    own_recipe = recipe(*TINY, *changes, "loss.count_weight=1", "loss.size_weight=1")
    network = P2PNet(own_recipe.model)
    images = torch.rand(2, 3, 32, 32) * 255
    terms = p2pnet_loss(network.raw(images), [heads_at((3, 9), sizes=[(8, 9)]), heads_at()], own_recipe)
    assert network.size is not None
    branches = {
        "point": network.regression,
        "classification": network.classification,
        "count": network.classification,
        "size": network.size,
    }
    assert terms.keys() == branches.keys()
    for name, own in branches.items():
        network.zero_grad()
        terms[name].backward(retain_graph=True)  # type: ignore[no-untyped-call]
        for other in branches.values():
            touched = [p.grad is not None and bool(p.grad.any()) for p in other.parameters()]
            assert touched == [other is own] * len(touched), name
        backbone = network.backbone._conv_stem.weight.grad  # type: ignore[union-attr]
        assert isinstance(backbone, Tensor)
        assert backbone.any(), f"{name} reaches the backbone"


@pytest.mark.parametrize("norm", ["squared", "distance"])
def test_descending_the_point_loss_moves_proposals_onto_heads(norm: str) -> None:
    """With its weight alone, the regression branch learns where the heads are."""
    torch.manual_seed(0)
    own_recipe = recipe(*TINY, "model.offset_scale=10", f"loss.point_norm={norm}", "loss.point_weight=1")
    network = P2PNet(own_recipe.model).eval().requires_grad_(False)
    network.regression.requires_grad_()
    optimizer = torch.optim.Adam(network.regression.parameters(), 1e-3)
    images, heads = torch.rand(1, 3, 32, 32) * 255, [heads_at((3, 9), (21, 26))]
    errors = []
    for _ in range(30):
        term = p2pnet_loss(network.raw(images), heads, own_recipe)["point"]
        optimizer.zero_grad()
        term.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        errors.append(term.item())
    assert errors[-1] < 0.2 * errors[0]


def test_processes_together_see_the_gradient_of_the_whole_batch() -> None:
    """Though the second has two thirds of the pairs: the mean over processes is that of one process."""
    proposals, heads = scene()
    total = p2pnet_loss(proposals, heads, recipe())["point"]
    (whole,) = torch.autograd.grad(total, proposals.points)
    gradients: list[Tensor] = []
    for own, pairs in ((slice(0, 2), 2), (slice(2, 4), 4)):
        both, _ = scene()
        points, logits = (torch.cat((part, part[1:2]))[own] for part in (both.points, both.logits))
        part = Proposals(points, logits, CELLS)

        def mean(count: Tensor, expected: int = pairs) -> Tensor:
            if count.item() == 8:  # proposals, as many in each process
                return count
            assert count.item() == expected
            return count.new_tensor(3.0)

        term = p2pnet_loss(part, [*heads, heads_at()][own], recipe(), mean)["point"]
        gradients += torch.autograd.grad(term, both.points)
    torch.testing.assert_close((gradients[0] + gradients[1]) / 2, whole)


def test_proposals_in_the_padding_are_neither_assigned_nor_background() -> None:
    """The second column of cells pads the images; it lies on their heads."""
    torch.manual_seed(4)
    points, logits = torch.rand(2, 4, 2) * 16, torch.randn(2, 4, 2)
    heads = [
        Points(np.array([[3.0, 4], [9, 20]]), sizes=np.full((2, 2), 5), image_size=(16, 32)),
        Points(np.array([[8.0, 8]]), sizes=np.full((1, 2), 5), image_size=(16, 30)),
    ]
    points[:, 1::2] = torch.tensor([heads[0].xy.tolist(), [[8, 8], [8, 8]]])
    sides = torch.rand(2, 4)
    wide = Proposals(points.clone().requires_grad_(), logits.clone().requires_grad_(), CELLS, sides)
    cut = Proposals(points[:, ::2], logits[:, ::2], CELLS[::2], sides[:, ::2])
    for divisor in ("proposals", "weights"):
        weights = ("loss.count_weight=0.5", "loss.size_weight=0.25", "loss.count_block=32")
        plan = recipe("model.stride=16", f"loss.divisor={divisor}", *weights)
        found = p2pnet_loss(wide, heads, plan)
        torch.testing.assert_close(found, p2pnet_loss(cut, heads, plan))
        sum(found.values(), torch.tensor(0.0)).backward()  # type: ignore[no-untyped-call]
    for tensor in (wide.points, wide.logits):
        assert tensor.grad is not None
        assert not tensor.grad[:, 1::2].any()
        assert tensor.grad[:, ::2].any()


def test_assigns_several_images_at_once() -> None:
    """Threads change nothing: a batch is the sum of its images."""
    proposals, heads = scene()
    together = p2pnet_loss(proposals, heads, recipe())["classification"]
    alone = [
        p2pnet_loss(Proposals(points[None], logits[None], CELLS), [own], recipe())["classification"]
        for points, logits, own in zip(proposals.points, proposals.logits, heads, strict=True)
    ]
    torch.testing.assert_close(together, torch.stack(alone).mean())


@pytest.mark.parametrize(("block", "cells"), [(16, 1), (40, 2), (64, 4)])
def test_count_error_in_plain_python(block: int, cells: int) -> None:
    """Heads and proposals of a block; the last blocks are cut where the image ends."""
    proposals, heads = scene()
    expected = 0.0
    for logits, own in zip(proposals.logits.tolist(), heads, strict=True):
        found: Counter[tuple[int, int]] = Counter()
        for number, (background, person) in enumerate(logits):
            place = (number // 2 // cells, number % 2 // cells)
            found[place] += 1 / (1 + math.exp(-2 * (person - background)))  # type: ignore[assignment]
        true = Counter((int(y // (16 * cells)), int(x // (16 * cells))) for x, y in own.xy)
        for place, count in found.items():
            expected += (count - true[place]) ** 2 / (true[place] + 1) / 4 / 3
    assert count_error(proposals, heads, 16, block).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("score", "direction"), [(0.4, 1), (0.6, -1)])
def test_descending_the_count_moves_doubtful_scores_over_the_threshold(score: float, direction: int) -> None:
    """Sixteen proposals alike count sixteen or nobody, where there are eight."""
    logits = torch.zeros(1, 16, 2)
    logits[..., 1] = math.log(score / (1 - score))
    logits.requires_grad_()
    heads = [heads_at(*((x, y) for x in (1, 9, 17, 25) for y in (2, 20)))]
    proposals = Proposals(torch.zeros(1, 16, 2), logits, 8 * torch.cartesian_prod(*[torch.arange(4.0)] * 2))
    count_error(proposals, heads, 8, 32).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad[..., 1] * direction < 0).all()


def test_terms_beyond_the_paper_have_weights() -> None:
    proposals, heads = scene()
    heads = [Points(own.xy, sizes=np.full((len(own), 2), 7), image_size=own.image_size) for own in heads]
    proposals = proposals._replace(log_sides=torch.zeros(3, 4))
    weights = ("loss.count_weight=0.5", "loss.size_weight=0.25", "loss.count_block=32")
    terms = p2pnet_loss(proposals, heads, recipe("model.stride=16", *weights))
    torch.testing.assert_close(terms["count"], 0.5 * count_error(proposals, heads, 16, 32))
    assert terms["size"].item() == pytest.approx(0.25 * (math.log(7) - 0.1), rel=1e-5)
    assert p2pnet_loss(proposals, heads, recipe()).keys() == {"classification", "point"}


def test_the_released_codes_divisor() -> None:
    """Equation 4 divides by the proposals, the released code by the sum of their weights."""
    proposals, heads = scene()
    paper, released = (
        p2pnet_loss(proposals, heads, recipe(f"loss.divisor={divisor}"))["classification"]
        for divisor in ("proposals", "weights")
    )
    positives = 2 + 0 + 4  # of 12; the last image has more heads than proposals
    torch.testing.assert_close(released / paper, torch.tensor(12 / (positives + 0.3 * (12 - positives))))
