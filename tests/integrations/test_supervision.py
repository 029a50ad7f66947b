"""Points as supervision's values and back, and supervision itself working on them."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import supervision as sv
from any_points import any_points
from hypothesis import given

from crowdpoint.errors import MissingExtraError
from crowdpoint.integrations import supervision as integration
from crowdpoint.points import Points

TWO = Points(np.array([[10, 20], [50.5, 40]]), np.array([0.9, 0.5]), image_size=(100, 80))


@given(any_points(boxes=True))
def test_detections_round_trip(points: Points) -> None:
    found = integration.from_detections(integration.to_detections(points), points.image_size)
    assert found.image_size == points.image_size
    np.testing.assert_array_equal(found.scores, points.scores)
    np.testing.assert_allclose(found.xy, points.xy, atol=1e-3)
    assert found.sizes is not None
    wanted = np.full_like(points.xy, integration.SIDE) if points.sizes is None else points.sizes
    np.testing.assert_allclose(found.sizes, wanted, atol=2e-3)


@given(any_points())
def test_key_points_round_trip(points: Points) -> None:
    points = points.select((points.xy != 0).any(axis=1))  # supervision's mark of a missing one
    assert integration.from_key_points(integration.to_key_points(points), points.image_size) == points


def test_boxes_are_centred_on_their_points() -> None:
    found = integration.to_detections(TWO, side=4)
    assert found.xyxy.tolist() == [[8, 18, 12, 22], [48.5, 38, 52.5, 42]]
    assert found.confidence is not None
    assert found.confidence.tolist() == pytest.approx([0.9, 0.5])
    assert (found.class_id is not None, list(found.data["class_name"])) == (True, ["head", "head"])
    sized = replace(TWO, sizes=np.array([[6, 8], [2, 2]], np.float32))
    assert integration.to_detections(sized, side=4).xyxy[0].tolist() == [7, 16, 13, 24]


def test_results_share_no_memory_with_the_points() -> None:
    key_points, detections = integration.to_key_points(TWO), integration.to_detections(TWO)
    key_points.xy += 1
    assert detections.confidence is not None
    detections.confidence += 1
    assert TWO.xy[0].tolist() == [10, 20]
    assert TWO.scores[1] == 0.5


def test_supervision_filters_merges_and_draws() -> None:
    detections = integration.to_detections(TWO)
    chosen = detections.select(TWO.scores > 0.7)
    assert integration.from_detections(chosen).xy.tolist() == [[10, 20]]
    both = sv.Detections.merge([detections, integration.to_detections(Points.empty())])
    assert len(integration.from_detections(both)) == 2
    scene = np.zeros((80, 100, 3), np.uint8)
    assert sv.DotAnnotator(radius=3).annotate(scene.copy(), detections)[20, 10].any()
    assert sv.VertexAnnotator(radius=3).annotate(scene.copy(), integration.to_key_points(TWO))[40, 50].any()
    square = np.array([[0, 0], [40, 0], [40, 40], [0, 40]])
    zone = sv.PolygonZone(square, triggering_anchors=[sv.Position.CENTER])
    assert zone.trigger(detections).tolist() == [True, False]


def test_a_pose_is_one_point() -> None:
    xy = np.array([[[5, 6], [7, 8]], [[0, 0], [9, 9]], [[np.nan, 1], [4, 4]]], np.float32)
    confidence = np.array([[0.5, 1], [0.25, 1], [0.75, 1]], np.float32)
    poses = sv.KeyPoints(xy=xy, keypoint_confidence=confidence)
    nose = integration.from_key_points(poses, (20, 20))
    assert (nose.xy.tolist(), nose.scores.tolist(), nose.image_size) == ([[5, 6]], [0.5], (20, 20))
    poses.visible = np.array([[True, True], [True, False], [True, True]])
    assert integration.from_key_points(poses, index=1).xy.tolist() == [[7, 8], [4, 4]]
    bare = integration.from_key_points(sv.KeyPoints(xy=xy), index=1)
    assert bare.scores.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="index: expected one of the 2 key points of an object, found 2"):
        integration.from_key_points(poses, index=2)
    assert len(integration.from_key_points(sv.KeyPoints.empty())) == 0


def test_boxes_without_confidence_have_a_score_of_1() -> None:
    found = integration.from_detections(sv.Detections(xyxy=np.array([[1, 2, 3, 6]])))
    assert (found.xy.tolist(), found.scores.tolist()) == ([[2, 4]], [1])


@pytest.mark.parametrize("side", [0, -1, float("nan"), float("inf")])
def test_a_side_is_above_zero(side: float) -> None:
    with pytest.raises(ValueError, match="side: expected pixels above 0, found"):
        integration.to_detections(TWO, side)


def test_a_box_with_swapped_corners() -> None:
    boxes = sv.Detections(xyxy=np.array([[1, 2, 3, 4], [5, 6, 4, 8]]))
    with pytest.raises(ValueError, match=r"x1 <= x2 and y1 <= y2, found \[5, 6, 4, 8\]"):
        integration.from_detections(boxes)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    for convert in (integration.to_detections, integration.to_key_points):
        with pytest.raises(MissingExtraError, match=r"pip install 'crowdpoint\[video\]'"):
            convert(TWO)
