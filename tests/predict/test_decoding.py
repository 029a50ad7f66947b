import dataclasses

import numpy as np
import pytest
from tiny_models import INFO

from crowdpoint.errors import ModelError
from crowdpoint.points import Points
from crowdpoint.predict.decoding import P2PNetDecoder, decoder

OUTPUTS = {
    "points": np.array([[[0, 0], [9.5, 4.5], [10, 2], [3, 5], [-0.1, 1], [2, 3]]], np.float32),
    "scores": np.array([[0.2, 0.5, 0.9, 0.9, 0.9, 1.0000001]], np.float32),
}


def test_candidates_are_the_proposals_on_the_image_whatever_their_score() -> None:
    expected = Points([[0, 0], [9.5, 4.5], [2, 3]], [0.2, 0.5, 1], image_size=(10, 5))  # type: ignore[arg-type]
    assert P2PNetDecoder(0.5).candidates(OUTPUTS, (10, 5)) == expected


def test_select_keeps_scores_at_the_threshold_and_above() -> None:
    decode = decoder(INFO, 0.5)
    selected = decode.select(decode.candidates(OUTPUTS, (10, 5)))
    assert selected.xy.tolist() == [[9.5, 4.5], [2, 3]]


def test_no_proposals() -> None:
    outputs = {"points": np.empty((1, 0, 2), np.float32), "scores": np.empty((1, 0), np.float32)}
    assert P2PNetDecoder(0.5).candidates(outputs, (3, 4)) == Points.empty((3, 4))


def test_unknown_method() -> None:
    with pytest.raises(ModelError, match=r"tiny: method 'yolo' has no decoder"):
        decoder(dataclasses.replace(INFO, method="yolo"), 0.5)
