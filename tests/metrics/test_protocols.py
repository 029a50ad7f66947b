"""Protocols: every dataset of the table exists, and its labels name groups as the papers do."""

import numpy as np
import pytest

from crowdpoint import datasets
from crowdpoint.metrics import PROTOCOLS, Protocol, get_protocol
from crowdpoint.points import Points


def test_the_table_is_of_known_datasets() -> None:
    assert PROTOCOLS.keys() <= datasets.DATASETS.keys()
    assert get_protocol("folder") == Protocol()
    assert get_protocol("trancos").grid


@pytest.mark.parametrize(
    ("dataset", "true", "labels", "expected"),
    [
        ("nwpu-crowd", 0, {"luminance": "2", "scene_level": "0"}, {"scene_level": "S0", "luminance": "L2"}),
        ("nwpu-crowd", 501, {}, {"scene_level": "S3"}),
        ("jhu-crowd++", 50, {"weather": "0"}, {"crowd_level": "low", "weather": "clear"}),
        ("jhu-crowd++", 51, {"weather": "1"}, {"crowd_level": "medium", "weather": "fog or haze"}),
        ("jhu-crowd++", 500, {"weather": "7"}, {"crowd_level": "medium", "weather": "7"}),
        ("jhu-crowd++", 501, {}, {"crowd_level": "high"}),
        ("shanghaitech-a", 501, {"weather": "1"}, {}),
    ],
)
def test_groups(dataset: str, true: int, labels: dict[str, str], expected: dict[str, str]) -> None:
    assert get_protocol(dataset).find_groups(true, labels) == expected


def test_ucf_qnrf_is_averaged_over_a_hundred_distances() -> None:
    evaluator = get_protocol("ucf-qnrf").build_evaluator(boxes=False)
    head = Points(np.array([(10.0, 10.0)]))
    evaluator.update(head.shift(50, 0), head)
    found = evaluator.compute().localization
    assert list(found) == ["4", "8", "1:100"]
    assert found["1:100"].recall == pytest.approx(0.51)
