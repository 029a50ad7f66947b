"""The shipped p2pnet-lite: what it is, that its two files agree, and that it finds people."""

import numpy as np
import pytest
from draw_crowd import draw

import crowdpoint
from crowdpoint import zoo
from crowdpoint.errors import ModelError
from crowdpoint.metrics import Evaluator
from crowdpoint.predict import Predictor
from crowdpoint.predict.engine import OnnxEngine

NAME = "p2pnet-lite"


def test_says_what_it_is() -> None:
    info = Predictor.load(NAME).info
    assert (info.name, info.method) == (NAME, "p2pnet")
    assert info.training_data == "shanghaitech-a, shanghaitech-b"
    assert info.parameters is not None
    assert info.parameters < 5e6
    assert info.macs_per_pixel is not None
    assert zoo.resolve(NAME).stat().st_size < 10e6


@pytest.mark.parametrize("size", [(64, 96), (67, 131)])
def test_its_checkpoint_computes_the_same(size: tuple[int, int]) -> None:
    from crowdpoint.nn.engine import TorchEngine

    images = np.random.default_rng(1).uniform(0, 255, (1, 3, *size)).astype(np.float32)
    found = OnnxEngine(zoo.resolve(NAME)).run(images)
    wanted = TorchEngine.load(zoo.checkpoint(NAME)).run(images)
    np.testing.assert_allclose(found["scores"], wanted["scores"], atol=1e-4)
    np.testing.assert_allclose(found["points"], wanted["points"], atol=1e-2)


def test_finds_people_in_a_drawn_crowd() -> None:
    """It has only seen photos: a drawing is harder, so this asks for little."""
    picture, truth = draw(1280, 853, 340, 0)
    evaluator = Evaluator(sigmas=(8.0,), deltas=())
    evaluator.update(crowdpoint.load(NAME).predict(picture), truth)
    found = evaluator.compute().localization["8"]
    assert found.precision > 0.7
    assert found.recall > 0.3


@pytest.mark.parametrize("level", [0, 128, 255])
def test_finds_nobody_on_a_blank_picture(level: int) -> None:
    assert len(crowdpoint.load(NAME).predict(np.full((480, 640, 3), level, np.uint8))) == 0


def test_a_model_without_an_embedded_checkpoint() -> None:
    with pytest.raises(ModelError, match="no weights are embedded"):
        zoo.checkpoint("p2pnet-vgg16")
