"""Points as FiftyOne's Keypoints and back.

FiftyOne needs older releases of packages than the dev extra, so that CI runs these tests a second time, in an
environment of its own. Every test runs on a stand-in as well, which has the fields that are used.
"""

import sys
import warnings
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from any_points import any_points
from hypothesis import given

from crowdpoint.errors import MissingExtraError
from crowdpoint.integrations.fiftyone import from_keypoints, to_keypoints
from crowdpoint.points import Points

TWO = Points(np.array([[10, 20], [50.5, 40]]), np.array([0.75, 0.5]), image_size=(100, 80))


@pytest.fixture(params=["installed", "stand-in"], scope="module")
def fiftyone(request: pytest.FixtureRequest) -> Iterator[SimpleNamespace]:
    """The package, or what of it is used."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "installed":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its own, on import
                yield pytest.importorskip(
                    "fiftyone",
                    reason="FiftyOne needs its own environment: pip install -e '.[fiftyone]'",
                )
        else:

            def keypoint(label: str, points: list[tuple[float, float]], confidence: object = None) -> object:
                return SimpleNamespace(label=label, points=points, confidence=confidence)

            stand_in = SimpleNamespace(Keypoint=keypoint, Keypoints=SimpleNamespace)
            patch.setitem(sys.modules, "fiftyone", stand_in)
            yield stand_in


@given(points=any_points(image_size=True))
def test_round_trip(fiftyone: SimpleNamespace, points: Points) -> None:
    assert points.image_size
    assert from_keypoints(to_keypoints(points), points.image_size) == points


def test_every_person_is_an_object(fiftyone: SimpleNamespace) -> None:
    found = to_keypoints(TWO).keypoints
    assert [keypoint.label for keypoint in found] == ["head", "head"]
    assert [np.asarray(keypoint.points).tolist() for keypoint in found] == [[[0.1, 0.25]], [[0.505, 0.5]]]
    assert [list(keypoint.confidence) for keypoint in found] == [[0.75], [0.5]]
    assert to_keypoints(TWO, "cell").keypoints[0].label == "cell"


def test_keypoints_of_many_points_are_read_as_well(fiftyone: SimpleNamespace) -> None:
    missing = (float("nan"), float("nan"))
    many = fiftyone.Keypoint(label="a", points=[(0.5, 0.5), missing], confidence=[0.25, 0.5])
    bare = fiftyone.Keypoint(label="b", points=[(0.25, 0.75)])
    found = from_keypoints(fiftyone.Keypoints(keypoints=[many, bare]), (200, 100))
    assert found == Points(np.array([[100, 50], [50, 75]]), np.array([0.25, 1]), image_size=(200, 100))


def test_a_confidence_for_each_point(fiftyone: SimpleNamespace) -> None:
    wrong = fiftyone.Keypoint(label="a", points=[(0.5, 0.5), (0.5, 0.5)], confidence=[0.25])
    with pytest.raises(
        ValueError, match="keypoint 1: expected a confidence for each of its 2 points, found 1"
    ):
        from_keypoints(fiftyone.Keypoints(keypoints=[wrong]), (200, 100))


def test_the_size_of_the_image_is_needed(fiftyone: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="points: needs image_size, found None"):
        to_keypoints(Points.empty())


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'crowdpoint\[fiftyone\]'"):
        to_keypoints(TWO)
