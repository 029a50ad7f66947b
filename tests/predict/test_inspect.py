from pathlib import Path

import numpy as np
import pytest
from tiny_models import info, write_tiny, write_tiny_map

from crowdpoint.errors import ModelError
from crowdpoint.estimate import Estimate
from crowdpoint.methods.density.config import DensityConfig
from crowdpoint.methods.fidtm.config import FIDTMConfig, LMDSConfig, MapConfig
from crowdpoint.points import FloatArray, Picture, Points
from crowdpoint.predict import Predictor
from crowdpoint.predict.predictor import Scale
from crowdpoint.recipe import ScalesConfig
from crowdpoint.zoo import DeviceName, PrecisionName


@pytest.mark.parametrize("config", [FIDTMConfig(threshold=0.3), DensityConfig()])
def test_the_map_is_the_same_in_any_tiling(tmp_path: Path, config: MapConfig) -> None:
    model = write_tiny_map(tmp_path / "map.onnx", config)
    image = np.random.default_rng(0).integers(0, 256, (500, 701, 3), np.uint8)
    for tile in (2048, 576):
        predictor = Predictor.load(model, tile=tile)
        seen = predictor.inspect(image)
        assert seen.map is not None
        assert seen.map.dtype == np.float32
        np.testing.assert_allclose(seen.map, image.mean(axis=2) / 255, atol=1e-5)
        found = predictor.select(seen.candidates)
        assert len(found) == len(predictor.find(image))
        if isinstance(found, Points):
            assert seen.candidates == predictor.candidates(image)
            assert found == predictor.predict(image)


class SteadyMaps:
    """Predicts the brightness of the image as its map, and heads of 4 pixels at every scale."""

    info = info(
        FIDTMConfig(
            regressor="lite",
            predict_sizes=True,
            threshold=0.5,
            scales=ScalesConfig(sure=0.25),
            lmds=LMDSConfig(adaptive=False),
        )
    )
    device: DeviceName = "cpu"
    precision: PrecisionName = "fp32"

    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        height, width = images.shape[2:]
        sides = np.full((1, 1, -(-height // 4), -(-width // 4)), 4, np.float32)
        return {"map": images.mean(axis=1, keepdims=True) / 255, "sides": sides}


def _crowd() -> Picture:
    """A crowd in a corner, of which a look at half the size sees a part."""
    image = np.full((1200, 2000, 3), 26, np.uint8)
    image[100:220:20, 100:400:20] = 255
    return image


def test_the_map_is_that_of_the_finest_look_everywhere() -> None:
    image = _crowd()
    predictor = Predictor(SteadyMaps())
    seen = predictor.inspect(image)
    assert seen.scales.finest > 1
    assert seen.map is not None
    assert seen.map.shape == (1200, 2000)
    close = seen.map[90:230, 90:410]
    assert (close[10:-10:20, 10:-10:20] > 0.7).all(), "the reduced look, enlarged, would be blurred"
    np.testing.assert_allclose(seen.map[600:, 1000:], 26 / 255, atol=1e-3)
    assert predictor.select(seen.candidates) == predictor.predict(image)


@pytest.mark.parametrize("scale", ["auto", 1.0])
def test_progress_is_over_all_looks(scale: Scale) -> None:
    seen: list[tuple[int, int]] = []
    Predictor(SteadyMaps(), scale=scale, tile=800).predict(_crowd(), lambda *tiles: seen.append(tiles))
    done, total = zip(*seen, strict=True)
    assert done == tuple(range(1, len(seen) + 1))
    assert list(total) == sorted(total)
    assert [tiles for tiles in seen if tiles[0] == tiles[1]] == seen[-1:]
    assert (len(set(total)) > 1) == (scale == "auto"), "looks add tiles"


@pytest.mark.parametrize("scale", ["auto", 1.0])
def test_an_image_without_points_has_sizes_if_the_model_predicts_them(scale: Scale, tmp_path: Path) -> None:
    empty = np.zeros((60, 80, 3), np.uint8)
    assert Predictor(SteadyMaps(), scale=scale).predict(empty) == Points(
        np.empty((0, 2), np.float32), sizes=np.empty((0, 2), np.float32), image_size=(80, 60)
    )
    assert Predictor.load(write_tiny(tmp_path / "tiny.onnx")).predict(empty).sizes is None


def test_a_threshold_relative_to_the_image_keeps_one_scale() -> None:
    """Each part of an image would have a largest value of its own."""
    image = np.full((1200, 2000, 3), 26, np.uint8)
    image[100:220:20, 100:400:20] = 255
    engine = SteadyMaps()
    engine.info = info(FIDTMConfig(regressor="lite", predict_sizes=True, threshold=0.5))
    assert Predictor(engine).search(image)[1] == (1, 1)


def test_a_method_that_counts_has_a_count_and_no_points(tmp_path: Path) -> None:
    predictor = Predictor.load(write_tiny_map(tmp_path / "map.onnx", DensityConfig()))
    image = np.full((50, 60, 3), 255, np.uint8)
    found = predictor.find(image)
    assert isinstance(found, Estimate)
    assert (len(found), found.image_size) == (30, (60, 50))
    assert predictor.interval(found) is None
    for ask in (predictor.predict, predictor.candidates):
        with pytest.raises(ModelError, match=r"^tiny: its method counts and does not locate"):
            ask(image)
    with pytest.raises(ModelError, match=r"^tiny: its method counts and does not locate"):
        predictor.require_locating()


def test_proposals_have_no_map(tmp_path: Path) -> None:
    predictor = Predictor.load(write_tiny(tmp_path / "tiny.onnx"))
    image = np.full((20, 30, 3), 200, np.uint8)
    seen = predictor.inspect(image)
    assert seen.map is None
    assert seen.candidates == predictor.candidates(image)
