"""What every map regressor shares: any image size in, a map of that size out, normalised on the way."""

import pytest
import torch
from torch import Tensor

from crowdpoint.backbones.regressor import MapRegressor


class Red(MapRegressor):
    """Returns the normalised red channel and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__(alignment=8)
        self.seen = torch.empty(0)

    def regress(self, images: Tensor) -> Tensor:
        self.seen = images
        return images[:, :1].half()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 9), (8, 16), (17, 8)])
def test_pads_to_the_alignment_and_crops_back(height: int, width: int) -> None:
    network = Red()
    images = torch.rand(2, 3, height, width) * 255
    found = network(images)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, (images[:, :1] / 255 - 0.485) / 0.229, atol=2e-3, rtol=2e-3)
    assert network.seen.shape == (2, 3, -(-height // 8) * 8, -(-width // 8) * 8)
    assert not network.seen[:, :, height:].any()
    assert not network.seen[:, :, :, width:].any()


def test_normalises_each_channel_and_keeps_the_statistics_out_of_the_weights() -> None:
    network = Red()
    network(torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(1, 3, 8, 8) * 255)
    torch.testing.assert_close(network.seen, torch.zeros(1, 3, 8, 8))
    network(torch.full((1, 3, 8, 8), 255.0))
    expected = torch.tensor([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225])
    torch.testing.assert_close(network.seen[0, :, 0, 0], expected)
    assert not network.state_dict()
