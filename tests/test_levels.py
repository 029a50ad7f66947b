"""levels: one rule for what samples of more than 8 bits mean."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from drawn_rasters import write_raster
from PIL import Image

from crowdpoint import images
from crowdpoint.levels import Levels
from crowdpoint.rasters import Raster


def ramp(low: float, high: float, kind: Any) -> npt.NDArray[Any]:
    return np.linspace(low, high, 10_000).astype(kind)


@pytest.mark.parametrize(
    ("samples", "black", "white", "known"),
    [
        (ramp(0, 65535, np.uint16), 0, 65535, True),
        (ramp(0, 20_000, np.uint16), 0, 65535, True),
        (ramp(0, 4000, np.uint16), 0, 4095, False),
        (ramp(0, 255, np.uint16), 0, 255, False),
        (ramp(0, 32767, np.int16), 0, 32767, True),
        (ramp(0, 2**32 - 1, np.uint32), 0, 2**32 - 1, True),
        (ramp(0, 1, np.float32), 0, 1, True),
        (ramp(0, 255, np.float64), 0, 255, False),
        (np.full(9, 30_000, np.uint16), 0, 65535, True),
        (np.append(np.zeros(9_999, np.uint16), 255).astype(np.uint16), 0, 255, False),
        (np.zeros(0, np.uint16), 0, 65535, True),
        (np.append(ramp(0, 4000, np.uint16), 65535), 0, 4095, False),
    ],
)
def test_ranges(samples: npt.NDArray[Any], black: float, white: float, known: bool) -> None:
    assert Levels.estimate(samples) == Levels(black, white, known)


@pytest.mark.parametrize(
    "samples",
    [
        ramp(28_000, 31_000, np.uint16),  # of a thermal camera
        ramp(-10, 10, np.float32),
        ramp(0, 100_000, np.uint32),
        np.append(ramp(5, 6, np.float32), np.nan),
    ],
)
def test_samples_that_span_no_known_range_are_stretched(samples: npt.NDArray[Any]) -> None:
    levels = Levels.estimate(samples)
    assert not levels.known
    picture = levels.to_uint8(samples)
    assert (picture == 0).mean() == pytest.approx(0.01, abs=0.005)
    assert (picture == 255).mean() == pytest.approx(0.01, abs=0.005)


@pytest.mark.parametrize("white", [1000, 4095, 20_000])
def test_small_files_and_large_ones_are_the_same(tmp_path: Path, white: int) -> None:
    samples = np.random.default_rng(0).integers(white // 3, white, (30, 40)).astype(np.uint16)
    Image.fromarray(samples).save(tmp_path / "small.tif")
    with Raster(write_raster(tmp_path / "on_map.tif", samples[None])) as raster:
        large = raster.read((0, 0, 40, 30))
    assert large is not None
    np.testing.assert_array_equal(images.read(tmp_path / "small.tif"), large)
