"""The shipped models: what they are, that the two files of each agree, and that they find people."""

import numpy as np
import pytest
from draw_crowd import draw

import crowdpoint
from crowdpoint import zoo
from crowdpoint.errors import ModelError
from crowdpoint.metrics import Evaluator
from crowdpoint.predict import Predictor
from crowdpoint.predict.onnx import OnnxEngine

NAMES = ("p2pnet-lite", "fidtm-lite")

each = pytest.mark.parametrize("name", NAMES)


def test_these_are_all() -> None:
    assert {model.name for model in zoo.available() if model.embedded} == set(NAMES)


@each
def test_says_what_it_is(name: str) -> None:
    info = Predictor.load(name).info
    assert (info.name, info.method) == (name, name.removesuffix("-lite"))
    assert info.training_data == "shanghaitech-a, shanghaitech-b"
    assert info.parameters is not None
    assert info.parameters < 5e6
    assert info.macs_per_pixel is not None
    assert zoo.resolve(name).stat().st_size < 7e6


@each
@pytest.mark.parametrize("size", [(64, 96), (67, 131)])
def test_its_checkpoint_computes_the_same(name: str, size: tuple[int, int]) -> None:
    from crowdpoint.nn.engine import TorchEngine

    images = np.random.default_rng(1).uniform(0, 255, (1, 3, *size)).astype(np.float32)
    found = OnnxEngine(zoo.resolve(name)).run(images)
    wanted = TorchEngine.load(zoo.checkpoint(name)).run(images)
    assert found.keys() == wanted.keys()
    for output, values in wanted.items():
        np.testing.assert_allclose(found[output], values, atol=1e-2 if output == "points" else 1e-4)


@each
def test_finds_people_in_a_drawn_crowd(name: str) -> None:
    """It has only seen photos: a drawing is harder, so this asks for little."""
    picture, truth = draw(1280, 853, 340, 0)
    evaluator = Evaluator(sigmas=(8.0,), deltas=())
    evaluator.update(crowdpoint.load(name).predict(picture), truth)
    found = evaluator.compute().localization["8"]
    assert found.precision > 0.7
    assert found.recall > 0.3


@each
@pytest.mark.parametrize("level", [0, 128, 255])
def test_finds_nobody_on_a_blank_picture(name: str, level: int) -> None:
    assert len(crowdpoint.load(name).predict(np.full((480, 640, 3), level, np.uint8))) == 0


def test_a_model_without_an_embedded_checkpoint() -> None:
    with pytest.raises(ModelError, match="no weights are embedded"):
        zoo.checkpoint("p2pnet-vgg16")
