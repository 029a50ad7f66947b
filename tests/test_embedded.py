"""The shipped models: what they are, that the two files of each agree, and that they find people."""

import numpy as np
import pytest
from draw_crowd import draw
from scipy.spatial import cKDTree

import crowdpoint
from crowdpoint import zoo
from crowdpoint.errors import ModelError
from crowdpoint.methods.p2pnet.config import P2PNetConfig
from crowdpoint.methods.p2pnet.reference_points import image_reference_points
from crowdpoint.metrics import Evaluator
from crowdpoint.predict import Predictor
from crowdpoint.predict.onnx import OnnxEngine

NAMES = ("p2pnet-lite", "fidtm-lite")

each = pytest.mark.parametrize("name", NAMES)


def test_the_embedded_models_are_complete() -> None:
    assert {model.name for model in zoo.list_models() if model.embedded} == set(NAMES)


@each
def test_metadata_describe_the_model(name: str) -> None:
    info = Predictor.load(name).info
    assert (info.name, info.method.name) == (name, name.removesuffix("-lite"))
    assert {"shanghaitech-a", "shanghaitech-b"} <= set(info.training_data.split(", "))
    assert info.parameters is not None
    assert info.parameters < 5e6
    assert info.macs_per_pixel is not None
    assert zoo.resolve(name).stat().st_size < 7e6


@each
@pytest.mark.parametrize("size", [(64, 96), (67, 131)])
def test_the_checkpoint_and_the_graph_agree(name: str, size: tuple[int, int]) -> None:
    from crowdpoint.predict.torch import TorchEngine

    images = np.random.default_rng(1).uniform(0, 255, (1, 3, *size)).astype(np.float32)
    found = OnnxEngine(zoo.resolve(name)).run(images)
    wanted = TorchEngine.load(zoo.find_checkpoint(name)).run(images)
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


def test_offsets_of_p2pnet_lite_vary_and_bring_proposals_nearer_to_heads() -> None:
    """On a drawn crowd. A branch that returns a constant does neither, and a good total hides it."""
    picture, truth = draw(1280, 853, 340, 0)
    engine = OnnxEngine(zoo.resolve("p2pnet-lite"))
    outputs = engine.run(np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32))
    points, scores = outputs["points"][0], outputs["scores"][0]
    config = engine.info.config
    assert isinstance(config, P2PNetConfig)
    start = image_reference_points(config, (1280, 853))
    assert ((points - start).std(axis=0) > 0.5).all()
    tree = cKDTree(truth.xy)
    sure = scores >= engine.info.threshold
    before, after = (np.asarray(tree.query(xy[sure])[0]) for xy in (start, points))
    near = before < 10
    assert near.sum() > 50
    assert np.median(after[near]) < 0.8 * np.median(before[near])


def test_sizes_of_p2pnet_lite_are_those_of_the_heads_at_any_scale() -> None:
    """The same drawn heads, seen at other sizes: a branch that returns a constant is off by the factor."""
    picture, _ = draw(1280, 853, 340, 0)
    medians = []
    for scale in (0.6, 1.0, 1.5):
        sizes = Predictor.load("p2pnet-lite", scale=scale).predict(picture).sizes
        assert sizes is not None
        medians.append(float(np.median(sizes)))
    assert max(medians) < 1.35 * min(medians)


@each
@pytest.mark.parametrize("level", [0, 128, 255])
def test_finds_nobody_on_a_blank_picture(name: str, level: int) -> None:
    assert len(crowdpoint.load(name).predict(np.full((480, 640, 3), level, np.uint8))) == 0


def test_a_model_without_an_embedded_checkpoint() -> None:
    with pytest.raises(ModelError, match="no weights are embedded"):
        zoo.find_checkpoint("p2pnet-vgg16")
