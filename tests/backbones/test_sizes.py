"""Sizes of heads: their loss, and the sides that it wants."""

import math

import numpy as np
import pytest
import torch

from crowdpoint.backbones.sizes import box_sides, size_errors, to_log_sides
from crowdpoint.points import Points


def test_errors_are_of_annotated_sides_alone() -> None:
    log_sides = torch.tensor([math.log(10), math.log(20), 0.0], requires_grad=True)
    errors = size_errors(log_sides, torch.tensor([10.0, 10.0, math.nan]))
    assert errors.tolist() == pytest.approx([0, math.log(2) - 0.1], rel=1e-5)
    errors.sum().backward()  # type: ignore[no-untyped-call]
    assert log_sides.grad is not None
    assert (log_sides.grad != 0).tolist() == [False, True, False]
    assert not len(size_errors(log_sides, torch.full((3,), math.nan)))


def test_sides_are_those_of_squares_as_large_as_the_boxes() -> None:
    boxed = Points(np.array([[1, 2], [3, 4]]), sizes=np.array([[4, 9], [0, 0]]))
    bare = Points(np.array([[5, 6]]))
    np.testing.assert_array_equal(box_sides([boxed, bare]), np.array([6, 0, np.nan], np.float32))


def test_sides_are_limited_whatever_the_branch_returns() -> None:
    assert to_log_sides(torch.tensor([-99.0, 0.0, 99.0])).exp().tolist() == pytest.approx(
        [1, 16, 1024], rel=1e-5
    )
