"""Warnings of heads that are larger or smaller than a model knows."""

from pathlib import Path

import numpy as np
import pytest
from drawn_rasters import write_raster
from tiny_models import info, write_tiny

from crowdpoint.methods.p2pnet.config import P2PNetConfig
from crowdpoint.points import FloatArray, Points
from crowdpoint.predict import Predictor
from crowdpoint.predict.looks import LARGEST_SIDE, SMALLEST_SIDE, warn
from crowdpoint.zoo import DeviceName, PrecisionName


def heads(*sides: float) -> Points:
    boxes = np.repeat(np.array(sides, np.float32)[:, None], 2, axis=1)
    return Points(np.zeros((len(sides), 2), np.float32), sizes=boxes)


def test_heads_of_usual_sizes_need_no_warning() -> None:
    assert warn(heads(20, 30, 150), 0.35, 1) is None
    assert warn(heads(SMALLEST_SIDE, LARGEST_SIDE), 1, 1) is None
    assert warn(Points(np.zeros((2, 2), np.float32)), 0.35, 1) is None, "no sizes, no warning"
    assert warn(heads(), 0.35, 1) is None


def test_a_head_that_is_too_large_even_when_shrunk_names_a_scale() -> None:
    warning = warn(heads(20, 30, 600), 0.35, 1)
    assert warning is not None
    assert warning.startswith("some heads are larger than the model knows, up to 600 pixels")
    assert warning.endswith("compare the count at a scale of 0.05")
    assert warn(heads(20, 30, 600), 0.05, 1) is None, "at this scale there is no warning"


def test_heads_that_are_too_small_even_when_enlarged() -> None:
    warning = warn(heads(5, 5, 5, 40), 0.35, 1.5)
    assert warning is not None
    assert warning.startswith("half of the heads are smaller than 5 pixels")
    assert warn(heads(5, 5, 5, 40), 0.35, 3) is None
    assert warn(heads(5, 40, 40, 40), 0.35, 1.5) is None, "a few small ones in the distance are usual"


class Giants:
    """Finds one head that fills a quarter of whatever it sees, but is never larger than 300 pixels."""

    info = info(P2PNetConfig(predict_sizes=True))
    device: DeviceName = "cpu"
    precision: PrecisionName = "fp32"

    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        height, width = images.shape[2:]
        middle = np.array([[[width / 2, height / 2]]], np.float32)
        side = np.array([[min(width / 4, 300)]], np.float32)
        return {"points": middle, "scores": np.ones((1, 1), np.float32), "sides": side}


@pytest.mark.parametrize(("scale", "warned"), [("auto", False), (1.0, True), (0.05, False)])
def test_a_predictor_returns_its_scales(scale: float, warned: bool) -> None:
    predictor = Predictor(Giants(), scale=scale)
    found, scales = predictor.search(np.zeros((1000, 1000, 3), np.uint8))
    assert len(found) == 1
    assert (predictor.warning(found, scales) is not None) == warned


def test_a_raster_is_predicted_at_scale_1(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.full((3, 700, 900), 9, np.uint8))
    predictor = Predictor(Giants())
    found, scales = predictor.search(path)
    assert scales == (1, 1)
    assert predictor.warning(found, scales) is not None


def test_models_without_sizes_do_not_warn(tmp_path: Path) -> None:
    predictor = Predictor.load(write_tiny(tmp_path / "tiny.onnx"))
    found, scales = predictor.search(np.full((80, 80, 3), 255, np.uint8))
    assert len(found)
    assert predictor.warning(found, scales) is None
