"""formats.image_names: the names that tools write, matched to photos."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdpoint.formats.image_names import find_nearest, match, plain_name, shorten

NFD = unicodedata.normalize("NFD", "café.jpg")


@pytest.mark.parametrize(
    ("photo", "name"),
    [
        ("crowd.jpg", "crowd.jpg"),
        ("crowd.jpg", "crowd"),
        ("crowd", "crowd.jpg"),
        ("crowd.JPG", "crowd.jpg"),
        ("crowd.png", "crowd.jpg"),
        ("field.jp2", "field"),
        ("café.jpg", NFD),
        (NFD, "caf%C3%A9.jpg"),
        ("crowd.jpg", r"C:\photos\crowd.jpg"),
        ("day/crowd.jpg", r"data\day\crowd.jpg"),
        ("day/crowd.jpg", "/srv/photos/day/crowd.jpg"),
        ("day/crowd.jpg", "./crowd.jpg"),
        ("100% here.jpg", "100% here.jpg"),
        ("my crowd.jpg", "https://example.org/photos/my%20crowd.jpg?sig=a/b.jpg#top"),
        ("my crowd.jpg", "s3://photos/my crowd.jpg"),
        ("day/my crowd.jpg", "/data/local-files/?d=photos/day/my%20crowd.jpg"),
        ("a+b.jpg", "/data/local-files/?d=a+b.jpg&x=1"),
        ("IMG_42.jpg", "/data/upload/1/9f3b2c1d-IMG_42.jpg"),
        ("day/IMG_42.jpg", "images/9f3b2c1d-IMG_42.jpg"),
        ("9f3b2c1d-IMG_42.jpg", "IMG_42.jpg"),
        ("20240612-001.jpg", "9f3b2c1d-20240612-001.jpg"),
        ("my crowd (1).jpg", "/data/upload/1/9f3b2c1d-my_crowd_1.jpg"),
        ("IMG_42.JPG", "IMG_42_jpg.rf.0123456789abcdef.jpg"),
        ("IMG_42.jpg", "img_42.JPG"),
        ("crowd.jpg", "http://[broken/crowd.jpg"),
    ],
)
def test_a_photo_is_found(photo: str, name: str) -> None:
    assert match([photo, "other.jpg"], ["another.jpg", name]) == {photo: name}


@pytest.mark.parametrize(
    ("photo", "name"),
    [
        ("crowd.jpg", "crowds.jpg"),
        ("train/crowd.jpg", "val/crowd.jpg"),
        ("train/crowd.jpg", "/data/val/crowd.jpg"),
        ("crowd.jpg", "crowd.v2.jpg"),
        ("b.jpg", "a%2Fc.jpg"),
        ("crowd.jpg", ""),
        ("20240612-001.jpg", "20240613-001.jpg"),
        ("day/20240612-001.jpg", "night/20240613-001.jpg"),
        ("20240612-Crowd 1.jpg", "20240613-crowd_1.jpg"),
        ("IMG_42_jpg.rf.0123456789abcdef.jpg", "IMG_42_jpg.rf.fedcba9876543210.jpg"),
    ],
)
def test_another_photo_is_not(photo: str, name: str) -> None:
    assert match([photo], [name]) == {}


def test_a_closer_name_wins() -> None:
    photos = ["IMG_1.jpg", "9f3b2c1d-IMG_1.jpg", "day/a.jpg", "a.jpg"]
    assert match(photos, ["9f3b2c1d-IMG_1.jpg", "a.jpg"]) == {
        "9f3b2c1d-IMG_1.jpg": "9f3b2c1d-IMG_1.jpg",
        "a.jpg": "a.jpg",
    }
    assert match(["a.jpg", "A.jpg"], ["A.jpg", "a.JPG"]) == {"A.jpg": "A.jpg", "a.jpg": "a.JPG"}
    assert match(["x/a.jpg", "y/a.jpg"], ["z/y/a.jpg", "x/a.jpg"]) == {
        "x/a.jpg": "x/a.jpg",
        "y/a.jpg": "z/y/a.jpg",
    }


def test_an_ambiguous_match_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"x/a\.jpg and y/a\.jpg both match a\.jpg; add their"):
        match(["a.jpg"], ["x/a.jpg", "y/a.jpg"])
    with pytest.raises(
        ValueError, match=r"a\.jpg matches both x/a\.jpg and y/a\.jpg; add its folder and extension"
    ):
        match(["x/a.jpg", "y/a.jpg"], ["a.jpg"])
    with pytest.raises(ValueError, match=r"1a2b3c4d-a\.jpg and u/5e6f7a8b-a\.jpg both match a\.jpg"):
        match(["a.jpg"], ["u/1a2b3c4d-a.jpg", "u/5e6f7a8b-a.jpg"])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), unique=True))
def test_every_name_is_its_own_photo(names: list[str]) -> None:
    assert match(names, reversed(names)) == {name: name for name in names}


def test_names_in_messages() -> None:
    assert find_nearest("crowd.jpg", ["dog.png", "crowds.jpg"]) == "crowds.jpg"
    assert find_nearest("crowd.jpg", []) == "nothing"
    urls = ["s3://bucket/x.jpeg/IMG_7.jpg", "https://host/photos/2024/9f3b2c1d-X1.png"]
    assert find_nearest("x.jpeg", urls) == urls[1]
    assert find_nearest("a1.jpg", ["a2.jpg", "b1.jpg"], taken={"a2.jpg"}) == "b1.jpg"
    assert find_nearest("a1.jpg", ["a2.jpg"], taken={"a2.jpg"}) == "a2.jpg"
    assert len(shorten("data:image/png;base64," + "A" * 5_000_000)) == 81
    assert shorten("a.jpg") == "a.jpg"


def test_plain_name() -> None:
    assert [plain_name(name) for name in (r"a\b.1.jpg", "x/b.jp2", "b.txt", "b.TIF")] == [
        "b.1",
        "b",
        "b.txt",
        "b",
    ]
