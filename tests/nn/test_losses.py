"""The P2PNet loss: Eq. 4-6 in plain Python, gradients where they belong, and images without heads."""

import math
from itertools import combinations, permutations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from crowdpoint.config import AssignmentConfig, LossConfig, P2PNetConfig
from crowdpoint.nn.losses import count_error, p2pnet_loss
from crowdpoint.nn.p2pnet import P2PNet, Proposals

Floats = npt.NDArray[np.float32]

LOSS = LossConfig(background_weight=0.3, point_weight=0.01)
ONE_TO_ONE = AssignmentConfig()


def xy(*points: tuple[float, float]) -> Floats:
    return np.array(points, np.float32).reshape(-1, 2)


def scene() -> tuple[Proposals, list[Floats]]:
    """Three images with four proposals each: two heads, none, and more heads than proposals."""
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(3, 4, 2, generator=generator) * 40
    logits = torch.randn(3, 4, 2, generator=generator)
    heads = [xy((3, 4), (30, 20)), xy(), xy((1, 1), (9, 2), (20, 30), (35, 8), (22, 22), (40, 40))]
    return Proposals(points.requires_grad_(), logits.requires_grad_()), heads


@pytest.mark.parametrize("norm", ["squared", "distance"])
def test_value_of_equations_4_to_6(norm: str) -> None:
    """The pairs are found by trying all; the sums are written out."""
    proposals, heads = scene()
    terms = p2pnet_loss(proposals, heads, LOSS.model_copy(update={"point_norm": norm}), ONE_TO_ONE)
    cross_entropy, errors = 0.0, []
    for points, logits, own in zip(proposals.points.detach(), proposals.logits.detach(), heads, strict=True):
        score = [1 / (1 + math.exp(float(background - person))) for background, person in logits]
        distance = [[math.dist(p.tolist(), h.tolist()) for h in own] for p in points]
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
    terms = p2pnet_loss(proposals, [xy()] * 3, LOSS, AssignmentConfig(strategy=strategy))
    background = proposals.logits.log_softmax(-1)[..., 0]
    assert terms["point"].item() == 0
    assert torch.allclose(terms["classification"], -0.3 * background.mean())
    sum(terms.values(), torch.tensor(0.0)).backward()  # type: ignore[no-untyped-call]
    assert proposals.points.grad is not None, "several processes need a gradient, if only of zeros"
    assert not proposals.points.grad.any()


@pytest.mark.parametrize("norm", ["squared", "distance"])
def test_a_proposal_on_its_head_has_a_finite_gradient(norm: str) -> None:
    proposals = Proposals(torch.tensor([[[5.0, 5.0]]], requires_grad=True), torch.zeros(1, 1, 2))
    loss = LossConfig(point_norm=norm)
    p2pnet_loss(proposals, [xy((5, 5))], loss, ONE_TO_ONE)["point"].backward()  # type: ignore[no-untyped-call]
    assert proposals.points.grad is not None
    assert torch.equal(proposals.points.grad, torch.zeros(1, 1, 2))


@pytest.mark.parametrize("norm", ["squared", "distance"])
def test_every_term_trains_its_branch(norm: str) -> None:
    torch.manual_seed(0)
    config = P2PNetConfig(backbone="efficientnet-lite0", pyramid_channels=8, head_channels=8)
    network = P2PNet(config)
    images = torch.rand(2, 3, 32, 32) * 255
    loss = LossConfig(point_norm=norm)
    terms = p2pnet_loss(network.proposals(images), [xy((3, 9)), xy()], loss, ONE_TO_ONE)
    branches = {"point": network.regression, "classification": network.classification}
    for name, own in branches.items():
        network.zero_grad()
        terms[name].backward(retain_graph=True)  # type: ignore[no-untyped-call]
        for other in branches.values():
            touched = [p.grad is not None and bool(p.grad.any()) for p in other.parameters()]
            assert touched == [other is own] * 6, name
        backbone = network.backbone._conv_stem.weight.grad  # type: ignore[union-attr]
        assert isinstance(backbone, Tensor)
        assert backbone.any(), f"{name} reaches the backbone"


@pytest.mark.parametrize("norm", ["squared", "distance"])
def test_descending_the_point_loss_moves_proposals_onto_heads(norm: str) -> None:
    """With its weight alone, the regression branch learns where the heads are."""
    torch.manual_seed(0)
    config = P2PNetConfig(backbone="efficientnet-lite0", offset_scale=10, pyramid_channels=8, head_channels=8)
    network = P2PNet(config).eval().requires_grad_(False)
    network.regression.requires_grad_()
    optimizer = torch.optim.Adam(network.regression.parameters(), 1e-3)
    images, heads = torch.rand(1, 3, 32, 32) * 255, [xy((3, 9), (21, 26))]
    loss = LossConfig(point_norm=norm, point_weight=1)
    errors = []
    for _ in range(30):
        term = p2pnet_loss(network.proposals(images), heads, loss, ONE_TO_ONE)["point"]
        optimizer.zero_grad()
        term.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        errors.append(term.item())
    assert errors[-1] < 0.2 * errors[0]


def test_processes_together_see_the_gradient_of_the_whole_batch() -> None:
    """Though the second has two thirds of the pairs: the mean over processes is that of one process."""
    proposals, heads = scene()
    total = p2pnet_loss(proposals, heads, LOSS, ONE_TO_ONE)["point"]
    (whole,) = torch.autograd.grad(total, proposals.points)
    gradients: list[Tensor] = []
    for own, pairs in ((slice(0, 2), 2), (slice(2, 4), 4)):
        both, _ = scene()
        part = Proposals(
            torch.cat((both.points, both.points[1:2]))[own], torch.cat((both.logits, both.logits[1:2]))[own]
        )

        def mean(count: Tensor, expected: int = pairs) -> Tensor:
            assert count.item() == expected
            return count.new_tensor(3.0)

        term = p2pnet_loss(part, [*heads, xy()][own], LOSS, ONE_TO_ONE, mean)["point"]
        gradients += torch.autograd.grad(term, both.points)
    torch.testing.assert_close((gradients[0] + gradients[1]) / 2, whole)


def test_assigns_several_images_at_once() -> None:
    """Threads change nothing: a batch is the sum of its images."""
    proposals, heads = scene()
    together = p2pnet_loss(proposals, heads, LOSS, ONE_TO_ONE)["classification"]
    alone = [
        p2pnet_loss(Proposals(points[None], logits[None]), [own], LOSS, ONE_TO_ONE)["classification"]
        for points, logits, own in zip(*proposals, heads, strict=True)
    ]
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_count_error_in_plain_python() -> None:
    _, logits = scene()[0]
    expected = 0.0
    for image, true in zip(logits.tolist(), (2, 0, 6), strict=True):
        found = sum(1 / (1 + math.exp(-2 * (person - background))) for background, person in image)
        expected += (found - true) ** 2 / (true + 10) / 4 / 3
    assert count_error(logits, [2, 0, 6]).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("score", "direction"), [(0.4, 1), (0.6, -1)])
def test_descending_the_count_moves_doubtful_scores_over_the_threshold(score: float, direction: int) -> None:
    """Ten proposals alike count ten or nobody, where there are five."""
    logits = torch.zeros(1, 10, 2)
    logits[..., 1] = math.log(score / (1 - score))
    logits.requires_grad_()
    count_error(logits, [5]).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad[..., 1] * direction < 0).all()


def test_the_count_is_a_term_where_it_has_a_weight() -> None:
    proposals, heads = scene()
    term = p2pnet_loss(proposals, heads, LossConfig(count_weight=0.5), ONE_TO_ONE)["count"]
    torch.testing.assert_close(term, 0.5 * count_error(proposals.logits, [2, 0, 6]))
