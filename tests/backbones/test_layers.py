"""Layers that the small networks share."""

import torch

from crowdpoint.backbones.layers import SingleOutputConv


def test_a_single_output_is_that_of_a_plain_convolution() -> None:
    torch.manual_seed(0)
    layer = SingleOutputConv(5)
    images = torch.randn(2, 5, 7, 4)
    wanted = torch.nn.functional.conv2d(images, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(images), wanted)
