"""Assignment: against brute force, the two rejected strategies, and every odd count of heads."""

from itertools import combinations, permutations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crowdpoint.methods.p2pnet.assignment import assign
from crowdpoint.methods.p2pnet.config import AssignmentConfig

Floats = npt.NDArray[np.float32]

NONE = np.empty((0, 2), np.float32)


def xy(*points: tuple[float, float]) -> Floats:
    return np.array(points, np.float32).reshape(-1, 2)


def pairs(points: Floats, heads: Floats, scores: Floats | None = None, **config: object) -> dict[int, int]:
    """Proposal -> head."""
    scores = np.full(len(points), 0.5, np.float32) if scores is None else scores
    found = assign(points, scores, heads, AssignmentConfig(**config))
    assert len(set(found.proposals.tolist())) == len(found.proposals) == len(found.heads)
    return dict(zip(found.proposals.tolist(), found.heads.tolist(), strict=True))


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Floats, Floats, Floats]:
    places = st.floats(0, 60, width=32)
    count, heads = draw(st.integers(1, 5)), draw(st.integers(0, 5))
    return (
        draw(arrays(np.float32, (count, 2), elements=places)),
        draw(arrays(np.float32, count, elements=st.floats(0, 1, width=32))),
        draw(arrays(np.float32, (heads, 2), elements=places)),
    )


@given(scenes(), st.sampled_from([0.01, 0.05, 1.0]))
def test_one_to_one_is_the_cheapest_of_all_matchings(
    scene: tuple[Floats, Floats, Floats], tau: float
) -> None:
    points, scores, heads = scene

    def cost(proposal: int, head: int) -> float:
        return tau * float(np.hypot(*(points[proposal] - heads[head]))) - float(scores[proposal])

    found = pairs(points, heads, scores, distance_weight=tau)
    size = min(len(points), len(heads))
    assert len(found) == len(set(found.values())) == size
    best = min(
        sum(cost(p, h) for p, h in zip(proposals, chosen, strict=True))
        for proposals in combinations(range(len(points)), size)
        for chosen in permutations(range(len(heads)), size)
    )
    assert sum(cost(p, h) for p, h in found.items()) == pytest.approx(best, abs=1e-4)


def test_score_and_distance_trade_at_tau() -> None:
    """A score higher by 0.5 is worth 10 pixels at tau 0.05 (Eq. 3)."""
    points, scores = xy((0, 0), (9, 0)), np.array([0.2, 0.7], np.float32)
    assert pairs(points, xy((0, 0)), scores) == {1: 0}
    assert pairs(points + xy((0, 0), (2, 0)), xy((0, 0)), scores) == {0: 0}


@pytest.mark.parametrize("strategy", ["one-to-one", "nearest-proposal", "nearest-head"])
def test_no_head_one_head_and_more_heads_than_proposals(strategy: str) -> None:
    points = xy((0, 0), (10, 0))
    assert pairs(points, NONE, strategy=strategy) == {}
    assert pairs(points, xy((11, 0)), strategy=strategy, max_distance=5) == {1: 0}
    many = pairs(points, xy((1, 0), (2, 0), (3, 0), (9, 0)), strategy=strategy)
    assert many == {0: 0, 1: 3}


def test_nearest_proposal() -> None:
    """Fig. 3a: a proposal that several heads want answers for the nearest, the others go without."""
    points = xy((0, 0), (50, 0), (90, 0))
    heads = xy((4, 0), (1, 0), (-3, 0), (51, 0), (75, 0))
    assert pairs(points, heads, strategy="nearest-proposal", max_distance=14) == {0: 1, 1: 3}
    assert pairs(points, heads, strategy="nearest-proposal", max_distance=15) == {0: 1, 1: 3, 2: 4}


def test_nearest_head() -> None:
    """Fig. 3b: one head may be answered for by many proposals."""
    points = xy((0, 0), (3, 0), (6, 0), (40, 0), (9, 0))
    heads = xy((1, 0), (8, 0))
    assert pairs(points, heads, strategy="nearest-head", max_distance=10) == {0: 0, 1: 0, 2: 1, 4: 1}
    assert pairs(points, heads, strategy="nearest-head", max_distance=1) == {0: 0, 4: 1}


@given(scenes(), st.floats(1, 40))
def test_the_rejected_strategies_by_their_definitions(
    scene: tuple[Floats, Floats, Floats], reach: float
) -> None:
    points, scores, heads = scene
    distance = np.array([[np.hypot(*(p.astype(float) - h)) for p in points] for h in heads])
    by_proposal = pairs(points, heads, scores, strategy="nearest-proposal", max_distance=reach)
    by_head = pairs(points, heads, scores, strategy="nearest-head", max_distance=reach)
    for proposal, head in by_proposal.items():
        assert distance[head, proposal] == distance[head].min() <= reach
    near = [h for h in range(len(heads)) if distance[h].min() < reach]
    assert {int(distance[h].argmin()) for h in near} <= by_proposal.keys()
    for proposal, head in by_head.items():
        assert distance[head, proposal] == distance[:, proposal].min() <= reach
    assert {p for p in range(len(points)) if len(heads) and distance[:, p].min() < reach} <= by_head.keys()
