"""Points as a DataFrame and back: the columns and rows of the CSV format."""

import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from any_points import any_points
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdpoint import formats
from crowdpoint.errors import FormatError, MissingExtraError
from crowdpoint.integrations.pandas import from_frame, to_frame
from crowdpoint.points import Points

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
TWO = Points(np.array([[10, 20], [50.5, 40]]), np.array([0.9, 0.5]), image_size=(100, 80))


@settings(max_examples=30)
@given(st.dictionaries(NAMES, any_points(boxes=True), max_size=4))
def test_round_trip(points: dict[str, Points]) -> None:
    points = {name: found if len(found) else Points.empty(found.image_size) for name, found in points.items()}
    found = from_frame(to_frame(points))
    assert found == points
    assert list(found) == list(points)


@settings(max_examples=20)
@given(st.dictionaries(st.sampled_from(["a.jpg", "b/c.jpg", "0001"]), any_points(boxes=True)))
def test_the_csv_file_read_by_pandas_is_the_same_frame(
    tmp_path_factory: pytest.TempPathFactory, points: dict[str, Points]
) -> None:
    path = tmp_path_factory.getbasetemp() / "points.csv"
    formats.write(path, points)
    read, made = pd.read_csv(path, dtype={"image": str}), to_frame(points)
    assert list(read.columns) == list(made.columns)
    assert from_frame(read) == formats.read(path)
    pd.testing.assert_frame_equal(read, made, check_dtype=False, check_index_type=False)


def test_columns_and_counts() -> None:
    frame = to_frame({"b.jpg": TWO, "a.jpg": Points.empty((9, 9))})
    assert list(frame.columns) == ["image", "x", "y", "score", "width", "height"]
    assert (frame["x"].dtype, frame["width"].dtype) == (np.float32, np.int64)
    counts = frame.groupby("image")["x"].count()
    assert counts.to_dict() == {"a.jpg": 0, "b.jpg": 2}
    assert to_frame({}).empty
    assert from_frame(to_frame({})) == {}


def test_categories_without_rows_are_no_images() -> None:
    frame = pd.DataFrame({"image": pd.Categorical(["a", "b"]), "x": [1.0, 2], "y": [3.0, 4]})
    assert list(from_frame(frame[frame["image"] != "b"])) == ["a"]


def test_names_are_texts() -> None:
    mixed = pd.DataFrame({"image": [1, "1", 1], "x": [1, 2, 3], "y": [1, 2, 3]}, index=[0, 0, 0])
    assert {image: found.xy[:, 0].tolist() for image, found in from_frame(mixed).items()} == {"1": [1, 2, 3]}
    assert list(from_frame(pd.DataFrame({"image": [2, 1], "x": [1, 2], "y": [1, 2]}))) == ["2", "1"]


def test_missing_columns_have_defaults() -> None:
    frame = pd.DataFrame({"image": ["a", "a"], "y": [1, 2], "x": [3, 4], "note": ["", ""]})
    assert from_frame(frame) == {"a": Points(np.array([[3, 1], [4, 2]]))}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": [1.0, np.nan]}, "image a: xy: expected finite coordinates"),
        ({"x": ["left", "right"]}, "image a: could not convert"),
        ({"score": [0.5, 2]}, r"image a: scores: expected values in \[0, 1\]"),
        ({"image": ["a", None]}, "row 1: image: expected a name, found none"),
        ({"width": [5, 6]}, r"image a: expected one width and height, found \[5.0, 8.0\] and \[6.0, 8.0\]"),
        (
            {"width": [np.nan, np.nan]},
            "image a: expected a width and height in whole pixels, found nan and 8.0",
        ),
        ({"width": [5.5, 5.5]}, "image a: expected a width and height in whole pixels, found 5.5"),
        ({"width": [0, 0]}, r"image a: image_size: expected positive \(width, height\)"),
        ({"box_width": [3, 3]}, "image a: sizes: expected finite values"),
    ],
)
def test_invalid_values_are_named(changes: dict[str, list[Any]], message: str) -> None:
    values = {"image": ["a", "a"], "x": [1, 2], "y": [3, 4], "width": [5, 5], "height": [8, 8]}
    with pytest.raises(FormatError, match=f"frame: {message}"):
        from_frame(pd.DataFrame(values | changes))


def test_columns_that_are_missing() -> None:
    with pytest.raises(FormatError, match="frame: lacks the columns image, y; found x, Y"):
        from_frame(pd.DataFrame({"x": [1], "Y": [2]}))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"a DataFrame needs .*'crowdpoint\[integrations\]'"):
        to_frame({"a": TWO})
