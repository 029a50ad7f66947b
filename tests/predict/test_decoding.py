import dataclasses

import numpy as np
import pytest
from tiny_models import INFO

from crowdpoint.errors import ModelError
from crowdpoint.points import Points
from crowdpoint.predict.decoding import FIDTMDecoder, P2PNetDecoder, decoder

OUTPUTS = {
    "points": np.array([[[0, 0], [9.5, 4.5], [10, 2], [3, 5], [-0.1, 1], [2, 3]]], np.float32),
    "scores": np.array([[0.2, 0.5, 0.9, 0.9, 0.9, 1.0000001]], np.float32),
}


def test_candidates_are_the_proposals_on_the_image_whatever_their_score() -> None:
    expected = Points([[0, 0], [9.5, 4.5], [2, 3]], [0.2, 0.5, 1], image_size=(10, 5))  # type: ignore[arg-type]
    assert P2PNetDecoder().candidates(OUTPUTS, (10, 5)) == expected


def test_proposals_are_as_sure_as_their_scores() -> None:
    decode = decoder(INFO)
    assert decode.confidence(decode.candidates(OUTPUTS, (10, 5))).tolist() == pytest.approx([0.2, 0.5, 1])


def test_no_proposals() -> None:
    outputs = {"points": np.empty((1, 0, 2), np.float32), "scores": np.empty((1, 0), np.float32)}
    assert P2PNetDecoder().candidates(outputs, (3, 4)) == Points.empty((3, 4))


def test_unknown_method() -> None:
    with pytest.raises(ModelError, match=r"tiny: method 'yolo' has no decoder"):
        decoder(dataclasses.replace(INFO, method="yolo"))


def test_maxima_are_as_sure_as_they_are_high_beside_the_highest() -> None:
    fidt = np.zeros((1, 1, 8, 9), np.float32)
    fidt[0, 0, 2, 3], fidt[0, 0, 6, 7] = 0.8, 0.2
    decode = decoder(dataclasses.replace(INFO, method="fidtm"))
    found = decode.candidates({"map": fidt}, (9, 8))
    assert found.xy.tolist() == [[3.5, 2.5], [7.5, 6.5]]
    assert decode.confidence(found).tolist() == pytest.approx([1, 0.25])


def test_a_low_map_has_no_people() -> None:
    fidt = np.full((1, 1, 4, 4), 0.01, np.float32)
    fidt[0, 0, 1, 1] = 0.099  # below T_f
    found = FIDTMDecoder().candidates({"map": fidt}, (4, 4))
    assert len(found) > 0
    assert not FIDTMDecoder().confidence(found).any()
